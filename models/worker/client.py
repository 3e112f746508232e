"""The interface's side of an engine in a process of its own: the `Engine` protocol, awaitable.

Nothing here imports torch. The tree stays with the interface, so a lost engine loses nothing: a new
client with the same options goes on from the same node.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from tokexplore.models import errors
from tokexplore.models.api.engine import (
    Chat,
    ModelInfo,
    Progress,
    Rendered,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import Distribution, Rows, TokenRank
from tokexplore.models.errors import EngineLostError
from tokexplore.models.lab.experiment import Experiment, Outcome
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.worker import messages
from tokexplore.models.worker.event_queue import E, Flow, timeless
from tokexplore.models.worker.messages import (
    Answered,
    Asked,
    Cancel,
    Configure,
    Credit,
    Done,
    Emitted,
    Failed,
    Load,
    Loaded,
    Loading,
    Repeat,
    Score,
    Stream,
)
from tokexplore.models.worker.process import Connect, Connection, spawn_process

_GRACE = 2.0
"""Seconds that a child has to end by itself."""
_LAST_WORDS = 3
_CREDIT_FROM = messages.AHEAD // 4
"""Tokens that are credited at once: each message interrupts the engine's thread for a moment."""

T = TypeVar("T")


class EngineClient:
    """An engine in a child process.

    Args:
        options: the model to load.
        connect: starts the process; tests connect a thread instead.
        on_lost: called in the event loop when the child ends unasked.
    """

    info: ModelInfo
    """What is loaded; after `start`."""
    vocabulary: Vocabulary
    """Ids and exact bytes; after `start`."""

    def __init__(
        self,
        options: LoadOptions,
        *,
        connect: Connect = spawn_process,
        on_lost: Callable[[EngineLostError], None] | None = None,
    ) -> None:
        self.options = options
        self.lost: EngineLostError | None = None
        """Why the child is gone, once it is."""
        self.by_hand = False
        """Each token of a stream waits for `let_come`, and nothing tells how long it took: what
        comes does not depend on how fast the engine is."""
        self._connect = connect
        self._on_lost = on_lost
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._ending: asyncio.Task[None] | None = None
        self._numbers = 0
        self._report: Callable[[Progress], None] = lambda _: None
        self._loaded: asyncio.Future[None] | None = None
        self._asked: dict[int, tuple[asyncio.Future[Any], Any]] = {}
        self._flows: dict[int, Flow[Any]] = {}
        self._stream: Flow[Any] | None = None
        self._score: Flow[Progress | ScoredToken] | None = None

    async def start(self, report: Callable[[Progress], None]) -> None:
        """Start the child and load the model.

        Raises:
            ModelError, UsageError, OutOfMemoryError: as the engine raised it.
            EngineLostError: the child ended while it was loading.
        """
        loop = asyncio.get_running_loop()
        self._report = report
        self._loaded = loop.create_future()
        self._connection = await self._connect()
        if self._closing:
            await self.close()
            raise EngineLostError("the engine was closed.")
        transport, _ = await loop.create_connection(
            lambda: _Receiver(self), sock=self._connection.socket
        )
        self._transport = transport
        self._send(Load(self.options))
        await self._loaded

    # Questions

    async def encode(
        self, text: str, *, continuation: bool = False, literal: bool = False
    ) -> list[int]:
        """See `Engine.encode`."""
        return cast(list[int], await self._ask(messages.Encode(text, continuation, literal)))

    async def render(self, chat: Chat) -> Rendered:
        """See `Engine.render`."""
        return cast(Rendered, await self._ask(messages.Render(chat)))

    async def next_turn(self, ids: Sequence[int], chat: Chat, user: str) -> Rendered:
        """See `Engine.next_turn`."""
        return cast(Rendered, await self._ask(messages.NextTurn(tuple(ids), chat, user)))

    async def describe(self, ids: Sequence[int]) -> Distribution:
        """See `Engine.describe`."""
        return cast(Distribution, await self._ask(messages.Describe(tuple(ids))))

    async def rows(self, ids: Sequence[int], start: int, count: int) -> Rows:
        """See `Engine.rows`."""
        return cast(Rows, await self._ask(messages.FindRows(tuple(ids), start, count)))

    async def search(self, ids: Sequence[int], text: str, limit: int) -> Rows:
        """See `Engine.search`."""
        return cast(Rows, await self._ask(messages.Search(tuple(ids), text, limit)))

    async def standings(self, ids: Sequence[int], tokens: Sequence[int]) -> list[TokenRank]:
        """See `Engine.standings`."""
        question = messages.FindStandings(tuple(ids), tuple(tokens))
        return cast(list[TokenRank], await self._ask(question))

    async def reshape(
        self, ids: Sequence[int], settings: SamplingSettings, prompt_length: int = 0
    ) -> SamplerView:
        """See `Engine.reshape`."""
        question = messages.Reshape(tuple(ids), settings, prompt_length)
        return cast(SamplerView, await self._ask(question))

    async def effects(
        self, ids: Sequence[int], settings: Sequence[SamplingSettings], prompt_length: int = 0
    ) -> list[Effect]:
        """See `Engine.effects`."""
        question = messages.FindEffects(tuple(ids), tuple(settings), prompt_length)
        return cast(list[Effect], await self._ask(question))

    async def draws(
        self, ids: Sequence[int], settings: SamplingSettings, count: int, prompt_length: int = 0
    ) -> Draws:
        """See `Engine.draws`."""
        question = messages.Draw(tuple(ids), settings, count, prompt_length)
        return cast(Draws, await self._ask(question))

    @property
    def asked(self) -> bool:
        """Whether a question waits for its answer."""
        return bool(self._asked)

    # Streams and scores

    def stream(self, request: StreamRequest) -> AsyncIterator[list[StreamEvent]]:
        """Start a stream at once: batches of all that arrived since the last one was asked for.

        The last event is `StreamEnded`. One stream runs at a time: a new one ends the one before,
        which still delivers its last events. The engine stays at most `messages.AHEAD` tokens ahead
        of the batches that were asked for. Questions are answered between two tokens.
        """
        self.cancel()
        flow = self._stream = self._open_flow(by_hand=self.by_hand)
        self._send(Stream(flow.number, request, 0 if self.by_hand else messages.AHEAD))
        return self._batches(flow)

    def score(self, ids: Sequence[int], start: int) -> AsyncIterator[list[Progress | ScoredToken]]:
        """Score ids[start:] in the background, whenever no stream runs.

        A stream that starts meanwhile goes first, and the score goes on after it. One score at a
        time: a new one ends the one before, early and without a sign of it.
        """
        self.cancel_score()
        flow = self._score = self._open_flow()
        self._send(Score(flow.number, tuple(ids), start))
        return self._batches(flow)

    def repeat(self, experiment: Experiment) -> AsyncIterator[list[Outcome]]:
        """Conduct an experiment, in the place of a stream: `cancel` ends it with what is done."""
        self.cancel()
        flow = self._stream = self._open_flow()
        self._send(Repeat(flow.number, experiment))
        return self._batches(flow)

    def configure(self, settings: SamplingSettings, max_new_tokens: int | None = None) -> None:
        """Settings, and length where given, for the running stream, from its next token on."""
        if self._stream:
            self._send(Configure(self._stream.number, settings, max_new_tokens))

    def cancel(self) -> None:
        """End the running stream between two tokens or chunks, as interrupted."""
        if self._stream:
            self._stream.release()
            self._send(Cancel(self._stream.number))

    @property
    def holds(self) -> bool:
        """Whether the running stream waits for `let_come`, and what came of it was taken."""
        return self._stream is not None and self._stream.held and not self._stream.events

    def let_come(self) -> None:
        """Let the next token of a stream come that waits for it, or the stream's end."""
        if self._stream is not None and self._stream.held:
            self._stream.held = False
            self._send(Credit(self._stream.number, 1))

    def cancel_score(self) -> None:
        """End the running score between two tokens or chunks."""
        if self._score:
            self._send(Cancel(self._score.number))

    # The end

    @property
    def log_tail(self) -> str:
        """What the child printed last, safe to show."""
        return self._connection.log() if self._connection else ""

    async def close(self) -> None:
        """End the child and wait until it is gone, with the memory of its device."""
        self._closing = True
        if self._transport:
            self._transport.abort()
        elif self._connection:
            self._connection.socket.close()
        if self._connection:
            await self._wait_for_end(self._connection)
        self._fail_all(EngineLostError("the engine was closed."))

    # Inside

    def _open_flow(self, *, by_hand: bool = False) -> Flow[Any]:
        self._numbers += 1
        flow: Flow[Any] = Flow(self._numbers, by_hand=by_hand)
        self._flows[flow.number] = flow
        return flow

    async def _batches(self, flow: Flow[E]) -> AsyncIterator[list[E]]:
        owed = 0
        try:
            while batch := await flow.take():
                yield batch
                owed += messages.total_cost(batch)
                if owed >= _CREDIT_FROM and not flow.done and not flow.by_hand:
                    self._send(Credit(flow.number, owed))
                    owed = 0
        finally:
            if not flow.done and not self.lost and not self._closing:
                flow.release()
                self._send(Cancel(flow.number))

    async def _ask(self, question: messages.Question) -> object:
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = (future, messages.ANSWERS[type(question)])
        try:
            self._send(Asked(number, question))
            return await future
        finally:
            self._asked.pop(number, None)

    def _send(self, command: messages.Command) -> None:
        if self.lost:
            raise self.lost
        if self._closing or self._transport is None:
            raise EngineLostError("the engine is not running.")
        self._transport.write(messages.frame(command))

    def _receive(self, message: messages.Report) -> None:
        """Bring a message from the child to the one who waits for it."""
        match message:
            case Emitted(number, event):
                self._emitted(self._flows[number], event)
            case Done(number):
                self._end_flow(number, None)
            case Answered(number, value):
                if waiting := self._asked.get(number):
                    future, kind = waiting
                    if not future.done():
                        future.set_result(self._told(msgspec.msgpack.decode(value, type=kind)))
            case Failed(number, kind, text):
                self._fail(number, getattr(errors, kind)(text))
            case Loading(progress):
                self._report(progress)
            case Loaded(info, vocabulary):
                self.info, self.vocabulary = self._told(info), vocabulary
                if self._loaded and not self._loaded.done():
                    self._loaded.set_result(None)

    def _emitted(self, flow: Flow[Any], event: StreamEvent | Outcome) -> None:
        flow.put(self._told(event))
        if flow.by_hand and isinstance(event, ScoredToken):
            self._send(Credit(flow.number, 1))  # its token is still to come

    def _told(self, value: T) -> T:
        return timeless(value) if self.by_hand else value

    def _fail(self, number: int, error: Exception) -> None:
        if number in self._flows:
            self._end_flow(number, error)
        elif number == 0 and self._loaded and not self._loaded.done():
            self._loaded.set_exception(error)
        elif number in self._asked and not self._asked[number][0].done():
            self._asked[number][0].set_exception(error)

    def _end_flow(self, number: int, error: Exception | None) -> None:
        flow = self._flows.pop(number)
        flow.end(error)
        if flow is self._stream:
            self._stream = None
        if flow is self._score:
            self._score = None

    def _disconnected(self) -> None:
        """The socket ended: find out why, unless we closed it."""
        if not self._closing:
            self._ending = asyncio.get_running_loop().create_task(self._lose())

    async def _lose(self) -> None:
        connection = cast(Connection, self._connection)
        how = await self._wait_for_end(connection)
        if self._closing:
            return
        words = connection.log().splitlines()[-_LAST_WORDS:]
        last = "".join(f"\n  {line}" for line in words)
        self.lost = EngineLostError(f"the engine's process ended ({how}).{last}")
        failed_to_load = not hasattr(self, "info")
        self._fail_all(self.lost)
        if self._on_lost and not failed_to_load:
            self._on_lost(self.lost)

    async def _wait_for_end(self, connection: Connection) -> str:
        try:
            return await asyncio.wait_for(connection.ended(), _GRACE)
        except TimeoutError:
            connection.kill()
            return await connection.ended()

    def _fail_all(self, error: EngineLostError) -> None:
        for number in [*self._flows, *self._asked, 0]:
            self._fail(number, error)


class _Receiver(asyncio.Protocol):
    """Feeds a client with what its socket brings."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._inbox = messages.Inbox("engine")

    def data_received(self, data: bytes) -> None:
        for message in self._inbox.feed(data):
            self._client._receive(message)

    def connection_lost(self, _: Exception | None) -> None:
        self._client._disconnected()
