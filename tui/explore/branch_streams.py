"""Branches that stream beside the path in view: each on its own, any of them held or set going."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable

from tokexplore.models.api.engine import (
    Described,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamEvent,
)
from tokexplore.models.errors import EngineLostError, TokexploreError
from tokexplore.models.tree.record import record
from tokexplore.models.worker.async_engine import Handle
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.streams import Notify, Streams


class BranchStream:
    """A stream that extends one branch.

    Args:
        leaf: the node that it extends.
    """

    def __init__(self, leaf: int) -> None:
        self.leaf = leaf
        self.live = True
        self.handle: Handle[StreamEvent] | None = None
        self.work: asyncio.Task[None] | None = None
        """What puts its tokens into the tree."""


class BranchStreams:
    """The streams beside the one of the path in view, which pauses and switches leave alone.

    Args:
        clock: seconds by which the rate is measured.
    """

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        streams: Streams,
        jobs: Jobs,
        changed: Callable[[], None],
        notify: Notify,
        clock: Callable[[], float],
    ) -> None:
        self._explorer, self._link, self._streams = explorer, link, streams
        self._jobs, self._changed, self._notify = jobs, changed, notify
        self._clock = clock
        self._live: list[BranchStream] = []
        self._times: deque[float] = deque(maxlen=256)
        """When the last tokens of all of them came."""

    @property
    def leaves(self) -> Collection[int]:
        """The nodes that are extended."""
        return [stream.leaf for stream in self._live]

    def at(self, leaf: int) -> BranchStream | None:
        """The stream that extends a node."""
        return next((stream for stream in self._live if stream.leaf == leaf), None)

    @property
    def rate(self) -> float | None:
        """Tokens a second of all together, over the last of them; None where none streams."""
        times = self._times
        if not self._live or len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) / (times[-1] - times[0])

    def go_on(self, leaf: int) -> BranchStream:
        """Extend a node by the set length.

        Raises:
            EngineLostError: there is no engine.
        """
        stream = BranchStream(leaf)
        request = self._streams.extension(leaf, self._streams.max_new_tokens)
        stream.handle = self._link.client.stream(request)
        self._live.append(stream)
        stream.work = self._jobs.run(self._follow(stream, stream.handle))
        return stream

    async def hold(self, streams: Iterable[BranchStream] | None = None) -> None:
        """End streams between two tokens (all by default), and wait until they have ended: their
        branches can be gone on with."""
        held = list(self._live if streams is None else streams)
        for stream in held:
            self._drop(stream)
            if stream.handle is not None:
                stream.handle.cancel()
        self._changed()
        works = [stream.work for stream in held if stream.work and not stream.work.done()]
        if works:
            await asyncio.wait(works)

    async def hold_on(self, leaving: Callable[[], Container[int]]) -> None:
        """End the streams that extend what is about to leave sight, and wait until they have ended.

        Args:
            leaving: the nodes that are: asked again, since others may have come meanwhile.
        """
        while self._live:
            nodes = leaving()
            held = [stream for stream in self._live if stream.leaf in nodes]
            if not held:
                break
            await self.hold(held)

    def _drop(self, stream: BranchStream) -> None:
        stream.live = False
        if stream in self._live:
            self._live.remove(stream)

    async def _follow(self, stream: BranchStream, handle: Handle[StreamEvent]) -> None:
        try:
            async for batch in handle:
                for event in batch:
                    self._apply(stream, event)
                self._changed()
        except EngineLostError:
            raise
        except TokexploreError as error:
            self._notify(str(error), severity="error")
        finally:
            self._drop(stream)

    def _apply(self, stream: BranchStream, event: StreamEvent) -> None:
        tree = self._explorer.tree
        match event:
            case DrawnToken():
                self._times.append(self._clock())
                stream.leaf = self._streams.add(stream.leaf, event)
                self._explorer.grown(stream.leaf)
            case ScoredToken() | Described() | StreamEnded():
                record(tree, stream.leaf, event)
