"""Streams that run at once on a common beginning: every number against a plain full pass."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import transformers as hf
from support import families, truth
from support.truth import GREEDY, SAMPLED, Said
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, StreamEvent, StreamRequest
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kernels
from tokexplore.models.engine.forward import rows as several
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.partial_attention import Partial
from tokexplore.models.engine.forward.shared_parts import Part, Rows
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
SHARING = (
    *("llama", "qwen2", "qwen3", "mistral", "gemma3", "gpt2", "qwen3_moe", "mixtral", "gpt_oss"),
    *("gemma2", "granite", "cohere", "phi", "opt"),
)
"""Windows, sinks, capped scores and experts among them."""
COPYING = ("gptj", "falcon", "bloom", "deepseek_v3")
"""Families whose attention is their own, or takes other keys than its cache gives."""
EngineOf = Callable[..., LocalEngine]
ModelOf = Callable[[str], PreTrainedModel]


class Lane:
    """A live stream, an event at a time, and what it said."""

    def __init__(
        self, engine: LocalEngine, ids: Sequence[int], count: int, settings: SamplingSettings,
        **options: object,
    ) -> None:  # fmt: skip
        self.control = Control()
        self._begin, self._events = list(ids), list[StreamEvent]()
        request = StreamRequest(tuple(ids), settings, count, ignore_eos=True, **options)  # type: ignore[arg-type]
        self._stream = engine.stream(request, self.control)

    def go(self) -> None:
        """Take the next event, if there is one."""
        event = next(self._stream, None)
        self._events += [event] if event else []

    @property
    def run(self) -> truth.Run:
        return truth.Run(self._begin, self._events)


def all_go(lanes: Sequence[Lane], turns: int) -> None:
    for _ in range(turns):
        for lane in lanes:
            lane.go()


def explored(engine: LocalEngine) -> tuple[list[Said], list[Lane]]:
    """Lanes of a tree: some of unequal length, some end, one is cancelled, some join later."""
    base = truth.run(engine, PROMPT, 50).ids
    lanes = [
        Lane(engine, base, 30, GREEDY),
        Lane(engine, [*base[:60], 70], 5, SAMPLED, describe_end=True),
        Lane(engine, [*base[:60], 71], 40, SAMPLED, describe_end=True),
        Lane(engine, [*base[:45], 72], 44, GREEDY),
        Lane(engine, [*base[:9], 73], 30, SAMPLED),
    ]
    all_go(lanes, 4)
    lanes.append(Lane(engine, [*base[:60], 74], 20, GREEDY))
    all_go(lanes, 30)
    lanes += [Lane(engine, [*base[:52], 80 + number], 9, GREEDY) for number in range(3)]
    lanes[3].control.cancelled = True
    lanes.append(Lane(engine, [*lanes[2].run.ids[:93], 75], 12, SAMPLED))
    lanes.append(Lane(engine, [*lanes[3].run.ids[:78], 76], 12, SAMPLED))
    all_go(lanes, 50)
    return [said for lane in lanes for said in lane.run.said], lanes


@pytest.mark.parametrize("family", SHARING)
def test_all_numbers_of_rows_are_those_of_a_full_pass(
    family: str, engine_of: EngineOf, model_of: ModelOf
) -> None:
    engine = engine_of(family)
    assert engine.info.cache.endswith("held once by its branches")
    said, lanes = explored(engine)

    together = {source for lane in lanes for source in lane.run.sources}
    assert {"step", *(f"step of {n} rows" for n in range(2, 7))} <= together
    assert truth.worst_error(model_of(family), said) <= 1e-4


@pytest.mark.parametrize("family", [*COPYING, "lfm2", "mamba2", "qwen3_next"])
def test_where_nothing_is_shared_each_row_runs_alone(
    family: str, engine_of: EngineOf, model_of: ModelOf
) -> None:
    engine = engine_of(family)
    said, lanes = explored(engine)

    assert not engine.core.probed.shares
    assert "held once" not in engine.info.cache
    assert not any("rows" in source for lane in lanes for source in lane.run.sources)
    assert truth.worst_error(model_of(family), said) <= families.tolerance(family)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_lane_draws_the_tokens_that_it_draws_alone(family: str, engine_of: EngineOf) -> None:
    _, lanes = explored(engine_of(family))

    for lane in lanes:
        first, new = lane.run.ids[: -len(lane.run.new)], lane.run.new
        settings = lane.run.drawn[0].settings
        assert truth.run(engine_of(family), first, len(new), settings).new == new


def window_is_lost(patch: pytest.MonkeyPatch) -> None:
    honest = several.masked
    patch.setattr(
        several, "masked", lambda mask, pads: honest(mask, pads)._replace(first=0, free=0)
    )


def window_of_the_longest_row(patch: pytest.MonkeyPatch) -> None:
    honest = several.masked

    def planted(mask: torch.Tensor, pads: Sequence[int]) -> several.Masked:
        read = honest(mask, pads)
        return read._replace(free=read.first)

    patch.setattr(several, "masked", planted)


def rows_are_swapped(patch: pytest.MonkeyPatch) -> None:
    honest = Forward.together

    def planted(self: Forward, tokens: Sequence[int], caches: Sequence[object]) -> torch.Tensor:
        logits = honest(self, tokens, caches)  # type: ignore[arg-type]
        return logits.roll(1, 0) if len(tokens) > 4 else logits

    patch.setattr(Forward, "together", planted)


def a_segment_counts_twice(patch: pytest.MonkeyPatch) -> None:
    honest = several.parts
    patch.setattr(several, "parts", lambda rows: [honest(rows)[0]._replace(end=2), *honest(rows)])


def parts_are_joined_unweighed(patch: pytest.MonkeyPatch) -> None:
    honest = several.partial

    def planted(*asked: Any) -> Partial:
        found, largest, total = honest(*asked)
        return Partial(found / total[..., None], largest, torch.ones_like(total))

    patch.setattr(several, "partial", planted)


def parts_have_one_largest(patch: pytest.MonkeyPatch) -> None:
    honest = several.partial
    patch.setattr(
        several, "partial", lambda *asked: honest(*asked)._replace(largest=honest(*asked).total * 0)
    )


def a_shared_part_is_cut_short(patch: pytest.MonkeyPatch) -> None:
    honest = several.parts

    def planted(rows: Rows) -> list[Part]:
        return [part.between(part.start + (part.last - part.first > 1), part.end)
                for part in honest(rows)]  # fmt: skip

    patch.setattr(several, "parts", planted)


def rows_side_by_side_change_places(patch: pytest.MonkeyPatch) -> None:
    honest = Part.states

    def planted(self: Part, rows: Rows) -> tuple[torch.Tensor, ...]:
        return tuple(states.flip(0) for states in honest(self, rows))

    patch.setattr(Part, "states", planted)


@pytest.mark.parametrize(
    ("plant", "family"),
    [
        (window_is_lost, "gemma3"),
        (window_is_lost, "mistral"),
        (window_of_the_longest_row, "mistral"),
        (rows_are_swapped, "llama"),
        (a_segment_counts_twice, "gpt2"),
        (parts_are_joined_unweighed, "qwen3_moe"),
        (parts_have_one_largest, "llama"),
        (a_shared_part_is_cut_short, "qwen2"),
        (rows_side_by_side_change_places, "llama"),
    ],
)
def test_a_planted_bug_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], family: str, engine_of: EngineOf,
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    engine = engine_of(family)
    plant(monkeypatch)
    said, _ = explored(engine)

    assert truth.worst_error(model_of(family), said) > 1e-3


@pytest.mark.parametrize("plant", [a_segment_counts_twice, parts_are_joined_unweighed])
def test_the_probe_refuses_what_gives_other_logits(
    plant: Callable[[pytest.MonkeyPatch], None], engine_of: EngineOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plant(monkeypatch)
    engine = engine_of("llama")

    assert not engine.core.probed.shares
    assert engine.info.cache.endswith("copied by a branch that goes on")
    assert engine.info.feed == "batched"


class Passes(list[int]):
    """Rows of every pass of several rows."""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    seen, honest = Passes(), Forward.together

    def counted(self: Forward, tokens: Sequence[int], caches: Sequence[object]) -> torch.Tensor:
        seen.append(len(tokens))
        return honest(self, tokens, caches)  # type: ignore[arg-type]

    monkeypatch.setattr(Forward, "together", counted)
    return seen


def test_an_experiment_with_another_kernel_is_run_with_it(
    engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of()
    truth.run(engine, PROMPT, 40)
    (leaf,) = engine.core.leaves
    passes.clear()
    with kernels.attending(engine.core.forward.model, "eager"):
        engine.core.forward([70], 40, kv.fork(leaf.cache, 40))
    assert passes == []
    engine.core.forward([70], 40, kv.fork(leaf.cache, 40))
    assert passes == [1]


def test_a_turn_of_all_lanes_is_one_pass(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 10, SAMPLED) for number in range(8)]
    all_go(lanes, 1)
    passes.clear()
    all_go(lanes, 9)
    assert passes == [8] * 9


def test_lanes_that_open_wait_for_each_other(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 10, SAMPLED) for number in range(8)]
    passes.clear()
    all_go(lanes, 2)
    assert passes == [8]  # after the first lane's own
    assert [len(lane.run.new) for lane in lanes] == [2, *[1] * 7]


def test_a_lane_that_is_dropped_while_it_opens(engine_of: EngineOf) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 10, SAMPLED) for number in range(3)]
    all_go(lanes, 1)
    lanes[1].control.cancelled = True
    all_go(lanes, 20)
    assert lanes[1].run.new == []
    assert not any(leaf.busy for leaf in engine.core.leaves)
    for lane in (lanes[0], lanes[2]):
        expected = truth.run(engine_of(), lane.run.ids[:-10], 10, SAMPLED).new
        assert lane.run.new == expected


def test_a_prompt_of_one_token_opens_beside_a_lane(engine_of: EngineOf, model_of: ModelOf) -> None:
    engine = engine_of()
    lanes = [Lane(engine, ids, 6, GREEDY) for ids in (PROMPT, [5], [7])]
    all_go(lanes, 10)
    said = [said for lane in lanes for said in lane.run.said]
    assert truth.worst_error(model_of("llama"), said) <= 1e-4


def test_a_row_that_waits_is_run_ahead_by_one_token(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    held, going = (Lane(engine, [*base, token], 20, SAMPLED) for token in (60, 61))
    all_go([held, going], 2)
    passes.clear()
    all_go([going], 10)
    assert passes == [2, *[1] * 9]
    held.go()
    assert passes[10:] == []
    expected = truth.run(engine_of(), [*base, 60], 3, SAMPLED).new
    assert held.run.new == expected


def test_a_row_that_is_dropped_leaves_the_others_alone(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 20, SAMPLED) for number in range(3)]
    all_go(lanes, 3)
    del lanes[1]
    passes.clear()
    all_go(lanes, 4)
    assert passes == [2] * 4
    for lane in lanes:
        new = lane.run.new
        begin = lane.run.ids[: -len(new)]
        assert truth.run(engine_of(), begin, len(new), SAMPLED).new == new


def test_what_a_pass_gave_a_row_that_is_cancelled_is_kept(
    engine_of: EngineOf,
) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    one, other = (Lane(engine, [*base, token], 20, SAMPLED) for token in (60, 61))
    all_go([one, other], 3)
    one.go()
    other.control.cancelled = True
    all_go([other], 2)
    assert other.run.ended.reason == "interrupted"
    ids = other.run.ids
    assert len(engine.core.leaves) >= 2
    assert engine.rows(ids, 0, 3).source == "stored"


def test_a_row_that_is_no_numbers_is_nobody_s_when_its_stream_is_cancelled(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, honest = engine_of(), Forward.together
    base = truth.run(engine, PROMPT, 40).ids
    one, other = (Lane(engine, [*base, token], 20, GREEDY) for token in (60, 61))
    all_go([one, other], 3)

    def broken(self: Forward, tokens: Sequence[int], caches: Sequence[Any]) -> torch.Tensor:
        logits = honest(self, tokens, caches).clone()
        logits[1:] = torch.nan
        return logits

    monkeypatch.setattr(Forward, "together", broken)
    one.go()
    other.control.cancelled = True
    all_go([other], 3)
    assert other.run.ended.reason == "interrupted"
    one.control.cancelled = True
    all_go([one], 3)
    assert not any(leaf.busy for leaf in engine.core.leaves)


def test_a_failed_pass_empties_all_its_rows_and_none_is_lost(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 8, SAMPLED) for number in range(3)]
    all_go(lanes, 3)
    layer = engine.core.forward.model.model.layers[1]
    honest = layer.forward

    def failing(*_: object, **__: object) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(layer, "forward", failing)
    with pytest.raises(KeyboardInterrupt):
        lanes[0].go()
    monkeypatch.setattr(layer, "forward", honest)
    all_go(lanes[1:], 10)
    for lane in lanes[1:]:
        assert truth.run(engine_of(), lane.run.ids[:-8], 8, SAMPLED).new == lane.run.new


def test_rows_that_are_held_no_longer_are_not_computed_twice(
    engine_of: EngineOf, passes: Passes, model_of: ModelOf
) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    engine.core.rows_held.clear()
    engine.core.rows_held.limit = 3 * 4 * families.ROWS
    passes.clear()
    paths = [[*base, 60 + number] for number in range(16)]
    rows = engine.rows_of(paths)
    assert passes == [16]
    for path, row in zip(paths, rows, strict=True):
        worst = abs(row.logits - truth.logits_alone(model_of("llama"), path)).max()
        assert worst <= 1e-4


def test_rows_of_unequal_length_share_no_pass_where_a_cache_s_length_scales_queries() -> None:
    # Llama 4 has no positions on some layers, and tells how far a token is by its cache alone.
    config = hf.Llama4TextConfig(
        vocab_size=families.ROWS, hidden_size=32, intermediate_size=48, intermediate_size_mlp=48,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        num_local_experts=2, floor_scale=32, attn_scale=0.5, attention_chunk_size=8192,
    )  # fmt: skip
    made = families.spread(lambda: hf.AutoModelForCausalLM.from_config(config).eval())
    engine = LocalEngine(families.loaded(made))
    assert not engine.info.capabilities.shares
    ids = [(7 * place) % 89 + 1 for place in range(70)]
    engine.row(ids)
    paths = [[*ids[:length], 90] for length in (64, 62, 33, 20)]
    for path, row in zip(paths, engine.rows_of(paths), strict=True):
        assert abs(row.logits - truth.logits_alone(made, path)).max() <= 1e-4


def test_continuations_are_rows_of_one_pass(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40, SAMPLED).ids
    engine.describe(base)
    held, rows = list(engine.core.leaves), len(engine.core.rows_held)
    lengths = [len(leaf) for leaf in held]
    passes.clear()
    request = StreamRequest(tuple(base), SAMPLED, 6, ignore_eos=True)
    engine.continuations(request, (1, 2, 3, 4), Control())
    assert passes == [4] * 5
    assert list(engine.core.leaves) == held
    assert [len(leaf) for leaf in held] == lengths
    assert len(engine.core.rows_held) == rows
