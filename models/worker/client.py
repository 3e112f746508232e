"""The interface's side of an engine in a process of its own.

Nothing here imports torch. The tree stays with the interface, so a lost engine loses nothing: a new
client with the same options goes on from the same node.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from tokexplore.models import errors
from tokexplore.models.api.engine import (
    Progress,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import Question
from tokexplore.models.errors import EngineLostError, reason_of
from tokexplore.models.interpret.inquiries import AnyInquiry, Finding
from tokexplore.models.lab.experiment import Experiment, Outcome
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.worker import messages
from tokexplore.models.worker.handle import StreamHandle
from tokexplore.models.worker.messages import (
    AHEAD,
    Answered,
    Asked,
    Done,
    Emitted,
    Failed,
    Interpret,
    Load,
    Loaded,
    Loading,
    Repeat,
    Score,
    Stream,
)
from tokexplore.models.worker.process import Connect, Connection, spawn_process
from tokexplore.models.worker.timeless import timeless

_GRACE = 2.0
"""Seconds that a child has to end by itself."""
_LAST_WORDS = 3

T = TypeVar("T")


class EngineClient:
    """An engine in a child process: implements `AsyncEngine`.

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
        self.on_demand = False
        """See `AsyncEngine.on_demand`."""
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
        self._handles: dict[int, StreamHandle[Any]] = {}
        """By number, as their turns come."""

    async def start(self, report: Callable[[Progress], None]) -> None:
        """Start the child and load the model.

        Raises:
            ModelError, UsageError, OutOfMemoryError: as the engine raised it.
            EngineLostError: the child cannot be started, or ended while it was loading.
        """
        loop = asyncio.get_running_loop()
        self._report = report
        try:
            self._connection = await self._connect()
        except (OSError, RuntimeError) as error:  # no process, descriptor or thread is left for it
            why = reason_of(error) if isinstance(error, OSError) else str(error)
            raise EngineLostError(f"the engine's process cannot be started: {why}.") from error
        if self._closing:
            await self.close()
            raise EngineLostError("the engine was closed.")
        self._loaded = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda: _Receiver(self), sock=self._connection.socket
        )
        self._transport = transport
        self._send(Load(self.options))
        await self._loaded

    # Questions

    async def ask(self, question: Question[T]) -> T:
        """See `AsyncEngine.ask`."""
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked[number] = (future, question.answer_type())
        try:
            self._send(Asked(number, question))
            return await future
        finally:
            self._asked.pop(number, None)

    @property
    def asked(self) -> bool:
        """Whether a question waits for its answer."""
        return bool(self._asked)

    # Streams, scores, experiments and inquiries

    def stream(self, request: StreamRequest) -> StreamHandle[StreamEvent]:
        """See `AsyncEngine.stream`.

        The engine stays at most `AHEAD` tokens ahead of the batches that were asked for.
        """
        handle: StreamHandle[StreamEvent] = self._new_handle(on_demand=self.on_demand)
        self._begin(handle, Stream(handle.number, request, 0 if self.on_demand else AHEAD))
        return handle

    def score(self, ids: Sequence[int], start: int) -> StreamHandle[Progress | ScoredToken]:
        """See `AsyncEngine.score`."""
        handle: StreamHandle[Progress | ScoredToken] = self._new_handle(background=True)
        self._begin(handle, Score(handle.number, tuple(ids), start))
        return handle

    def repeat(self, experiment: Experiment) -> StreamHandle[Outcome]:
        """See `AsyncEngine.repeat`."""
        handle: StreamHandle[Outcome] = self._new_handle()
        self._begin(handle, Repeat(handle.number, experiment))
        return handle

    def interpret(self, inquiry: AnyInquiry) -> StreamHandle[Finding]:
        """See `AsyncEngine.interpret`."""
        handle: StreamHandle[Finding] = self._new_handle()
        self._begin(handle, Interpret(handle.number, inquiry))
        return handle

    @property
    def holds(self) -> bool:
        """See `AsyncEngine.holds`; scores wait for the streams by themselves."""
        streams = self._streams
        return bool(streams) and all(handle.holds for handle in streams)

    def let_come(self) -> None:
        """See `AsyncEngine.let_come`."""
        handle = next((handle for handle in self._streams if handle.holds), None)
        if handle is not None:
            self._handles[handle.number] = self._handles.pop(handle.number)  # the others are next
            handle.let_come()

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

    @property
    def _streams(self) -> list[StreamHandle[Any]]:
        """Streams and experiments, the one whose turn it is first."""
        return [handle for handle in self._handles.values() if not handle.background]

    def _new_handle(
        self, *, background: bool = False, on_demand: bool = False
    ) -> StreamHandle[Any]:
        self._numbers += 1
        return StreamHandle(
            self._numbers, self._send_unless_closed, background=background, on_demand=on_demand
        )

    def _begin(self, handle: StreamHandle[Any], command: messages.Command) -> None:
        self._send(command)
        self._handles[handle.number] = handle

    def _send_unless_closed(self, command: messages.Command) -> None:
        """Send what does not matter any more once the engine is gone."""
        if not self.lost and not self._closing:
            self._send(command)

    def _send(self, command: messages.Command) -> None:
        if self.lost:
            raise EngineLostError(str(self.lost))  # not the one that what was under way met
        if self._closing or self._transport is None:
            raise EngineLostError("the engine is not running.")
        self._transport.write(messages.frame(command))

    def _receive(self, message: messages.Report) -> None:
        """Bring a message from the child to the one who waits for it."""
        match message:
            case Emitted(number, event):
                self._handles[number].put(self._untimed(event))
            case Done(number):
                self._handles.pop(number).end()
            case Answered(number, value):
                if waiting := self._asked.get(number):
                    future, kind = waiting
                    if not future.done():
                        future.set_result(self._untimed(msgspec.msgpack.decode(value, type=kind)))
            case Failed(number, kind, text):
                self._fail(number, getattr(errors, kind)(text))
            case Loading(progress):
                self._report(progress)
            case Loaded(info, vocabulary):
                self.info, self.vocabulary = self._untimed(info), vocabulary
                if self._loaded and not self._loaded.done():
                    self._loaded.set_result(None)

    def _untimed(self, value: T) -> T:
        return timeless(value) if self.on_demand else value

    def _fail(self, number: int, error: Exception) -> None:
        if handle := self._handles.pop(number, None):
            handle.end(error)
        elif number == 0 and self._loaded and not self._loaded.done():
            self._loaded.set_exception(error)
        elif number in self._asked and not self._asked[number][0].done():
            self._asked[number][0].set_exception(error)

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
        for number in [*self._handles, *self._asked, 0]:
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
