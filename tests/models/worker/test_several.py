"""Several streams, scores and experiments of one engine: turns, and that each is its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from support.connect import in_thread
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import Describe
from tokexplore.models.errors import EngineLostError, OutOfMemoryError
from tokexplore.models.lab.experiment import Experiment, Outcome, conduct
from tokexplore.models.lab.repeat import TOP, Run
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.async_engine import Handle
from tokexplore.models.worker.client import EngineClient
from tokexplore.models.worker.messages import AHEAD
from tokexplore.models.worker.timeless import timeless

GREEDY, HOT = SamplingSettings(), SamplingSettings(temperature=1.5, seed=3)
FIRST, SECOND, THIRD = (0, 300, 310, 290), (0, 350), (0, 300, 320)
E = TypeVar("E", bound=StreamEvent | Outcome)


class Recorded(FakeEngine):
    """Notes which path each event of a stream was for; a run of an experiment has none."""

    def __init__(self, **config: object) -> None:
        super().__init__(**config)  # type: ignore[arg-type]
        self.turns: list[tuple[int, ...]] = []

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        for event in super().stream(request, control):
            self.turns.append(request.ids if request.top != TOP else ())
            yield event


@pytest.fixture
def gate() -> threading.Semaphore:
    """Closed."""
    return threading.Semaphore(0)


@pytest.fixture
def engine(gate: threading.Semaphore) -> Recorded:
    return Recorded(gate=gate)


async def started(engine: FakeEngine) -> EngineClient:
    client = EngineClient(LoadOptions("fake"), connect=in_thread(lambda *_: engine))
    await client.start(lambda _: None)
    return client


def request(
    ids: tuple[int, ...], tokens: int = 8, settings: SamplingSettings = GREEDY
) -> StreamRequest:
    return StreamRequest(ids, settings, tokens, describe_end=True, ignore_eos=True)


async def gathered(handle: Handle[E]) -> list[E]:
    return [event async for batch in handle for event in batch]


def alone(asked: StreamRequest) -> list[StreamEvent]:
    return list(map(timeless, FakeEngine().stream(asked, Control())))


def figures(outcome: Outcome) -> object:
    """An outcome without seconds."""
    return (outcome.number, outcome.condition, outcome.ids) if isinstance(outcome, Run) else outcome


def drawn(events: list[StreamEvent]) -> list[DrawnToken]:
    return [event for event in events if isinstance(event, DrawnToken)]


async def until(condition: Callable[[], bool]) -> None:
    """Let the engine's thread run until something is so; the test's timeout bounds it."""
    while not condition():
        await asyncio.sleep(0.001)


async def all_begun(client: EngineClient, gate: threading.Semaphore) -> None:
    """Until the engine has heard of all that was started: of questions it hears after them."""
    asked = asyncio.ensure_future(client.ask(Describe(FIRST)))
    while not asked.done():
        gate.release()  # it waits inside a step and answers between two of them
        await asyncio.sleep(0.001)


async def test_streams_take_turns_and_have_the_events_that_each_has_alone(
    engine: Recorded, gate: threading.Semaphore
) -> None:
    client = await started(engine)
    asked = [request(FIRST, 100), request(SECOND, 100, HOT), request(THIRD, 5)]
    handles = [client.stream(each) for each in asked]
    await all_begun(client, gate)
    following = [asyncio.ensure_future(gathered(handle)) for handle in handles]
    gate.release(1_000)
    for each, events in zip(asked, await asyncio.gather(*following), strict=True):
        assert list(map(timeless, events)) == alone(each)

    third = engine.turns.index(THIRD)
    turn = engine.turns[third : third + 3]
    assert sorted(turn) == sorted((FIRST, SECOND, THIRD))
    assert engine.turns[third : third + 12] == turn * 4
    await client.close()


async def test_each_stream_has_its_own_end(engine: Recorded, gate: threading.Semaphore) -> None:
    client = await started(engine)
    one, other = client.stream(request(FIRST, 100_000)), client.stream(request(SECOND, 6))
    gate.release(3)
    await until(lambda: engine.passes == 3)
    one.cancel()
    gate.release(100)
    ended = await gathered(one)
    assert ended[-1] == StreamEnded(len(FIRST) + len(drawn(ended)), "interrupted")
    assert one.done
    assert (await gathered(other))[-1] == StreamEnded(len(SECOND) + 6, "length")
    await client.close()


async def test_each_stream_has_its_own_settings(
    engine: Recorded, gate: threading.Semaphore
) -> None:
    client = await started(engine)
    one, other = client.stream(request(FIRST, 40)), client.stream(request(SECOND, 40))
    one.configure(HOT, 30)
    await all_begun(client, gate)
    following = [asyncio.ensure_future(gathered(handle)) for handle in (one, other)]
    gate.release(100)
    hot, plain = [drawn(events) for events in await asyncio.gather(*following)]
    assert hot[-1].sampler.settings == HOT
    assert len(hot) == 30
    assert {event.sampler.settings for event in plain} == {GREEDY}
    assert len(plain) == 40
    await client.close()


async def test_a_stream_that_nobody_reads_holds_up_no_other() -> None:
    engine = Recorded()
    client = await started(engine)
    unread = client.stream(request(FIRST, 500))
    read = await gathered(client.stream(request(SECOND, 300)))
    assert len(drawn(read)) == 300
    await until(lambda: engine.turns.count(FIRST) == AHEAD)
    assert not unread.done
    await client.close()


async def test_an_error_ends_its_own_stream_alone(gate: threading.Semaphore) -> None:
    engine = Recorded(gate=gate, failures={3: OutOfMemoryError("full")})
    client = await started(engine)
    handles = [client.stream(request(FIRST)), client.stream(request(SECOND))]
    following = [asyncio.ensure_future(gathered(handle)) for handle in handles]
    gate.release(100)
    ends = await asyncio.gather(*following, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["OutOfMemoryError", "list"]
    await client.close()


async def test_an_experiment_takes_turns_with_a_stream(
    engine: Recorded, gate: threading.Semaphore
) -> None:
    client = await started(engine)
    experiment = Experiment(request(SECOND, 3), runs=4)
    asked = client.stream(request(FIRST, 60)), client.repeat(experiment)
    await all_begun(client, gate)
    streaming, running = (asyncio.ensure_future(gathered(handle)) for handle in asked)
    gate.release(1_000)
    events, outcomes = await streaming, await running
    assert list(map(timeless, events)) == alone(request(FIRST, 60))
    assert list(map(figures, outcomes)) == [
        figures(outcome) for outcome in conduct(FakeEngine(), experiment, Control())
    ]
    runs = [at for at, turn in enumerate(engine.turns) if turn == ()]
    between = [turn for turn in engine.turns[runs[0] : runs[-1]] if turn == FIRST]
    assert len(between) >= 4
    await client.close()


async def test_an_experiment_that_is_cancelled_ends_with_what_is_done(
    engine: Recorded, gate: threading.Semaphore
) -> None:
    client = await started(engine)
    handle = client.repeat(Experiment(request(SECOND, 3), runs=500))
    gate.release(2 * 3 + 1)
    runs = 0
    async for batch in handle:
        runs += sum(isinstance(event, Run) for event in batch)
        if runs == 2:
            handle.cancel()
    assert runs == 2, "not the third one, which was begun"
    assert handle.done
    await client.close()


async def test_scores_wait_for_all_streams_and_a_cancelled_one_for_none() -> None:
    engine = Recorded()
    client = await started(engine)
    streams = [client.stream(request(ids, 100)) for ids in (FIRST, SECOND)]
    scoring = client.score((300,) * 30, 1)
    cancelled = client.score((300,) * 30, 1)
    cancelled.cancel()
    assert await gathered(cancelled) == []
    await until(lambda: engine.passes == 2 * AHEAD)
    await client.ask(Describe(FIRST))  # it comes after all that can be done
    assert engine.passes == 2 * AHEAD
    for handle in streams:
        assert isinstance((await gathered(handle))[-1], StreamEnded)
    scored = [event for event in await gathered(scoring) if isinstance(event, ScoredToken)]
    assert [event.position for event in scored] == list(range(1, 30))
    await client.close()


async def test_a_cancelled_score_lets_go_of_its_cache_though_nothing_else_is_to_be_done(
    gate: threading.Semaphore,
) -> None:
    class Holding(FakeEngine):
        holds = False

        def score(self, *asked: Any) -> Iterator[Progress | ScoredToken]:
            self.holds = True
            try:
                yield from super().score(*asked)
            finally:
                self.holds = False

        def _forward(self) -> None:
            gate.acquire()

    engine = Holding()
    client = await started(engine)
    handle = client.score(FIRST, 1)
    following = asyncio.ensure_future(gathered(handle))
    gate.release()
    await until(lambda: engine.holds)
    handle.cancel()
    gate.release(9)
    await following
    await until(lambda: not engine.holds)
    await client.close()


async def test_two_scores_are_both_done() -> None:
    client = await started(FakeEngine(chunk=8))
    handles = [client.score((300,) * 40, 1), client.score((310,) * 20, 5)]
    counts = []
    for handle in handles:
        events = await gathered(handle)
        assert any(isinstance(event, Progress) for event in events)
        counts.append(sum(isinstance(event, ScoredToken) for event in events))
    assert counts == [39, 15]
    await client.close()


async def test_by_hand_the_streams_get_a_token_each_in_turn() -> None:
    client = await started(FakeEngine())
    client.on_demand = True
    came: list[str] = []

    async def follow(name: str, handle: Handle[StreamEvent]) -> None:
        async for batch in handle:
            came.extend(name for event in batch if isinstance(event, DrawnToken))

    assert not client.holds
    handles = [client.stream(request(ids, 4)) for ids in (FIRST, SECOND, THIRD)]
    follows = [
        asyncio.ensure_future(follow(name, handle))
        for name, handle in zip("abc", handles, strict=True)
    ]
    for _ in range(6):
        await until(lambda: client.holds)
        client.let_come()
        assert not client.holds
    await until(lambda: client.holds)
    assert "".join(came) == "abcabc"
    handles[1].cancel()
    await follows[1]
    for _ in range(2):
        await until(lambda: client.holds)
        client.let_come()
    await until(lambda: client.holds)
    assert "".join(came) == "abcabcac"
    for handle in handles:
        handle.cancel()
    await asyncio.gather(*follows)
    assert not client.holds
    await client.close()


async def test_a_lost_engine_ends_all_of_them_and_to_cancel_them_is_no_error() -> None:
    client = await started(FakeEngine(failures={40: "die"}))
    handles: list[Handle[StreamEvent]] = [
        client.stream(request(ids, 100)) for ids in (FIRST, SECOND)
    ]
    scoring = client.score((300,) * 30, 1)
    for ending in (*map(gathered, handles), gathered(scoring)):
        with pytest.raises(EngineLostError, match="ended"):
            await ending
    for handle in handles:
        assert handle.done
        handle.cancel()
        handle.configure(HOT)
    with pytest.raises(EngineLostError):
        client.stream(request(FIRST))
    await client.close()
