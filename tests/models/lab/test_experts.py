"""Sparse experts: routing against the models' own routers, limits against a plain loop."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import families

from tokexplore.models.bench import Capacity, Execution, Routing
from tokexplore.models.engine import routing as engine_routing
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.engine.routing import overflow
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.experts import capacity_sweep, content_dependence, rerouted
from tokexplore.models.protocol import Control, StreamRequest
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
    return engine.bench.routing(IDS, FIRST, execution, Control(), stepwise=stepwise)


def own_logits(engine: LocalEngine) -> list[torch.Tensor]:
    """What the model says of its routers in one plain pass: [layers][tokens, E]."""
    with torch.inference_mode():
        told = engine.forward.model(
            input_ids=torch.tensor([IDS]), output_router_logits=True, use_cache=False
        )
    return [each.float() for each in told.router_logits]


@pytest.mark.parametrize("family", families.SPARSE)
@pytest.mark.parametrize("stepwise", [True, False])
def test_routing_is_what_the_model_s_own_router_logits_say(family: str, stepwise: bool) -> None:
    engine = engine_of(family)
    found = routed(engine, Execution(), stepwise=stepwise)
    logits = own_logits(engine)
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


def test_a_router_that_goes_by_groups_has_no_margin_in_logits() -> None:
    found = routed(engine_of("deepseek_v3_groups"), Execution(), stepwise=False)
    margins = [margin for step in found.margins for margin in step]
    assert None in margins
    assert all(margin is None or margin >= 0 for margin in margins)


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
        before.layers, before.experts, tuple(tuple(tuple(c) for c in step) for step in chosen),
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


def test_limited_experts_give_other_texts_to_other_mates_and_the_same_to_the_same() -> None:
    engine = engine_of("mixtral")
    request = StreamRequest(IDS[:FIRST], SamplingSettings(), 12, ignore_eos=True)
    wanted = (None, ENDLESS, Capacity(0.5, 4))
    told = list(
        capacity_sweep(engine, request, wanted, 8, 4, Control(), lambda _done, _total: None)
    )
    assert [limited.capacity for limited in told] == list(wanted)
    assert [limited.unique for limited in told[:2]] == [1, 1]
    assert told[2].unique > 1
    assert all(limited.control for limited in told)


def test_a_dense_model_has_no_experts() -> None:
    engine = engine_of("llama")
    with pytest.raises(UsageError, match="tiny has no experts"):
        routed(engine, Execution(), stepwise=True)
    with pytest.raises(UsageError, match="tiny has no experts"):
        traced(engine, Execution(capacity=ENDLESS))
