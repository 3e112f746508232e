"""Lets the tokens of a stream through one by one, when a tape's clock says so."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from tokexplore.models.protocol import Described, DrawnToken, ScoredToken, StreamEvent


class Gate:
    """Stands between an engine's stream and what shows it."""

    def __init__(self) -> None:
        self._permits = asyncio.Semaphore(0)
        self.holding = False
        """A token waits to be let through."""
        self.moved = asyncio.Event()
        """Set whenever `holding` changes."""

    def let_one_through(self) -> None:
        """Let the token through that waits."""
        self.holding = False
        self._permits.release()

    async def meter(
        self, batches: AsyncIterator[list[StreamEvent]]
    ) -> AsyncIterator[list[StreamEvent]]:
        """The same events, each token by itself."""
        async for batch in batches:
            for event in batch:
                if isinstance(event, DrawnToken):
                    self.holding = True
                    self.moved.set()
                    await self._permits.acquire()
                yield [_timeless(event)]


def _timeless(event: StreamEvent) -> StreamEvent:
    """An event without the seconds that it took, which no two runs share."""
    if isinstance(event, DrawnToken | ScoredToken | Described):
        told = msgspec.structs.replace(event.distribution, seconds=0.0)
        return msgspec.structs.replace(event, distribution=told)
    return event
