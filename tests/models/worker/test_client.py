"""The client and the child's loop, over a socket, with the fake engine in a thread."""

import asyncio
import functools
import threading

import msgspec
import pytest
from support.connect import in_thread
from support.fake_engine import FakeEngine, planted_text

from tokexplore.models.api.chat import Chat, Message
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
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import Describe, Encode, Render
from tokexplore.models.errors import (
    EngineLostError,
    ModelError,
    OutOfMemoryError,
    ServerError,
    TokexploreError,
    UsageError,
)
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.async_engine import Handle
from tokexplore.models.worker.client import EngineClient
from tokexplore.models.worker.messages import AHEAD
from tokexplore.models.worker.process import Connection

GREEDY = SamplingSettings()
PATH = (0, 300, 310, 290)


async def started(engine: FakeEngine) -> EngineClient:
    client = EngineClient(LoadOptions("fake"), connect=in_thread(lambda _options, _report: engine))
    await client.start(lambda _: None)
    return client


def request(ids: tuple[int, ...] = PATH, tokens: int = 8, **more: object) -> StreamRequest:
    return StreamRequest(ids, GREEDY, tokens, **more)  # type: ignore[arg-type]


async def test_by_hand_each_token_waits_and_new_settings_count_from_the_next_one_on() -> None:
    client = await started(FakeEngine())
    client.on_demand = True
    handle = client.stream(request(tokens=8, score_prompt=True))
    batches = aiter(handle)
    others = msgspec.structs.replace(GREEDY, temperature=1.5, seed=5)
    drawn: list[DrawnToken] = []
    for number in range(4):
        assert client.holds
        if number == 2:
            handle.configure(others)
        client.let_come()
        while len(drawn) <= number:
            events = await anext(batches)
            assert all(e.distribution.seconds == 0 for e in events if isinstance(e, DrawnToken))
            drawn += [event for event in events if isinstance(event, DrawnToken)]
    assert [event.sampler.settings for event in drawn] == [GREEDY, GREEDY, others, others]
    handle.cancel()
    assert not client.holds
    rest = await gathered(handle)
    assert rest[-1] == StreamEnded(len(PATH) + 4, "interrupted")
    await client.close()


async def gathered(handle: Handle[StreamEvent]) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    await gather_into(events, handle)
    return events


async def gather_into(events: list[StreamEvent], handle: Handle[StreamEvent]) -> None:
    async for batch in handle:
        events += batch


def passes(engine: FakeEngine, count: int) -> bool:
    return engine.passes >= count


async def until(condition: object, *arguments: object) -> None:
    """Let the engine's thread run until something is so; the test's timeout bounds it."""
    while not condition(*arguments):  # type: ignore[operator]
        await asyncio.sleep(0.001)


async def test_a_stream_has_the_engine_s_own_events() -> None:
    engine = FakeEngine()
    client = await started(engine)
    asked = request(score_prompt=True, describe_end=True)
    events = await gathered(client.stream(asked))
    expected = list(engine.stream(asked, Control()))
    assert [type(e) for e in events] == [type(e) for e in expected]
    assert [e.standing for e in events if isinstance(e, DrawnToken)] == [
        e.standing for e in expected if isinstance(e, DrawnToken)
    ]
    assert isinstance(events[-2], Described)
    assert events[-1] == expected[-1]
    await client.close()


async def test_progress_of_loading_is_reported() -> None:
    reports: list[Progress] = []
    client = EngineClient(LoadOptions("fake"), connect=in_thread(FakeEngine.open))
    await client.start(reports.append)
    assert [p.done for p in reports] == list(range(0, 1001, 100))
    await client.close()


@pytest.mark.parametrize("error", [ModelError("no"), UsageError("no"), OutOfMemoryError("no")])
async def test_an_error_of_loading_is_raised_as_it_was(error: TokexploreError) -> None:
    opening = functools.partial(FakeEngine.open, load_error=error)
    client = EngineClient(LoadOptions("fake"), connect=in_thread(opening))
    with pytest.raises(type(error), match="no"):
        await client.start(lambda _: None)
    await client.close()


async def test_an_error_of_a_stream_comes_after_its_tokens_and_the_next_stream_runs() -> None:
    client = await started(FakeEngine(failures={4: OutOfMemoryError("full")}))
    events: list[StreamEvent] = []
    with pytest.raises(OutOfMemoryError, match="full"):
        await gather_into(events, client.stream(request()))
    assert len(events) == 3
    assert len(await gathered(client.stream(request()))) == 9
    await client.close()


