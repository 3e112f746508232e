"""What runs in an engine in another process, as its owner holds it: a stream, a score, ..."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from tokexplore.models.api.engine import DrawnToken, ScoredToken
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.messages import (
    AHEAD,
    Cancel,
    Command,
    Configure,
    Credit,
    Event,
    total_cost,
)

E = TypeVar("E", bound=Event)
_CREDIT_FROM = AHEAD // 4
"""Tokens that are credited at once: each message interrupts the engine's thread for a moment."""


class StreamHandle(Generic[E]):
    """Iterating gives batches of all that arrived since the last one was asked for.

    Leaving the loop before its end cancels. Errors of the engine are raised after the events that
    came before them.

    Args:
        send: brings a command to the engine, as long as there is one.
        background: it is worked on only while there is nothing else.
        on_demand: the engine waits for a credit before each new token.
    """

    def __init__(
        self,
        number: int,
        send: Callable[[Command], None],
        *,
        background: bool = False,
        on_demand: bool = False,
    ) -> None:
        self.number = number
        self.background = background
        self.done = False
        """Nothing more will arrive; what has arrived may still be taken."""
        self._send = send
        self._on_demand = self._held = on_demand
        self._events: list[E] = []
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[list[E]]:
        owed = 0
        try:
            while batch := await self._take():
                yield batch
                owed += total_cost(batch)
                if owed >= _CREDIT_FROM and not self.done and not self._on_demand:
                    self._send(Credit(self.number, owed))
                    owed = 0
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End it between two tokens or chunks, as interrupted; its last events come still."""
        if not self.done:
            self._on_demand = self._held = False
            self._send(Cancel(self.number))

    def configure(self, settings: SamplingSettings, max_new_tokens: int | None = None) -> None:
        """Settings, and length where given, for a stream from its next token on."""
        if not self.done:
            self._send(Configure(self.number, settings, max_new_tokens))

    @property
    def holds(self) -> bool:
        """Whether it waits for `let_come`, and what came of it was taken."""
        return self._held and not self._events

    def let_come(self) -> None:
        """Let the next token come, or the end, where it waits for that."""
        if self._held:
            self._held = False
            self._send(Credit(self.number, 1))

    # What arrives

    def put(self, event: E) -> None:
        """Take up an event that has arrived."""
        self._held = self._on_demand and isinstance(event, DrawnToken)
        if self._on_demand and isinstance(event, ScoredToken):
            self._send(Credit(self.number, 1))  # its token is still to come
        self._events.append(event)
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """There are no more events; `error` is why, where something failed."""
        self.done, self._held, self._error = True, False, error
        self._changed.set()

    async def _take(self) -> list[E]:
        """All that has arrived, at least one event; empty at the end."""
        while not self._events and not self.done:
            self._changed.clear()
            await self._changed.wait()
        batch, self._events = self._events, []
        if not batch and self._error:
            raise self._error
        return batch
