"""llama.cpp's server: what it lists is shown as it is, also where its streams leave tokens out."""

from collections.abc import Iterator

import numpy as np
import pytest
from support import fake_vocabulary
from support.fake_engine import FakeEngine
from support.stub_server import Stub, send, serving

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.api.traffic import Traffic
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

TOP = 20


@pytest.fixture(scope="module")
def stub() -> Stub:
    return Stub(FakeEngine())


@pytest.fixture(scope="module")
def engine(stub: Stub) -> Iterator[ServerEngine]:
    with serving(stub) as url:
        yield ServerEngine.open(LoadOptions(url, server=ServerOptions(top=TOP)), lambda _: None)


def drawn(engine: ServerEngine, ids: list[int], **how: object) -> list[DrawnToken]:
    settings = SamplingSettings(**how)  # type: ignore[arg-type]
    request = StreamRequest(tuple(ids), settings, max_new_tokens=24)
    events = list(engine.stream(request, Control()))
    assert isinstance(events[-1], StreamEnded)
    return [event for event in events if isinstance(event, DrawnToken)]


def check_numbers(stub: Stub, path: list[int], steps: list[DrawnToken]) -> None:
    """Every number is the server's own, in candidate order."""
    path = list(path)
    for step in steps:
        truth = stub.logprobs(path)
        ids = np.frombuffer(step.distribution.ids, np.uint32)
        logprobs = np.frombuffer(step.distribution.logits, np.float32)
        order = np.lexsort((np.arange(len(truth)), -truth.astype(np.float32)))[:TOP]
        assert ids.tolist() == order.tolist()
        np.testing.assert_allclose(logprobs, truth[order], atol=1e-6)
        assert step.standing.logprob == pytest.approx(truth[step.standing.token], abs=1e-6)
        assert step.position == len(path)
        assert step.distribution.entropy is None
        path.append(step.standing.token)


def test_what_it_can_do_is_found_out(engine: ServerEngine, stub: Stub) -> None:
    model = stub.engine
    assert engine.info.capabilities == Capabilities(
        listed=TOP, on_demand=True, prompt_scores=False, instruments=False, serves=True
    )
    assert engine.info.vocabulary == model.info.vocabulary
    assert engine.info.context == model.info.context
    assert engine.info.bos_id == model.info.bos_id
    assert engine.info.eos_ids == (fake_vocabulary.EOS,), "others are told as they come"
    assert engine.info.turn_ids == (fake_vocabulary.END,)
    assert engine.info.name == "stub"
    assert engine.info.source.endswith("#owner/stub")
    for token in range(len(model.vocabulary)):
        assert engine.vocabulary.bytes_of(token) == model.vocabulary.bytes_of(token)


@pytest.mark.parametrize("prompt", ["Once upon a time", "the 好 king", "x", ""])
def test_a_greedy_stream_is_the_servers_to_the_last_bit(
    engine: ServerEngine, stub: Stub, prompt: str
) -> None:
    ids = engine.encode(prompt)
    assert ids == stub.engine.encode(prompt)
    steps = drawn(engine, ids)
    plain = StreamRequest(tuple(ids), SamplingSettings(), max_new_tokens=24)
    expected = [e for e in stub.engine.stream(plain, Control()) if isinstance(e, DrawnToken)]
    assert [s.standing.token for s in steps] == [e.standing.token for e in expected]
    assert {s.chosen_by for s in steps} == {"greedy"}
    check_numbers(stub, ids, steps)


def test_tokens_that_its_streams_leave_out_are_asked_for() -> None:
    """Two of the three tokens of a character have no row in a stream."""
    split, path = fake_vocabulary.SPLIT_CHARACTER, tuple(FakeEngine().encode("Once"))
    after = {path + split[:n]: {split[n]: 30.0} for n in range(3)}
    hidden = Stub(FakeEngine(planted=after))
    with serving(hidden) as url:
        engine = ServerEngine.open(LoadOptions(url), lambda _: None)
        steps = drawn(engine, list(path))
    assert tuple(s.standing.token for s in steps[:3]) == split
    assert len(steps) == 24
    check_numbers(hidden, list(path), steps)


def test_our_sampler_draws_where_all_that_it_keeps_is_listed(
    engine: ServerEngine, stub: Stub
) -> None:
    ids = engine.encode("Once upon a time")
    how = {"temperature": 0.7, "top_k": 5, "seed": 11}
    steps = drawn(engine, ids, **how)
    request = StreamRequest(tuple(ids), SamplingSettings(**how), max_new_tokens=24)  # type: ignore[arg-type]
    expected = [e for e in stub.engine.stream(request, Control()) if isinstance(e, DrawnToken)]
    assert [s.standing.token for s in steps] == [e.standing.token for e in expected]
    assert {s.chosen_by for s in steps} == {"sampled"}
    for step, other in zip(steps, expected, strict=True):
        assert step.uniform == other.uniform
        assert step.sampler_logprob == pytest.approx(other.sampler_logprob, abs=1e-5)
    check_numbers(stub, ids, steps)