async def test_an_unforeseen_error_is_told_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    client = await started(FakeEngine(failures={1: ZeroDivisionError("planted")}))
    with pytest.raises(TokexploreError, match="ZeroDivisionError: planted"):
        await gathered(client.stream(request()))
    assert "Traceback" in capfd.readouterr().err
    await client.close()


async def test_an_error_of_a_question_is_its_own() -> None:
    client = await started(FakeEngine(chat_template=False))
    with pytest.raises(UsageError, match="no chat template"):
        await client.ask(Render(Chat((Message("user", "who"),))))
    assert await client.ask(Encode("a"))
    await client.close()


async def test_nobody_reads_and_the_engine_stops_ahead() -> None:
    engine = FakeEngine()
    client = await started(engine)
    handle = client.stream(request(tokens=500))
    await until(passes, engine, AHEAD)
    # A question is answered after all that the engine can do for the stream.
    await client.ask(Describe(PATH))
    await client.ask(Describe(PATH))
    assert engine.passes == AHEAD
    assert len([e for e in await gathered(handle) if isinstance(e, DrawnToken)]) == 500
    await client.close()


async def test_cancelling_ends_a_stream_that_nobody_reads() -> None:
    engine = FakeEngine()
    client = await started(engine)
    handle = client.stream(request(tokens=500))
    await until(passes, engine, AHEAD)
    handle.cancel()
    events = await gathered(handle)
    assert handle.done
    assert events[-1] == StreamEnded(len(PATH) + AHEAD, "interrupted")
    await client.close()


async def test_cancelling_ends_a_prefill_between_two_chunks() -> None:
    client = await started(FakeEngine(context=10_000, chunk=8))
    handle = client.stream(request(tuple([300] * 9_000)))
    async for batch in handle:
        if any(isinstance(e, Progress) for e in batch):
            handle.cancel()
        if isinstance(batch[-1], StreamEnded):
            assert batch[-1].reason == "interrupted"
            assert not any(isinstance(e, DrawnToken) for e in batch)
    await client.close()


async def test_a_question_is_answered_in_mid_stream() -> None:
    gate = threading.Semaphore(0)
    client = await started(FakeEngine(gate=gate))
    handle = client.stream(request(tokens=100_000))
    asked = asyncio.ensure_future(client.ask(Describe(PATH)))
    while not asked.done():
        gate.release()  # the engine waits inside a step: it answers between two of them
        await asyncio.sleep(0.001)
    assert len(asked.result()) > 0
    handle.cancel()
    gate.release()
    events = await gathered(handle)
    assert isinstance(events[-1], StreamEnded)
    assert events[-1].reason == "interrupted"
    await client.close()


async def test_new_settings_hold_from_the_next_token_on() -> None:
    gate = threading.Semaphore(2)
    engine = FakeEngine(gate=gate)
    client = await started(engine)
    handle = client.stream(request(tokens=100_000))
    events: list[StreamEvent] = []
    gathering = asyncio.ensure_future(gather_into(events, handle))  # so that credit never runs out
    await until(lambda: sum(isinstance(event, DrawnToken) for event in events) == 2)
    hot = SamplingSettings(temperature=1.5, seed=3)
    handle.configure(hot)
    asked = asyncio.ensure_future(client.ask(Describe(PATH)))
    while not asked.done():  # the answer comes after the settings were read
        gate.release()
        await asyncio.sleep(0.001)
    drawn_before = engine.passes
    gate.release(2)
    await until(passes, engine, drawn_before + 2)
    handle.cancel()
    gate.release()
    await gathering
    drawn = [e for e in events if isinstance(e, DrawnToken)]
    assert [d.sampler.settings for d in drawn[:2]] == [GREEDY, GREEDY]
    assert drawn[-1].sampler.settings == hot
    await client.close()


async def test_leaving_the_loop_ends_the_stream() -> None:
    engine = FakeEngine()
    client = await started(engine)
    async for _ in (handle := client.stream(request(tokens=900))):
        break
    await until(lambda: handle.done)
    assert len(await gathered(client.stream(request(tokens=2)))) == 3
    assert engine.passes < 200
    await client.close()


