"""Continuations in one batch: numbers of a plain full pass, draws of single streams."""

from collections.abc import Callable

import numpy as np
import pytest
from support import families, truth
from transformers import PreTrainedModel

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import Continuation, Control, StreamRequest
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings

PROMPT = (3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79)
SETTINGS = SamplingSettings(temperature=1.5, top_p=0.95)
SEEDS = (5, 6, 7, 8)
EngineOf = Callable[..., LocalEngine]
ModelOf = Callable[[str], PreTrainedModel]
BATCHED = ("llama", "gpt2", "qwen2", "qwen3_moe", "gemma3", "mistral")


def request(count: int = 24, **more: object) -> StreamRequest:
    options = {"ignore_eos": True, **more}
    return StreamRequest(PROMPT, SETTINGS, count, **options)  # type: ignore[arg-type]


def worst(model: PreTrainedModel, run: Continuation) -> float:
    """The largest difference of a logprob or an entropy from a full pass."""
    logits = truth.logits_after(model, [*PROMPT, *run.ids])[len(PROMPT) - 1 : -1]
    logprobs = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
    entropies = -(np.exp(logprobs) * logprobs).sum(axis=1)
    told = logprobs[np.arange(len(run.ids)), list(run.ids)]
    return max(np.abs(told - run.logprobs).max(), np.abs(entropies - run.entropies).max())


@pytest.mark.parametrize("family", BATCHED)
def test_all_numbers_of_a_batch_are_those_of_a_full_pass(
    family: str, engine_of: EngineOf, model_of: ModelOf
) -> None:
    engine = engine_of(family)
    assert engine.info.capabilities == Capabilities(batches=True, shares=True)
    runs = engine.continuations(request(), SEEDS, Control())

    assert [run.seed for run in runs] == list(SEEDS)
    assert len({run.ids for run in runs}) > 1
    for run in runs:
        assert (len(run.ids), run.ended) == (24, "length")
        assert worst(model_of(family), run) <= families.tolerance(family)


@pytest.mark.parametrize("family", BATCHED)
def test_the_draws_are_those_of_single_streams(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    runs = engine.continuations(request(), SEEDS, Control())
    for run in runs:
        settings = SamplingSettings(1.5, top_p=0.95, seed=run.seed)
        assert truth.run(engine, PROMPT, 24, settings).new == list(run.ids)


@pytest.mark.parametrize("family", ["rwkv", "nemotron_h", "lfm2"])
def test_a_model_without_batches_runs_one_row(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    (run,) = engine.continuations(request(8), SEEDS[:1], Control())
    settings = SamplingSettings(1.5, top_p=0.95, seed=run.seed)
    single = truth.run(engine, PROMPT, 8, settings)

    assert single.new == list(run.ids)
    logprobs = [said.standing.logprob for said in single.said]  # type: ignore[union-attr]
    assert np.abs(np.array(logprobs) - run.logprobs).max() < 1e-4


def test_streams_before_and_after_a_batch_are_not_disturbed(
    engine_of: EngineOf, model_of: ModelOf
) -> None:
    engine = engine_of("llama")
    before = truth.run(engine, PROMPT, 10)
    engine.continuations(request(), SEEDS, Control())
    after = truth.run(engine, before.ids, 10, describe_end=True)
    assert truth.worst_error(model_of("llama"), [*before.said, *after.said]) <= 1e-4


def test_each_row_ends_by_itself(engine_of: EngineOf) -> None:
    engine = engine_of("llama")
    runs = engine.continuations(request(), SEEDS, Control())
    stop = runs[0].ids[3]
    cut = engine.continuations(request(stop_ids=(stop,)), SEEDS, Control())
    for whole, run in zip(runs, cut, strict=True):
        assert run.ids == whole.ids[: len(run.ids)]
        ended = stop in whole.ids
        assert run.ended == ("stop" if ended else "length")
        assert not ended or run.ids[-1] == stop


def test_a_batch_ends_at_the_context(engine_of: EngineOf) -> None:
    engine = engine_of("llama")
    runs = engine.continuations(request(10_000), (1, 2), Control())
    assert {run.ended for run in runs} == {"context"}
    assert {len(PROMPT) + len(run.ids) for run in runs} == {engine.info.context}


def test_a_cancelled_batch_tells_nothing_and_other_caches_run_none(engine_of: EngineOf) -> None:
    control = Control()
    control.cancelled = True
    assert engine_of("llama").continuations(request(), SEEDS, control) == []
    hybrid = engine_of("lfm2")
    assert not hybrid.info.capabilities.batches
    with pytest.raises(UsageError, match="runs no batches"):
        hybrid.continuations(request(), SEEDS, Control())
