"""What arrives from the engine's process for one stream or score, until it is taken."""

import asyncio
from typing import Any, Generic, TypeVar

import msgspec

from tokexplore.models.api.engine import Described, DrawnToken, ModelInfo, ScoredToken, StreamEvent
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.experiment import Outcome
from tokexplore.models.lab.repeat import Run

E = TypeVar("E", bound=StreamEvent | Outcome)


class Flow(Generic[E]):
    """The events of one stream or score that have arrived and were not taken yet.

    Args:
        by_hand: the engine waits for a credit before each new token.
    """

    def __init__(self, number: int, *, by_hand: bool = False) -> None:
        self.number = number
        self.by_hand = by_hand
        self.held = by_hand
        """The engine waits for a credit that only `EngineClient.let_come` gives."""
        self.events: list[E] = []
        self.done = False
        self.error: Exception | None = None
        self.changed = asyncio.Event()

    def put(self, event: E) -> None:
        """Take up an event that has arrived."""
        self.held = self.by_hand and isinstance(event, DrawnToken)
        self.events.append(event)
        self.changed.set()

    def end(self, error: Exception | None = None) -> None:
        """There are no more events; `error` is why, where something failed."""
        self.done, self.error = True, error
        self.changed.set()

    def release(self) -> None:
        """It was cancelled: its last events come by themselves."""
        self.by_hand = self.held = False

    async def take(self) -> list[E]:
        """All that has arrived, at least one event; empty at the end.

        Raises:
            Exception: what ended the flow, after its events were taken.
        """
        while not self.events and not self.done:
            self.changed.clear()
            await self.changed.wait()
        batch, self.events = self.events, []
        if not batch and self.error:
            raise self.error
        return batch


def timeless(value: Any) -> Any:
    """What an engine told, without the seconds that it took: no two runs share them."""
    match value:
        case Distribution() | Run() | ModelInfo():
            return msgspec.structs.replace(value, seconds=0.0)
        case DrawnToken():
            told = timeless(value.distribution)
            return msgspec.structs.replace(value, distribution=told, threads=0)
        case ScoredToken() | Described():
            return msgspec.structs.replace(value, distribution=timeless(value.distribution))
    return value