def test_the_servers_sampler_draws_where_ours_cannot_and_says_so(
    engine: ServerEngine, stub: Stub
) -> None:
    ids = engine.encode("Once upon a time")
    steps = drawn(engine, ids, temperature=2.0, seed=3)
    assert {s.chosen_by for s in steps} == {"server"}
    assert {s.sampler_logprob for s in steps} == {None}
    assert {s.uniform for s in steps} == {None}
    check_numbers(stub, ids, steps)
    again = drawn(engine, ids, temperature=2.0, seed=3)
    assert [s.standing.token for s in again] == [s.standing.token for s in steps]
    other = drawn(engine, ids, temperature=2.0, seed=4)
    assert [s.standing.token for s in other] != [s.standing.token for s in steps]


def test_a_continuation_is_the_stream_under_its_seed(engine: ServerEngine) -> None:
    ids = engine.encode("Once upon a time")
    request = StreamRequest(tuple(ids), SamplingSettings(0.9, top_k=6, seed=1), 24)
    for seed in (1, 8):
        (run,) = engine.continuations(request, [seed], Control())
        steps = drawn(engine, ids, temperature=0.9, top_k=6, seed=seed)
        assert run.ids == tuple(step.standing.token for step in steps)
    first, second = (engine.continuations(request, [s], Control())[0].ids for s in (1, 8))
    assert first != second


def test_all_that_the_server_would_set_by_itself_is_set(engine: ServerEngine, stub: Stub) -> None:
    drawn(engine, engine.encode("x"), temperature=0.9, min_p=0.1)
    _, body = next(asked for asked in reversed(stub.asked) if asked[0] == "/completion")
    assert body["top_k"] == 0
    assert body["top_p"] == 1.0
    assert body["min_p"] == 0.1
    assert body["repeat_penalty"] == 1.0
    assert body["samplers"][1] == "temperature"


def test_settings_that_it_has_not_are_refused(engine: ServerEngine) -> None:
    ids = engine.encode("x")
    with pytest.raises(UsageError, match="has no eta as we have it"):
        drawn(engine, ids, temperature=1.0, eta_cutoff=0.1)
    with pytest.raises(UsageError, match="single tokens"):
        drawn(engine, ids, bias=(((3, 4), 1.0),))


@pytest.mark.parametrize("end", [fake_vocabulary.EOS, fake_vocabulary.END])
def test_its_end_of_text_ends_a_stream_or_not(end: int) -> None:
    """Also one that it has not named."""
    path = tuple(FakeEngine().encode("Once"))
    ending = Stub(FakeEngine(planted={path: {end: 30.0}}))
    with serving(ending) as url:
        engine = ServerEngine.open(LoadOptions(url), lambda _: None)
        request = StreamRequest(path, SamplingSettings(), max_new_tokens=6)
        events = list(engine.stream(request, Control()))
        assert events[-1] == StreamEnded(len(path) + 1, "eos")
        on = StreamRequest(path, SamplingSettings(), max_new_tokens=6, ignore_eos=True)
        events = list(engine.stream(on, Control()))
        assert events[-1] == StreamEnded(len(path) + 6, "length")
        steps = [event for event in events if isinstance(event, DrawnToken)]
        check_numbers(ending, list(path), steps)
        hot = SamplingSettings(temperature=0.5, top_k=1)
        events = list(engine.stream(StreamRequest(path, hot, max_new_tokens=6), Control()))
        assert events[-1] == StreamEnded(len(path) + 1, "eos")


def test_a_path_can_be_described_and_has_an_end(engine: ServerEngine) -> None:
    ids = engine.encode("Once upon a time")
    request = StreamRequest(tuple(ids), SamplingSettings(), 3, describe_end=True)
    events = list(engine.stream(request, Control()))
    (described,) = (event for event in events if isinstance(event, Described))
    path = [*ids, *(e.standing.token for e in events if isinstance(e, DrawnToken))]
    assert described.distribution.ids == engine.describe(path).ids
    too_long = [ids[-1]] * (engine.info.context + 1)
    with pytest.raises(UsageError, match="shorten the prompt"):
        engine.describe(too_long)


@pytest.mark.parametrize(
    "ask",
    [
        lambda e, ids: list(e.score(ids, 1, Control())),
        lambda e, _: e.bench,
    ],
)
def test_what_it_does_not_give_is_refused_with_the_reason(engine: ServerEngine, ask) -> None:
    with pytest.raises(UsageError, match=r"This engine (gives|computes)"):
        ask(engine, engine.encode("Once"))