async def test_a_score_waits_for_the_stream_and_goes_on_after_it() -> None:
    gate = threading.Semaphore(0)
    engine = FakeEngine(gate=gate)
    client = await started(engine)
    path = tuple(engine.encode("the king said that the princess was in the castle"))
    streaming = client.stream(request(tokens=3))
    scoring = client.score(path, 1)
    gate.release(3)
    assert len(await gathered(streaming)) == 4
    scored = [e for e in await gathered(scoring) if isinstance(e, ScoredToken)]
    assert [s.position for s in scored] == list(range(1, len(path)))
    await client.close()


async def test_a_score_can_be_ended_early() -> None:
    engine = FakeEngine(chunk=8)
    client = await started(engine)
    handle = client.score((300,) * 900, 1)
    await until(passes, engine, AHEAD)
    handle.cancel()
    scored = [e for e in await gathered(handle) if isinstance(e, ScoredToken)]
    assert AHEAD <= len(scored) < 900
    await client.close()


async def test_an_error_of_a_kind_that_the_interface_does_not_know_is_one_that_it_knows() -> None:
    class OwnError(ServerError):
        pass

    client = await started(FakeEngine(failures={1: OwnError("the server is away.")}))
    with pytest.raises(ServerError, match="the server is away"):
        await gathered(client.stream(request(tokens=2)))
    assert len(await gathered(client.stream(request(tokens=2)))) == 3
    await client.close()


async def test_a_lost_engine_fails_what_waits_and_what_comes() -> None:
    lost: list[EngineLostError] = []
    engine = FakeEngine(failures={3: "die"})
    connect = in_thread(lambda _options, _report: engine)
    client = EngineClient(LoadOptions("fake"), connect=connect, on_lost=lost.append)
    await client.start(lambda _: None)
    events: list[StreamEvent] = []
    with pytest.raises(EngineLostError, match="ended"):
        await gather_into(events, client.stream(request()))
    assert len(events) == 2
    assert lost == [client.lost]
    with pytest.raises(EngineLostError):
        await client.ask(Describe(PATH))
    await client.close()


async def test_closing_fails_what_waits() -> None:
    engine = FakeEngine(gate=threading.Semaphore(0))
    client = await started(engine)
    streaming = asyncio.ensure_future(gathered(client.stream(request())))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(EngineLostError, match="closed"):
        await streaming


async def test_closing_while_it_is_being_connected_starts_nothing() -> None:
    connected = asyncio.Event()

    async def connect() -> Connection:
        await connected.wait()
        return await in_thread(FakeEngine.open)()

    client = EngineClient(LoadOptions("fake"), connect=connect)
    starting = asyncio.ensure_future(client.start(lambda _: None))
    await asyncio.sleep(0)
    await client.close()
    connected.set()
    with pytest.raises(EngineLostError, match="closed"):
        await starting


async def test_closing_while_it_loads_ends_the_wait() -> None:
    gate = threading.Semaphore(3)
    opening = functools.partial(FakeEngine.open, load_gate=gate)
    client = EngineClient(LoadOptions("fake"), connect=in_thread(opening))
    starting = asyncio.ensure_future(client.start(lambda p: p.done == 300 and reached.set()))
    reached = asyncio.Event()
    await reached.wait()
    closing = asyncio.ensure_future(client.close())
    gate.release(10)
    await closing
    with pytest.raises(EngineLostError, match="closed"):
        await starting


async def test_planted_text_comes_over_the_socket() -> None:
    engine = FakeEngine()
    start, said = planted_text(engine, "Once", " the king said 你好")
    client = await started(engine)
    events = await gathered(client.stream(request(tuple(start), 50)))
    drawn = [e.standing.token for e in events if isinstance(e, DrawnToken)]
    assert client.vocabulary.text(drawn) == " the king said 你好"
    assert drawn[:-1] == said
    assert events[-1].reason == "eos"  # type: ignore[union-attr]
    await client.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(24, "Too many open files"), "too many open files"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
async def test_a_process_that_cannot_be_started_is_a_lost_engine(
    error: Exception, said: str
) -> None:
    async def connect() -> Connection:
        raise error

    client = EngineClient(LoadOptions("fake"), connect=connect)
    with pytest.raises(EngineLostError, match=rf"process cannot be started: {said}\.$"):
        await client.start(lambda _: None)
    await client.close()
