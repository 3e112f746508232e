"""Streams that run at once on a common beginning: every number against a plain full pass."""

from collections.abc import Callable, Sequence

import pytest
import torch
from support import families, truth
from support.truth import GREEDY, SAMPLED, Said
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, StreamEvent, StreamRequest
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kernels
from tokexplore.models.engine.forward import rows as several
from tokexplore.models.engine.forward.forward_pass import Forward
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
    assert {"fork", "step", *(f"step of {n} rows" for n in range(2, 7))} <= together
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
    patch.setattr(several.Masks, "read", lambda *_: (0, None))


def window_of_the_longest_row(patch: pytest.MonkeyPatch) -> None:
    honest = several.Masks.read
    patch.setattr(several.Masks, "read", lambda self, mask: (honest(self, mask)[0], None))


def rows_are_swapped(patch: pytest.MonkeyPatch) -> None:
    honest = Forward.together

    def planted(self: Forward, tokens: Sequence[int], caches: Sequence[object]) -> torch.Tensor:
        logits = honest(self, tokens, caches)  # type: ignore[arg-type]
        return logits.roll(1, 0) if len(tokens) > 4 else logits

    patch.setattr(Forward, "together", planted)


def a_segment_counts_twice(patch: pytest.MonkeyPatch) -> None:
    honest = several.RowsLayer._pieces

    def planted(self: several.RowsLayer) -> list[several.Piece]:
        pieces = honest(self)
        doubled = pieces[0]._replace(start=0, end=2, offset=0)
        return [
            doubled,
            *(piece._replace(start=piece.start + 2, end=piece.end + 2) for piece in pieces),
        ]

    patch.setattr(several.RowsLayer, "_pieces", planted)


def parts_are_joined_unweighed(patch: pytest.MonkeyPatch) -> None:
    honest = several._part

    def planted(scores: torch.Tensor, *where: object) -> torch.Tensor:
        part = honest(scores, *where)  # type: ignore[arg-type]
        weights = bool((scores >= 0).all())
        return part / part.sum(-1, keepdim=True).clamp(min=1e-9) if weights else part

    patch.setattr(several, "_part", planted)


def a_shared_part_is_cut_short(patch: pytest.MonkeyPatch) -> None:
    honest = several.Piece.since
    patch.setattr(
        several.Piece,
        "since",
        lambda self, position: honest(self, position + (self.last - self.first > 1)),
    )


@pytest.mark.parametrize(
    ("plant", "family"),
    [
        (window_is_lost, "gemma3"),
        (window_is_lost, "mistral"),
        (window_of_the_longest_row, "mistral"),
        (rows_are_swapped, "llama"),
        (a_segment_counts_twice, "gpt2"),
        (parts_are_joined_unweighed, "qwen3_moe"),
        (a_shared_part_is_cut_short, "qwen2"),
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


@pytest.mark.parametrize("family", ["llama", "mistral", "gpt_oss"])
def test_a_row_alone_has_the_weights_of_the_eager_kernel(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    base = truth.run(engine, PROMPT, 40).ids
    (leaf,) = engine.core.leaves
    forward, found = engine.core.forward, list[torch.Tensor]()
    block = forward.model.model.layers[0].self_attn
    handle = block.register_forward_hook(lambda _module, _inputs, output: found.append(output[1]))
    try:
        forward([70], 40, kv.fork(leaf.cache, 40))
        with kernels.attending(forward.model, "eager"):
            forward([*base[:40], 70], 0, None)
    finally:
        handle.remove()
    assert torch.allclose(found[0], found[1][:, :, -1:], atol=1e-6)


def test_a_turn_of_all_lanes_is_one_pass(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    base = truth.run(engine, PROMPT, 40).ids
    lanes = [Lane(engine, [*base, 60 + number], 10, SAMPLED) for number in range(8)]
    all_go(lanes, 1)
    passes.clear()
    all_go(lanes, 9)
    assert passes == [8] * 9


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
        begin, new = lane.run.ids[:-7], lane.run.new
        assert truth.run(engine_of(), begin, 7, SAMPLED).new == new


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