def test_the_whole_vocabulary_can_be_asked_for(engine: ServerEngine, stub: Stub) -> None:
    ids = engine.encode("Once upon")
    truth = stub.logprobs(ids)
    told = engine.describe(ids, whole=True)
    assert told.complete
    order = np.argsort(-truth.astype(np.float32), kind="stable")
    assert list(told.id_view) == order[: len(told)].tolist()
    assert told.logprob(0) == pytest.approx(truth[order[0]], abs=1e-6)
    p = np.exp(truth)
    assert told.entropy == pytest.approx(-float((p * truth).sum()), abs=1e-5)
    page = engine.rows(ids, 300, 40)
    assert list(memoryview(page.ids).cast("I")) == order[300:340].tolist()
    token = int(order[250])
    (standing,) = engine.standings(ids, [token])
    assert (standing.rank, standing.logprob) == (251, pytest.approx(truth[token], abs=1e-6))
    asked = len(stub.asked)
    assert engine.search(ids, "a", 9).total > 9
    assert engine.reshape(ids, SamplingSettings(1.0, top_k=7)).kept == 7
    assert engine.effects(ids, [SamplingSettings(1.0)])[0].entropy == pytest.approx(told.entropy)
    assert sum(memoryview(engine.draws(ids, SamplingSettings(1.0), 30).counts).cast("I")) == 30
    assert len(stub.asked) == asked, "one reply answers them all"


def test_a_whole_row_that_cannot_be_one_is_refused(engine: ServerEngine, stub: Stub) -> None:
    ids = engine.encode("A row with holes")
    row = {"id": 5, "logprob": -0.5, "bytes": [65]}
    for rows in ([row], [row] * stub.rows, [row | {"id": i} for i in range(stub.rows)]):
        told = {"completion_probabilities": [row | {"top_logprobs": rows}], "tokens": [5]}
        stub.faults["/completion"] = [lambda handler, told=told: send(handler, 200, told)]
        with pytest.raises(ServerError, match=rf"each of the {stub.rows} tokens once"):
            engine.describe(ids, whole=True)


def test_a_chat_is_rendered_by_its_own_template(engine: ServerEngine) -> None:
    rendered = engine.render(Chat((Message("user", "the king"),)))
    spelled = b"".join(map(engine.vocabulary.bytes_of, rendered.ids))
    assert spelled == b"<|user|>the king<|end|><|assistant|>"
    assert [part.kind for part in rendered.parts].count("content") == 1
    path = [*rendered.ids, fake_vocabulary.FIRST_WORD]
    chat = Chat((Message("user", "the king"), Message("assistant", " the"), Message("user", "a")))
    more = engine.append_turns(path, chat, 2)
    assert b"".join(map(engine.vocabulary.bytes_of, more.ids)).endswith(b"a<|end|><|assistant|>")


def test_names_of_tokens_are_read_or_spelled(engine: ServerEngine) -> None:
    assert engine.encode("</s>", continuation=True) == [fake_vocabulary.EOS]
    spelled = engine.encode("</s>", continuation=True, literal=True)
    assert fake_vocabulary.EOS not in spelled
    assert b"".join(map(engine.vocabulary.bytes_of, spelled)) == b"</s>"


def test_a_template_that_renders_otherwise_is_told(engine: ServerEngine) -> None:
    said = dict(engine.info.evidence)
    assert said["renders a chat as its template does here"] == "POST /apply-template"
    assert engine.info.notices == ()
    other = Stub(FakeEngine())
    other.opening = "<|system|>be brief<|end|>"
    with serving(other) as url:
        info = ServerEngine.open(LoadOptions(url), lambda _: None).info
    (notice,) = info.notices
    assert "by another template than the one here" in notice


def test_what_a_server_tells_is_named_logprobs(engine: ServerEngine) -> None:
    for whole in (False, True):
        assert not engine.describe(engine.encode("Once"), whole=whole).has_logits
    assert FakeEngine().describe([1]).has_logits


def test_draws_are_kept_from_the_cache_where_they_are_to_be_cold(
    engine: ServerEngine, stub: Stub
) -> None:
    ids = tuple(engine.encode("Once upon a time"))
    request = StreamRequest(ids, SamplingSettings(temperature=0.9, seed=3), 4)
    before = len(stub.asked)
    found = list(engine.requests.run([request], Traffic(cold=True), Control()))
    assert sum(isinstance(each, tuple) for each in found) == 5
    bodies = [body for path, body in stub.asked[before:] if path == "/completion"]
    assert len(bodies) >= 4
    assert not any(body["cache_prompt"] for body in bodies)


@pytest.mark.parametrize("settings", [None, SamplingSettings(0.7, top_p=0.9)])
def test_next_tokens_are_those_of_whole_rows(
    engine: ServerEngine, stub: Stub, settings: SamplingSettings | None
) -> None:
    ids = engine.encode("Once upon a time")
    paths = [ids, [*ids, 300], [*ids, 301, 302]]
    told = engine.describe_all(paths, settings, len(ids), count=30)
    for one, other in zip(told, stub.engine.describe_all(paths, settings, count=30), strict=True):
        assert one.ids == other.ids
        assert list(one.share_view) == pytest.approx(list(other.share_view), abs=1e-5)
        assert (one.rest, one.more) == (pytest.approx(other.rest, abs=1e-5), other.more)
