"""Sparse experts: routing against the models' own routers, limits against a plain loop."""

import dataclasses
import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import families

from tokexplore.models.api.engine import Control, StreamRequest
from tokexplore.models.api.instruments import Capacity, Execution, Routing
from tokexplore.models.engine.forward import routing as engine_routing
from tokexplore.models.engine.forward.routing import overflow
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.experts import capacity_sweep, content_dependence, rerouted
from tokexplore.models.sampling.settings import SamplingSettings

IDS = tuple(range(5, 30))
FIRST = 8
MATES = (tuple(range(40, 48)), tuple(range(60, 65)), tuple(range(30, 42)))
ENDLESS = Capacity(1e9, 4)


def engine_of(family: str) -> LocalEngine:
    engine = LocalEngine(families.loaded(families.model(family)))
    engine.encode = lambda text, **_: [5 + ord(c) % 80 for c in text]  # type: ignore[method-assign]
    return engine


def routed(engine: LocalEngine, execution: Execution, *, stepwise: bool) -> Routing:
    found = engine.bench.routing(IDS, FIRST, execution, Control(), stepwise=stepwise)
    assert found is not None
    return found


def own_logits(engine: LocalEngine) -> list[torch.Tensor]:
    """What the model says of its routers in one plain pass: [layers][tokens, E]."""
    with torch.inference_mode():
        told = engine.core.forward.model(
            input_ids=torch.tensor([IDS]), output_router_logits=True, use_cache=False
        )
    return [each.float() for each in told.router_logits]


@pytest.mark.parametrize("family", families.SPARSE)
@pytest.mark.parametrize("stepwise", [True, False])
def test_routing_is_what_the_model_s_own_router_logits_say(family: str, stepwise: bool) -> None:
    engine = engine_of(family)
    found = routed(engine, Execution(), stepwise=stepwise)
    logits = own_logits(engine)
    if found.unit == "scores":  # no correction and one group here: the order of the logits
        logits = [each.sigmoid() for each in logits]
    assert (found.unit == "scores") is (family == "deepseek_v3")
    assert len(found.layers) == len(logits)
    assert found.experts == logits[0].shape[-1]
    assert len(found.chosen) == len(IDS) - FIRST
    for step, place in product(range(len(found.chosen)), range(len(found.layers))):
        row = logits[place][FIRST + step]
        order = row.argsort(descending=True).tolist()
        k = len(found.chosen[step][place])
        assert set(found.chosen[step][place]) == set(order[:k])
        assert found.left_out[step][place] == order[k]
        margin = (row[order[k - 1]] - row[order[k]]).item()
        assert found.margins[step][place] == pytest.approx(margin, abs=1e-4)
        weights = found.weights[step][place]
        assert list(weights) == sorted(weights, reverse=True)
        assert all(weight > 0 for weight in weights)


def corrected(family: str) -> tuple[LocalEngine, torch.Tensor]:
    """A model whose router balances its load, and what the router adds to its scores."""
    engine = engine_of(family)
    (found,) = engine_routing.routers_of(engine.core.forward.model, "tiny")
    bias = torch.linspace(-0.8, 0.8, 8)
    found.router.e_score_correction_bias.copy_(bias)  # type: ignore[operator, union-attr]
    return engine, bias


