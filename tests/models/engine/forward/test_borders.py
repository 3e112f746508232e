"""Paths on both sides of a length at which a model turns all of its positions otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support import families, truth
from support.families import BORDER
from support.truth import SAMPLED, Said
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, ScoredToken, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
BORDERED = (*families.LONGROPE, *families.DYNAMIC)
EngineOf = Callable[..., LocalEngine]
ModelOf = Callable[[str], PreTrainedModel]


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefill, "CHUNK", 16)


def scored(engine: LocalEngine, path: list[int], start: int) -> list[Said]:
    events = engine.score(path, start, Control())
    return [
        Said(tuple(path[: e.position]), e.distribution, e.standing)
        for e in events
        if isinstance(e, ScoredToken)
    ]


def explored(engine: LocalEngine) -> list[Said]:
    """Across the border and back: streams, branches, typed paths, questions, scores."""
    main = truth.run(engine, PROMPT, 50, describe_end=True)
    said = list(main.said)
    for depth in (20, BORDER - 1, BORDER, BORDER + 1, BORDER + 9):
        said += truth.run(engine, [*main.ids[:depth], 70], 3, SAMPLED, describe_end=True).said
        said += truth.run(engine, main.ids[:depth], 2).said
    for length in (BORDER - 3, BORDER, BORDER + 1, BORDER + 15):
        typed = [7, *main.ids[:length]][:length]
        said.append(Said(tuple(typed), engine.describe(typed)))
    said += truth.run(engine, main.ids[: BORDER + 4], 4, SAMPLED, score_prompt=True).said
    for start in (1, BORDER - 1, BORDER, BORDER + 1, BORDER + 2):
        said += scored(engine, main.ids[: BORDER + 6], start)
    return said


@pytest.mark.parametrize("family", BORDERED)
def test_all_numbers_are_those_of_a_pass_over_the_path_alone(
    family: str, engine_of: EngineOf, model_of: ModelOf
) -> None:
    engine = engine_of(family)
    said = explored(engine)

    assert {len(claim.path) for claim in said} >= set(range(1, 62))
    assert truth.worst_error_alone(model_of(family), said) <= 1e-4


def test_the_greedy_path_is_that_of_generate(engine_of: EngineOf, model_of: ModelOf) -> None:
    ids = torch.tensor([PROMPT])
    expected = model_of("phi3_longrope").generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )[0].tolist()  # fmt: skip

    assert truth.run(engine_of("phi3_longrope"), PROMPT, 60).ids == expected


def test_only_the_step_across_the_border_is_fed_again(engine_of: EngineOf) -> None:
    engine = engine_of("phi3_longrope")
    main = truth.run(engine, PROMPT, 50)
    again = f"re-fed {BORDER + 1}"
    assert main.sources == ["prefill", *["step"] * (BORDER - 12), again, *["step"] * 20]

    assert f"past {BORDER} tokens is fed again whole" in engine.info.cache
    engine.core.rows_held.clear()
    branches = [truth.run(engine, main.ids[:depth], 2).sources for depth in (20, BORDER, 50)]
    assert branches == [["fork", "step"], ["fork", "fork"], ["fork", "step"]]


def test_every_step_beyond_a_dynamic_border_is_fed_again(engine_of: EngineOf) -> None:
    engine = engine_of("llama_dynamic")
    main = truth.run(engine, PROMPT, 35)

    beyond = [f"re-fed {n}" for n in range(BORDER + 1, len(PROMPT) + 35)]
    assert main.sources == ["prefill", *["step"] * (BORDER - 12), *beyond]
    assert f"beyond {BORDER} tokens every step" in engine.info.cache
    engine.core.rows_held.clear()
    assert truth.run(engine, main.ids[:20], 2).sources == ["fork", "step"]


@pytest.mark.parametrize("family", families.DYNAMIC)
def test_a_path_does_not_remember_what_was_run_before_it(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    path = [(7 * n + 3) % families.ROWS for n in range(100)]
    lengths = (BORDER, BORDER + 1, 70)
    before = [list(engine.describe(path[:n]).logit_view) for n in lengths]
    engine.describe(path)
    engine.core.rows_held.clear()

    for n, logits in zip(lengths, before, strict=True):
        assert list(engine.describe(path[:n]).logit_view) == pytest.approx(logits, abs=1e-4)


def test_a_prompt_beyond_the_border_is_fed_in_one_piece_and_then_in_chunks(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of("phi3_longrope")
    seen, honest = [], Forward.__call__

    def counted(self, tokens, start, cache, keep=1):  # type: ignore[no-untyped-def]
        seen.append((start, len(tokens)))
        return honest(self, tokens, start, cache, keep)

    monkeypatch.setattr(Forward, "__call__", counted)
    engine.describe([5] * 70)

    assert seen == [(0, 48), (48, 16), (64, 6)]


@pytest.mark.parametrize("family", BORDERED)
def test_batches_cross_the_border_as_single_streams_do(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    path = tuple(truth.run(engine, PROMPT, 20).ids)
    settings = truth.SamplingSettings(1.5, top_p=0.95)
    for prompt in (path, path + path):
        asked = StreamRequest(prompt, settings, 16, ignore_eos=True, stop_ids=(5, 50))
        for run in engine.continuations(asked, (5, 6, 7), Control()):
            single = truth.run(
                engine, prompt, 16, truth.SamplingSettings(1.5, top_p=0.95, seed=run.seed),
                stop_ids=(5, 50),
            )  # fmt: skip
            assert single.new == list(run.ids)
            logprobs = [said.standing.logprob for said in single.said]  # type: ignore[union-attr]
            assert np.abs(np.array(logprobs) - run.logprobs).max() < 1e-4


class TestBench:
    @pytest.mark.parametrize("family", BORDERED)
    def test_a_trace_and_a_run_tell_the_same_as_a_stream(
        self, family: str, engine_of: EngineOf, model_of: ModelOf
    ) -> None:
        engine = engine_of(family)
        path = truth.run(engine, PROMPT, 40).ids
        first = len(PROMPT)
        wanted = [truth.logits_alone(model_of(family), path[:n]) for n in range(first, 53)]

        for stepwise in (True, False):
            told = engine.bench.trace(path, first, Execution(), Control(), stepwise=stepwise)
            rows = np.concatenate([logits[-(done - first + 1) :] for done, logits in told])
            assert np.abs(rows - wanted).max() < 1e-4
        asked = StreamRequest(tuple(PROMPT), truth.GREEDY, 40, ignore_eos=True)
        assert truth.Run(PROMPT, engine.bench.run(asked, Execution(), Control())).ids == path

    def test_what_would_mix_both_sides_is_refused(self, engine_of: EngineOf) -> None:
        engine = engine_of("phi3_longrope")
        long, short = tuple(range(50)), tuple(range(20))
        asked = StreamRequest(short, truth.GREEDY, 30)
        mixed = Execution((long,))
        for use in (
            lambda: engine.bench.run(asked, mixed, Control()),
            lambda: engine.bench.run(asked, Execution((short,)), Control()),
            lambda: engine.bench.trace(long, 20, mixed, Control(), stepwise=True),
            lambda: engine.bench.trace(long, 45, Execution(chunk=8), Control(), stepwise=False),
        ):
            with pytest.raises(UsageError, match=f"other rules .* more than {BORDER} tokens"):
                list(use())
        engine = engine_of("phimoe_longrope")
        with pytest.raises(UsageError, match=f"more than {BORDER} tokens"):
            engine.bench.routing(long, 20, Execution(), Control(), stepwise=False)

    def test_batches_on_one_side_are_not(self, engine_of: EngineOf) -> None:
        engine = engine_of("phi3_longrope")
        asked = StreamRequest(tuple(range(50)), truth.GREEDY, 8, ignore_eos=True)
        beside = Execution((tuple(range(60)),), together=True)

        alone = truth.Run(asked.ids, engine.stream(asked, Control()))
        batch = truth.Run(asked.ids, engine.bench.run(asked, beside, Control()))

        assert batch.ids == alone.ids
