"""How a stream draws, is steered, and ends."""

from collections.abc import Callable

import pytest
import torch
from support import families, truth
from support.truth import GREEDY, SAMPLED
from transformers import PreTrainedModel

from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import OutOfMemoryError, UsageError
from tokexplore.models.sampling.randomness import path_key, uniform
from tokexplore.models.sampling.settings import SamplingSettings

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
EngineOf = Callable[..., LocalEngine]


def request(ids: list[int], count: int, **options: object) -> StreamRequest:
    return StreamRequest(tuple(ids), GREEDY, count, **options)  # type: ignore[arg-type]


class TestDrawing:
    def test_greedy_is_generate(
        self, engine_of: EngineOf, model_of: Callable[[str], PreTrainedModel]
    ) -> None:
        for family in ("llama", "gemma3", "lfm2", "mamba"):
            expected = (
                model_of(family)
                .generate(
                    torch.tensor([PROMPT]),
                    attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
                    max_new_tokens=40,
                    do_sample=False,
                    eos_token_id=None,
                    pad_token_id=0,
                )[0]
                .tolist()
            )

            assert truth.run(engine_of(family), PROMPT, 40).ids == expected

    def test_a_token_depends_on_seed_and_path_alone(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        expected = truth.run(engine, PROMPT, 20, SAMPLED)
        truth.run(engine, [*expected.ids[:18], 70], 10, SAMPLED)
        truth.run(engine, [60, *PROMPT], 10)

        again = truth.run(engine, PROMPT, 20, SAMPLED)
        elsewhere = truth.run(engine_of(), expected.ids[:17], 15, SAMPLED)

        assert again.ids == expected.ids == elsewhere.ids
        for drawn in expected.drawn:
            path = expected.ids[: drawn.position]
            assert drawn.uniform == uniform(path_key(SAMPLED.seed, path), 0)
            assert drawn.chosen_by == "sampled"

    def test_another_seed_and_another_draw_give_other_tokens(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        hot = SamplingSettings(temperature=2.0, seed=1)

        runs = [truth.run(engine, PROMPT, 10, hot), truth.run(engine, PROMPT, 10, hot, draw=1)]
        runs.append(truth.run(engine, PROMPT, 10, SamplingSettings(temperature=2.0, seed=2)))

        assert len({tuple(run.ids) for run in runs}) == 3
        assert [drawn.draw for drawn in runs[1].drawn] == [1] + [0] * 9
        assert runs[1].drawn[0].uniform == uniform(path_key(1, PROMPT), 1)

    def test_the_sampler_logprob_is_that_of_the_settings_in_force(
        self, engine_of: EngineOf
    ) -> None:
        engine = engine_of()
        run = truth.run(engine, PROMPT, 10, SAMPLED)

        for drawn in run.drawn:
            view = engine.reshape(run.ids[: drawn.position], SAMPLED)
            assert drawn.sampler == view
            expected = view.fate(drawn.standing.token, drawn.standing.logit).logprob
            assert drawn.sampler_logprob == expected < 0

    def test_settings_changed_while_it_runs_hold_from_the_next_token(
        self, engine_of: EngineOf
    ) -> None:
        control, chosen = Control(), []
        for event in engine_of().stream(request(PROMPT, 9, ignore_eos=True), control):
            if isinstance(event, DrawnToken):
                chosen.append((event.chosen_by, event.sampler.settings.seed))
                if len(chosen) == 3:
                    control.settings = SAMPLED
                if len(chosen) == 6:
                    control.settings = SamplingSettings(temperature=1.0, seed=9)

        assert chosen == [("greedy", 0)] * 3 + [("sampled", 7)] * 3 + [("sampled", 9)] * 3

    def test_bad_settings_are_named(self, engine_of: EngineOf) -> None:
        with pytest.raises(UsageError, match="top-p 3"):
            truth.run(engine_of(), PROMPT, 2, SamplingSettings(temperature=1.0, top_p=3.0))

    def test_as_many_candidates_as_asked_are_stored(self, engine_of: EngineOf) -> None:
        run = truth.run(engine_of(), PROMPT, 2, top=5, score_prompt=True, describe_end=True)

        assert {len(said.distribution) for said in run.said} == {5}

    def test_a_token_outside_the_list_has_its_true_rank(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        run = truth.run(engine, PROMPT, 20, SamplingSettings(temperature=3.0), top=2)

        assert any(drawn.standing.rank > 2 for drawn in run.drawn)
        for drawn in run.drawn:
            path = run.ids[: drawn.position]
            assert engine.standings(path, [drawn.standing.token]) == [drawn.standing]


class TestEnding:
    def test_length(self, engine_of: EngineOf) -> None:
        run = truth.run(engine_of(), PROMPT, 4)

        assert run.ended == StreamEnded(16, "length")
        assert len(run.new) == 4

    def test_no_new_tokens_describe_the_path(self, engine_of: EngineOf) -> None:
        run = truth.run(engine_of(), PROMPT, 0, describe_end=True)

        assert [type(e) for e in run.events] == [Described, StreamEnded]
        assert run.ended.reason == "length"

    def test_an_end_token_is_yielded_and_ends(self, engine_of: EngineOf) -> None:
        plain = truth.run(engine_of(), PROMPT, 10)
        end = plain.new[4]
        first = plain.new.index(end)

        ended = truth.run(
            engine_of(eos_ids=(90, end)), PROMPT, 10, ignore_eos=False, describe_end=True
        )
        ignored = truth.run(engine_of(eos_ids=(end,)), PROMPT, 10)

        assert ended.ended == StreamEnded(len(PROMPT) + first + 1, "eos")
        assert ended.new == plain.new[: first + 1]
        assert isinstance(ended.events[-2], Described)
        assert ignored.new == plain.new

    def test_the_end_of_a_turn_ends(self, engine_of: EngineOf) -> None:
        plain = truth.run(engine_of(), PROMPT, 10)
        ends = {"turn_ids": (plain.new[3],)}

        run = truth.run(engine_of(), PROMPT, 10, ignore_eos=False, **ends)
        ignored = truth.run(engine_of(), PROMPT, 10, **ends)

        assert run.ended.reason == "end of turn"
        assert run.new == plain.new[: plain.new.index(plain.new[3]) + 1]
        assert ignored.new == plain.new

    def test_a_stop_id_ends(self, engine_of: EngineOf) -> None:
        plain = truth.run(engine_of(), PROMPT, 10)

        run = truth.run(engine_of(), PROMPT, 10, stop_ids=(plain.new[3],))

        assert run.ended.reason == "stop"
        assert run.new == plain.new[: plain.new.index(plain.new[3]) + 1]

    def test_a_stop_text_is_met_across_tokens(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        plain = truth.run(engine, PROMPT, 20)
        text = engine.vocabulary.text(plain.new)
        stop = text[6:9]
        first = text.index(stop)

        run = truth.run(engine, PROMPT, 20, stops_from=len(PROMPT), stop_texts=("never~", stop))

        assert run.ended == StreamEnded(len(PROMPT) + first + 3, "stop", stop)

    def test_a_stop_text_may_begin_before_the_stream(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        plain = truth.run(engine, PROMPT, 20)
        text = engine.vocabulary.text(plain.new)
        going_on = plain.ids[: len(PROMPT) + 7]

        run = truth.run(engine, going_on, 13, stops_from=len(PROMPT), stop_texts=(text[5:9],))
        in_prompt = truth.run(
            engine, going_on, 2, stops_from=len(going_on), stop_texts=(text[5:9],)
        )

        assert run.new == plain.new[7:9]
        assert in_prompt.ended.reason == "length"

    def test_one_goes_on_past_a_stop_text(self, engine_of: EngineOf) -> None:
        engine = engine_of()
        plain = truth.run(engine, PROMPT, 12)
        stop = engine.vocabulary.text(plain.new)[3:6]
        options = {"stops_from": len(PROMPT), "stop_texts": (stop,)}
        stopped = truth.run(engine, PROMPT, 12, **options)

        more = truth.run(engine, stopped.ids, 1, **options)

        assert stopped.ended.detail == stop
        assert len(more.new) == 1

    def test_the_context_ends(self, engine_of: EngineOf) -> None:
        run = truth.run(engine_of(context=20), PROMPT, 100, describe_end=True)

        assert run.ended == StreamEnded(20, "context")
        assert len(run.ids) == 20

    def test_a_model_without_a_named_context_goes_on(self, engine_of: EngineOf) -> None:
        assert truth.run(engine_of("mamba", context=0), PROMPT, 200).ended.reason == "length"

    def test_a_path_longer_than_the_context_is_refused(self, engine_of: EngineOf) -> None:
        with pytest.raises(UsageError, match="12 tokens long and the context of tiny is 10"):
            truth.run(engine_of(context=10), PROMPT, 1)

    def test_bad_paths_are_refused(self, engine_of: EngineOf) -> None:
        with pytest.raises(UsageError, match="token 96"):
            engine_of().describe([1, 96])
        with pytest.raises(UsageError, match="empty path"):
            engine_of().describe([])
        with pytest.raises(UsageError, match="position 0"):
            engine_of().score(PROMPT, 0, Control())

    def test_cancelling_ends_before_the_next_pass(
        self, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine, control = engine_of(), Control()
        events: list[StreamEvent] = []
        for event in engine.stream(request(PROMPT, 50), control):
            events.append(event)
            if len(events) == 5:
                control.cancelled = True
                monkeypatch.setattr(Forward, "__call__", None)

        assert events[-1] == StreamEnded(17, "interrupted")
        assert len(events) == 6

    def test_a_cancelled_stream_can_describe_its_end(self, engine_of: EngineOf) -> None:
        control = Control()
        control.cancelled = True

        run = truth.run(engine_of(), PROMPT, 5, control=control, describe_end=True)

        assert [type(e) for e in run.events] == [Described, StreamEnded]
        assert run.ended.reason == "interrupted"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefill, "CHUNK", 16)


@pytest.mark.usefixtures("small_chunks")
class TestPrefill:
    PATH = tuple(torch.randint(0, 90, (100,), generator=torch.manual_seed(3)).tolist())

    def test_progress_is_told(self, engine_of: EngineOf) -> None:
        events = list(engine_of().stream(request(list(self.PATH), 1), Control()))

        told = [e for e in events if isinstance(e, Progress)]
        assert [e.done for e in told] == list(range(16, 100, 16))
        assert {(e.stage, e.total) for e in told} == {("prefill", 100)}

    def test_it_is_cancelled_between_chunks_and_goes_on_from_there(
        self, engine_of: EngineOf
    ) -> None:
        engine, control = engine_of(), Control()
        events: list[StreamEvent] = []
        for event in engine.stream(request(list(self.PATH), 1), control):
            events.append(event)
            control.cancelled = len(events) == 2

        assert events[-1] == StreamEnded(100, "interrupted")
        assert not any(isinstance(e, DrawnToken) for e in events)
        assert truth.run(engine, self.PATH, 1).sources == ["re-fed 68"]

    def test_scores_come_before_the_first_token_when_asked_for(self, engine_of: EngineOf) -> None:
        events = list(engine_of().stream(request(list(self.PATH), 1, score_prompt=True), Control()))

        kinds = [type(e) for e in events if not isinstance(e, Progress)]
        assert kinds == [ScoredToken] * 99 + [DrawnToken, StreamEnded]

    def test_a_score_is_cancelled_between_chunks(self, engine_of: EngineOf) -> None:
        control, scored = Control(), 0
        for event in engine_of().score(self.PATH, 1, control):
            scored += isinstance(event, ScoredToken)
            control.cancelled = scored > 20

        assert scored == 32

    def test_scoring_keeps_few_rows_of_logits(
        self, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        most, honest = 0, Forward.__call__

        def watched(
            self: Forward, tokens: list[int], start: int, cache: object, keep: int = 1
        ) -> torch.Tensor:
            nonlocal most
            logits = honest(self, tokens, start, cache, keep)
            most = max(most, logits.shape[0])
            return logits

        engine = engine_of()
        monkeypatch.setattr(prefill, "_LOGIT_BYTES", 4 * families.ROWS * 5)
        monkeypatch.setattr(Forward, "__call__", watched)

        scored = [e for e in engine.score(self.PATH, 1, Control()) if isinstance(e, ScoredToken)]

        assert len(scored) == 99
        assert most == 5


class TestMemory:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
        """Makes every pass over more than 20 positions fail."""

        def fail_with(error: Exception) -> None:
            honest = Forward.__call__

            def planted(
                self: Forward, tokens: list[int], start: int, cache: object, keep: int = 1
            ) -> torch.Tensor:
                if start + len(tokens) > 20:
                    raise error
                return honest(self, tokens, start, cache, keep)

            monkeypatch.setattr(Forward, "__call__", planted)

        return fail_with

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory"),
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            ),
            MemoryError(),
        ],
    )
    def test_out_of_memory_is_explained_and_survived(
        self, error: Exception, engine_of: EngineOf, failing: Callable[[Exception], None]
    ) -> None:
        engine = engine_of()
        expected = truth.run(engine, PROMPT, 8).new
        failing(error)

        events: list[StreamEvent] = []
        with pytest.raises(OutOfMemoryError, match="no memory is left on cpu"):
            events.extend(engine.stream(request(PROMPT, 30), Control()))

        assert len(events) == 9
        assert len(engine.core.leaves) == len(engine.core.rows_held) == 0
        assert truth.run(engine, PROMPT, 8).new == expected

    def test_other_failures_are_not_taken_for_it(
        self, engine_of: EngineOf, failing: Callable[[Exception], None]
    ) -> None:
        engine = engine_of()
        failing(RuntimeError("shapes differ"))

        with pytest.raises(RuntimeError, match="shapes differ"):
            truth.run(engine, PROMPT, 30)