@pytest.mark.parametrize(("family", "groups"), [("deepseek_v3", 1), ("deepseek_v3_groups", 4)])
def test_a_router_that_goes_by_scores_has_its_margins_in_scores(family: str, groups: int) -> None:
    engine, bias = corrected(family)
    found = routed(engine, Execution(), stepwise=False)
    assert found.unit == "scores"
    (logits,) = own_logits(engine)
    for step, (chosen, left_out, margins) in enumerate(
        zip(found.chosen, found.left_out, found.margins, strict=True)
    ):
        scores = [1 / (1 + math.exp(-x)) + b for x, b in
                  zip(logits[FIRST + step].tolist(), bias.tolist(), strict=True)]  # fmt: skip
        size = 8 // groups
        best = sorted(range(groups), key=lambda g: -sum(sorted(scores[g * size :][:size])[-2:]))
        is_open = best[: max(1, groups // 2)]
        order = sorted((e for e in range(8) if e // size in is_open), key=lambda e: -scores[e])
        assert set(chosen[0]) == set(order[:2])
        assert left_out[0] == order[2]
        assert margins[0] == pytest.approx(scores[order[1]] - scores[order[2]], abs=1e-5)


def test_a_router_that_chooses_by_something_unknown_has_no_margin() -> None:
    engine, _ = corrected("deepseek_v3")
    (found,) = engine_routing.routers_of(engine.core.forward.model, "tiny")
    forward = type(found.router).forward

    class Unknown(type(found.router)):  # type: ignore[misc]
        def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits, weights, chosen = forward(self, hidden)
            return logits, weights, (chosen + 1) % 8

    found.router.__class__ = Unknown
    margins = [m for step in routed(engine, Execution(), stepwise=False).margins for m in step]
    assert margins == [None] * (len(IDS) - FIRST)


def test_a_router_of_another_kind_is_refused() -> None:
    engine = engine_of("dbrx")
    with pytest.raises(UsageError, match="routers are of an unknown kind"):
        routed(engine, Execution(), stepwise=True)


def test_a_model_without_a_cache_is_routed_as_with_one() -> None:
    engine = engine_of("mixtral")
    plain = routed(engine, Execution(), stepwise=True)
    engine.core.probed = dataclasses.replace(engine.core.probed, feed="whole")
    assert routed(engine, Execution(), stepwise=True).chosen == plain.chosen


def test_routing_that_is_cancelled_tells_nothing() -> None:
    engine, control = engine_of("mixtral"), Control()
    control.cancelled = True
    for stepwise in (True, False):
        found = engine.bench.routing(IDS, FIRST, Execution(), control, stepwise=stepwise)
        assert found is None


def test_a_row_of_a_batch_is_routed_as_alone() -> None:
    engine = engine_of("mixtral")
    alone = routed(engine, Execution(), stepwise=True)
    for row in range(4):
        beside = routed(engine, Execution(MATES, row=row), stepwise=True)
        assert beside.chosen == alone.chosen
    chunked = routed(engine, Execution(chunk=7), stepwise=False)
    assert chunked.chosen == alone.chosen
    assert rerouted(alone, chunked) == []


def test_a_planted_change_is_found_at_its_step_layer_and_expert() -> None:
    engine = engine_of("mixtral")
    before = routed(engine, Execution(), stepwise=True)
    lost = before.chosen[3][1][-1]
    won = next(e for e in range(before.experts) if e not in before.chosen[3][1])
    chosen = [list(map(list, step)) for step in before.chosen]
    chosen[3][1] = [before.chosen[3][1][0], won]  # type: ignore[list-item]
    after = Routing(
        before.layers, before.experts, before.unit,
        tuple(tuple(tuple(c) for c in step) for step in chosen),
        before.weights, before.margins, before.left_out,
    )  # fmt: skip
    (change,) = rerouted(before, after)
    assert (change.step, change.layer, change.lost, change.won) == (3, 2, (lost,), (won,))
    assert change.margin == before.margins[3][1]


def plain_overflow(
    chosen: list[list[int]], experts: int, capacity: Capacity, occupied: list[bool]
) -> list[list[bool]]:
    over = [[False] * len(row) for row in chosen]
    real = [at for at, kept in enumerate(occupied) if kept]
    for start in range(0, len(real), capacity.group):
        group = real[start : start + capacity.group]
        k = len(chosen[0])
        room = max(1, math.ceil(capacity.factor * len(group) * k / experts))
        held = [0] * experts
        for choice in range(k):
            for token in group:
                expert = chosen[token][choice]
                over[token][choice] = held[expert] >= room
                held[expert] += 1
    return over


@given(st.data())
def test_what_does_not_fit_against_a_plain_loop(data: st.DataObject) -> None:
    experts, k = data.draw(st.integers(2, 8)), data.draw(st.integers(1, 2))
    rows, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    seed = data.draw(st.integers(0, 2**32 - 1))
    chance = np.random.default_rng(seed)
    chosen = [chance.permutation(experts)[:k].tolist() for _ in range(rows * width)]
    occupied = (chance.random((rows, width)) < 0.7).tolist()
    capacity = Capacity(data.draw(st.floats(0.1, 3)), data.draw(st.integers(1, 12)))
    found = overflow(torch.tensor(chosen), experts, capacity, torch.tensor(occupied))
    flat = [kept for row in occupied for kept in row]
    assert found.tolist() == plain_overflow(chosen, experts, capacity, flat)
    assert not found[~torch.tensor(flat)].any(), "padding takes no room and loses nothing"


class _Sink(torch.nn.Module):
    """Experts that keep the weights they are given."""

    num_experts = 4

    def forward(self, _hidden, _chosen, weights):
        self.weights = weights


def test_a_choice_ranks_by_its_weight_in_whatever_order_a_router_tells_it() -> None:
    sink = _Sink()
    router = engine_routing.Router(1, torch.nn.Identity(), sink)
    forward = SimpleNamespace(occupied=None)
    chosen = torch.tensor([[1, 0], [0, 1], [0, 2]])
    weights = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    room_for_one = Capacity(0.1, 3)
    with engine_routing.limited([router], forward, room_for_one):  # type: ignore[arg-type]
        sink(None, chosen, weights)
    # first choices in order: 0, 0 (full), 2; then second ones: 1, 1 (full), 0 (full)
    assert sink.weights.tolist() == torch.tensor([[0.1, 0.9], [0, 0], [0, 0.7]]).tolist()


def traced(engine: LocalEngine, execution: Execution) -> np.ndarray:
    steps = engine.bench.trace(IDS, FIRST, execution, Control(), stepwise=True)
    return np.concatenate([logits for _, logits in steps])


@pytest.mark.parametrize("family", families.SPARSE)
@pytest.mark.parametrize("experts", ["eager", "grouped_mm", "batched_mm"])
def test_endless_capacity_changes_nothing_and_a_small_one_does(family: str, experts: str) -> None:
    engine = engine_of(family)
    plain = traced(engine, Execution(MATES, row=3, together=True, experts=experts))
    for capacity, same in ((ENDLESS, True), (Capacity(0.1, 4), False)):
        execution = Execution(MATES, row=3, together=True, experts=experts, capacity=capacity)
        limited = traced(engine, execution)
        assert np.array_equal(limited, plain) is same
    assert np.array_equal(
        traced(engine, Execution(MATES, row=3, together=True, experts=experts)), plain
    ), "the limits are gone with the pass"


def test_the_padding_of_a_pass_is_known_and_takes_no_room(monkeypatch) -> None:
    engine = engine_of("mixtral")
    seen = []

    def spy(chosen, experts, capacity, occupied):
        seen.append((chosen.shape[0], None if occupied is None else occupied.clone()))
        return overflow(chosen, experts, capacity, occupied)

    monkeypatch.setattr(engine_routing, "overflow", spy)
    traced(engine, Execution(MATES, row=3, together=True, capacity=ENDLESS))
    tokens, occupied = seen[0]
    lengths = [*map(len, MATES), FIRST]
    assert tokens == 4 * max(lengths)
    assert occupied is not None
    assert occupied.sum(1).tolist() == lengths
    assert seen[-1][1].all(), "what is decoded is no padding"


def test_other_words_move_a_sparse_row_only_as_its_implementation_lets_them() -> None:
    names = ("eager", "grouped_mm", "batched_mm")
    sparse = list(content_dependence(engine_of("mixtral"), IDS, FIRST, names, 4, Control()))
    assert [content.implementation for content in sparse] == list(names)
    assert all(content.again == 0 for content in sparse)
    assert all(content.largest < 1e-4 for content in sparse)
    (dense,) = content_dependence(engine_of("llama"), IDS, FIRST, ("",), 4, Control())
    assert dense.largest == 0


def test_a_row_that_hears_its_neighbours_is_found_out() -> None:
    engine = engine_of("mixtral")
    (last,) = [m for path, m in engine.core.forward.model.named_modules() if path == "model.norm"]
    planted = last.register_forward_hook(lambda _m, _i, out: out + 0.01 * out.mean(0, keepdim=True))
    (heard,) = content_dependence(engine, IDS, FIRST, ("eager",), 4, Control())
    planted.remove()
    (plain,) = content_dependence(engine, IDS, FIRST, ("eager",), 4, Control())
    assert heard.largest > 1e-3 > plain.largest
    assert heard.again == 0


class _Stopped(Control):
    """Cancelled after it was asked a number of times."""

    def __init__(self, asked: int) -> None:
        self._left = asked

    @property
    def cancelled(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("asked", [0, 1, 5, 20, 30, 45])
def test_what_is_stopped_half_way_is_not_told(asked: int) -> None:
    engine = engine_of("mixtral")
    names = ("eager", "grouped_mm", "batched_mm")
    whole = list(content_dependence(engine, IDS, FIRST, names, 4, Control()))
    told = list(content_dependence(engine, IDS, FIRST, names, 4, _Stopped(asked)))
    assert told == whole[: len(told)]
    assert len(told) < len(whole)
    request = StreamRequest(IDS[:FIRST], SamplingSettings(), 12, ignore_eos=True)
    limited = capacity_sweep(
        engine, request, (Capacity(0.5, 4),), 1, 4, _Stopped(asked), lambda _done, _total: None
    )
    assert all(each.control for each in limited)


def test_limited_experts_give_other_texts_to_other_mates_and_the_same_to_the_same() -> None:
    engine = engine_of("mixtral")
    request = StreamRequest(IDS[:FIRST], SamplingSettings(), 12, ignore_eos=True)
    wanted = (Capacity(math.inf, 4), Capacity(0.5, 4))
    told = list(
        capacity_sweep(engine, request, wanted, 8, 4, Control(), lambda _done, _total: None)
    )
    assert [limited.capacity for limited in told] == [None, *wanted]
    assert [limited.unique for limited in told[:2]] == [1, 1]
    assert [limited.as_plain for limited in told[:2]] == [8, 8]
    assert told[2].unique > 1
    assert told[2].as_plain < 8
    assert all(limited.control for limited in told)


def test_rows_compete_in_their_prompts_where_they_share_a_group() -> None:
    engine = engine_of("mixtral")
    request = StreamRequest(IDS[:FIRST], SamplingSettings(), 1, ignore_eos=True)
    unique = {}
    for group in (FIRST, 4 * FIRST):  # a row by itself; the whole batch
        capacities = [Capacity(factor, group) for factor in (0.25, 0.5, 1.0)]
        told = capacity_sweep(engine, request, capacities, 8, 4, Control(), lambda *_: None)
        unique[group] = [limited.unique for limited in told]
    assert unique[FIRST] == [1, 1, 1, 1]
    assert max(unique[4 * FIRST]) > 1


def test_a_dense_model_has_no_experts() -> None:
    engine = engine_of("llama")
    with pytest.raises(UsageError, match="tiny has no experts"):
        routed(engine, Execution(), stepwise=True)
    with pytest.raises(UsageError, match="tiny has no experts"):
        traced(engine, Execution(capacity=ENDLESS))
