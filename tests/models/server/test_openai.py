"""OpenAI's completions on the embedded model: what is named has the model's ids and numbers."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.served import check, events, opened, steps
from support.stub_openai import written
from support.stub_server import Stub, send, serving

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.traffic import Load, Traffic
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.lab.experiment import Experiment, planned
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

COMPLETIONS = "/v1/completions"
LISTED = 5
AGAIN = "which is no one token's exact bytes"


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


@pytest.fixture
def stub(local: LocalEngine) -> Stub:
    return Stub(local, "openai", limit=LISTED)


@pytest.fixture
def engine(stub: Stub) -> Iterator[ServerEngine]:
    with serving(stub) as url:
        yield opened(url)


def test_what_it_can_do_is_found_out(engine: ServerEngine, local: LocalEngine) -> None:
    assert engine.info.capabilities == Capabilities(
        listed=LISTED, prompt_scores=False, instruments=False, serves=True, cold=False
    )
    assert engine.info.eos_ids == local.info.eos_ids
    assert engine.vocabulary.rows == local.info.vocabulary
    said = " ".join(what for what, _ in engine.info.evidence)
    for words in (
        "goes on with ids as with their text (as many tokens)",
        "up to 5 candidates as texts; the tokenizer here has 80 of 80",
        "before its sampler",
        "twice alike by one seed",
        "no logprobs of a prompt",
        "prefix cache",
    ):
        assert words in said
    with pytest.raises(UsageError, match="gives no logprobs of tokens that it is given"):
        list(engine.score(engine.encode("The king"), 1, Control()))


@pytest.mark.parametrize("in_an_event", [1, 3])
def test_a_greedy_stream_is_the_models(
    stub: Stub, engine: ServerEngine, local: LocalEngine, in_an_event: int
) -> None:
    stub.manners.in_an_event = in_an_event
    ours = steps(engine, "Once upon a time")
    check(ours, steps(local, "Once upon a time"))
    assert {step.chosen_by for step in ours} == {"greedy"}
    assert {len(step.distribution) for step in ours} == {LISTED}


def test_our_sampler_draws_where_it_can(engine: ServerEngine, local: LocalEngine) -> None:
    how, text = {"temperature": 0.3, "top_p": 0.6, "seed": 5}, "Once upon a time"
    ours, theirs = steps(engine, text, **how), steps(local, text, **how)
    same = next((i for i, step in enumerate(ours) if step.chosen_by == "server"), len(ours))
    assert same > 2
    check(ours[:same], theirs[:same])


def test_a_token_outside_the_list_has_its_logprob_and_no_rank(
    engine: ServerEngine, local: LocalEngine
) -> None:
    path, outside = list(engine.encode("The king")), 0
    for step in steps(engine, "The king", temperature=1.9, seed=1):
        (truth,) = local.standings(path, [step.standing.token])
        assert step.standing.logprob == pytest.approx(truth.logprob, abs=1e-5)
        assert step.standing.rank == (truth.rank if step.standing.index >= 0 else 0)
        assert len(step.distribution) == LISTED
        outside += step.standing.index < 0
        path.append(step.standing.token)
    assert outside


def test_half_a_character_is_a_step(engine: ServerEngine, local: LocalEngine) -> None:
    ids = engine.encode("国")
    assert len(ids) > 1
    for cut in range(1, len(ids)):
        check(events(engine, ids[:cut], 4)[0], events(local, ids[:cut], 4)[0])


def test_what_stands_below_a_candidate_without_a_name_has_no_rank(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    ids = engine.encode("Once upon a time")
    truth = local.describe(ids)
    for text in ("\ufffd", "", "no token has all of this"):
        stub.manners.texts = {truth.id_view[2]: text}
        told = engine.describe(ids)
        assert told.ids == truth.ids[:8]
        assert told.tail_mass() == pytest.approx(truth.tail_mass(2), abs=1e-5)
    stub.manners.texts = {truth.id_view[0]: "\ufffd"}
    with pytest.raises(ServerError, match=r"the most probable token there is «.», " + AGAIN):
        engine.describe(ids)


@pytest.mark.parametrize("in_an_event", [1, 3])
def test_a_sampled_token_without_a_name_stops_the_stream(
    stub: Stub, engine: ServerEngine, local: LocalEngine, in_an_event: int
) -> None:
    stub.manners.in_an_event = in_an_event
    ids = engine.encode("Once upon a time")
    truth = events(local, ids)[0]
    tokens = [step.standing.token for step in truth]
    place = next(i for i, token in enumerate(tokens) if i > 3 and token not in tokens[:i])
    stub.manners.texts = {tokens[place]: "\ufffd"}
    request, came = StreamRequest(tuple(ids), SamplingSettings(), 16), list[DrawnToken]()
    with pytest.raises(ServerError, match=r"the server took «.», " + AGAIN):
        came.extend(e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken))
    assert [step.standing.token for step in came] == tokens[:place]


class Ends:
    """A local engine of which another token ends texts."""

    def __init__(self, engine: LocalEngine, token: int) -> None:
        self._engine, self._token = engine, token

    @property
    def info(self) -> object:
        class Info:
            eos_ids = (self._token,)

        return Info

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


@pytest.mark.parametrize(("shows_ends", "end"), [(False, None), (True, None), (True, "")])
def test_a_text_ends_where_the_server_says_so(
    stub: Stub, engine: ServerEngine, local: LocalEngine, shows_ends: bool, end: str | None
) -> None:
    ids = engine.encode("Once upon a time")
    truth = [step.standing.token for step in events(local, ids, 4)[0]]
    assert len(set(truth)) == 4
    stub.engine = Ends(local, truth[3])  # type: ignore[assignment]
    stub.manners.shows_ends, stub.manners.end = shows_ends, end
    shown = 4 if shows_ends and end is None else 3
    settings = SamplingSettings()
    found = list(
        engine.stream(StreamRequest(tuple(ids), settings, 9, describe_end=True), Control())
    )
    assert [e.standing.token for e in found if isinstance(e, DrawnToken)] == truth[:shown]
    assert isinstance(found[-1], StreamEnded)
    assert found[-1].reason == "eos"
    assert any(isinstance(e, Described) for e in found) == (shown == 4)
    again, ended = events(engine, [*ids, *truth[:3]], 9)
    assert (len(again), ended.reason) == (shown - 3, "eos")
    if shown == 3:
        request = StreamRequest((*ids, *truth[:3]), settings, 9, ignore_eos=True)
        with pytest.raises(ServerError, match="ends the text here, at a token"):
            list(engine.stream(request, Control()))
        with pytest.raises(ServerError, match="lists no candidates of that step"):
            engine.describe([*ids, *truth[:3]])


def test_an_end_that_is_not_shown_is_drawn_as_any_token(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    ids = engine.encode("Once upon a time")
    (first, second, *_) = local.describe(ids).id_view
    how = {"temperature": 1e-3, "top_p": 0.5, "seed": 1}
    stub.engine = Ends(local, second)  # type: ignore[assignment]
    stub.taken = lambda _, body: second if body["temperature"] else first  # type: ignore[method-assign]
    (drawn,), _ = events(engine, ids, 1, **how)
    assert (drawn.standing.token, drawn.chosen_by) == (first, "sampled")
    stub.engine = Ends(local, first)  # type: ignore[assignment]
    stub.taken = lambda *_: first  # type: ignore[method-assign]
    assert events(engine, ids, 4, **how)[1].reason == "eos"


def test_a_prompt_is_scored_where_it_is_written_back(stub: Stub, local: LocalEngine) -> None:
    stub.manners.echoes = True
    with serving(stub) as url:
        engine = opened(url)
        assert engine.info.capabilities.prompt_scores
        ids = engine.encode("The king said purple 国王")
        for start in (1, 3):
            ours = [e for e in engine.score(ids, start, Control()) if isinstance(e, ScoredToken)]
            theirs = [e for e in local.score(ids, start, Control()) if isinstance(e, ScoredToken)]
            assert [e.position for e in ours] == [e.position for e in theirs]
            for score, truth in zip(ours, theirs, strict=True):
                assert score.standing.token == truth.standing.token
                assert score.standing.logprob == pytest.approx(truth.standing.logprob, abs=1e-5)
                listed = score.standing.index >= 0
                assert score.standing.rank == (truth.standing.rank if listed else 0)
                assert score.distribution.ids == truth.distribution.ids[: 4 * LISTED]


def test_the_lab_varies_what_it_can(stub: Stub, engine: ServerEngine) -> None:
    ids = tuple(engine.encode("The"))
    request = StreamRequest(ids, SamplingSettings(), 4)
    design = planned(engine, Experiment(request, 2))
    assert design.knobs == design.offered == ("copies", "batch")
    assert not design.notices
    design = planned(engine, Experiment(request, 2, knobs=("batch", "cache")))
    assert design.knobs == ("batch",)
    assert design.notices == ("cache cannot vary on stub: that is the server's own.",)
    found = list(engine.requests.run([request], Traffic(), Control()))
    drawn = [event[1] for event in found if not isinstance(event, Load)][:-1]
    assert [len(step.distribution) for step in drawn if isinstance(step, DrawnToken)] == [5] * 4
    hot = Experiment(StreamRequest(ids, SamplingSettings(temperature=1.0), 4), 2)
    assert planned(engine, hot)
    stub.manners.seeded = False
    with serving(stub) as url, pytest.raises(UsageError, match="draws anew for each request"):
        planned(opened(url), hot)


def test_settings_that_it_has_not_are_refused(stub: Stub, engine: ServerEngine) -> None:
    for field, value in (("top_k", 5), ("min_p", 0.1), ("bias", (((5,), 1.0),))):
        with pytest.raises(UsageError, match=r"OpenAI's API at .* has no .* as we have it"):
            steps(engine, "The", temperature=1.0, **{field: value})
    stub.manners.biased = False
    with serving(stub) as url:
        assert steps(opened(url), "The", bias=(((5,), 1.0),))


Answer = Callable[[BaseHTTPRequestHandler], None]


def answers(status: int, value: Any, kind: str = "application/json", **headers: str) -> Answer:
    return lambda handler: send(handler, status, value, kind, **headers)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"tokens": [" a"], "token_logprobs": [], "top_logprobs": [{" a": -1.0}]}, "a logprob and"),
        ({"tokens": [" a"], "token_logprobs": [None], "top_logprobs": [{" a": -1.0}]}, "a logprob"),
        ({"tokens": [" a"], "token_logprobs": [-1.0], "top_logprobs": [{" a": 3.0}]}, "cannot be"),
        ({"tokens": [" a"], "token_logprobs": [-1.0], "top_logprobs": [{}]}, "cannot be"),
        ({"tokens": [], "token_logprobs": [], "top_logprobs": []}, "a logprob and candidates"),
        ({"tokens": 5}, "no logprobs as OpenAI writes them"),
        (None, "a logprob and candidates for each"),
    ],
)
def test_what_it_sends_is_checked(
    stub: Stub, engine: ServerEngine, told: dict[str, Any] | None, words: str
) -> None:
    reply = {"choices": [{"text": " a", "logprobs": told, "finish_reason": "length"}]}
    stub.faults[COMPLETIONS] = [answers(200, reply)]
    with pytest.raises(ServerError, match=words):
        events(engine, engine.encode("The"), 1, temperature=1.0)


def test_an_error_in_a_stream_is_told_and_what_came_stays(
    stub: Stub, engine: ServerEngine, local: LocalEngine
) -> None:
    ids = engine.encode("The king")
    token = local.describe(ids).id_view[0]
    row = {"tokens": [written(stub, token)], "token_logprobs": [-1.0]}
    row["top_logprobs"] = [{written(stub, token): -1.0}]
    told = json.dumps({"choices": [{"text": "", "logprobs": row}]})
    words = json.dumps({"error": {"message": "out of memory"}})
    data = f"data: {told}\n\ndata: {words}\n\ndata: [DONE]\n\n"
    stub.faults[COMPLETIONS] = [answers(200, data, "text/event-stream")]
    request, came = StreamRequest(tuple(ids), SamplingSettings(), 8), list[DrawnToken]()
    with pytest.raises(ServerError, match="gave the request up: out of memory"):
        came.extend(e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken))
    assert [step.standing.token for step in came] == [token]


def test_a_filter_that_leaves_text_out_says_so(stub: Stub, engine: ServerEngine) -> None:
    reply = {"choices": [{"text": "", "logprobs": None, "finish_reason": "content_filter"}]}
    stub.faults[COMPLETIONS] = [answers(200, reply)]
    with pytest.raises(ServerError, match="content filter"):
        engine.describe(engine.encode("The"))
