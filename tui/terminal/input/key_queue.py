"""Keys and pastes that wait until all that the one before them began is done."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from textual import events
from textual.message import Message
from textual.message_pump import MessagePump

MOST_WAITING = 1000
"""Keys that may wait where they are commands: more than anybody types ahead."""
_LOOK_EVERY = 0.01
_ROUNDS = 2
"""What a key makes a widget say comes one round after the key itself."""

Typed = events.Key | events.Paste


class Acted(Message, namespace="turns"):
    """All that came to a widget before this was acted on, up to the app."""


class KeyQueue:
    """Hands out a key when the one before it has had its effect.

    Args:
        act: does what a key or a paste is for.
        keeps_waiting: whether what a key is for is not there yet.
        call_later: calls something once the app's own queue was worked off.
    """

    def __init__(
        self,
        act: Callable[[Typed], Awaitable[None]],
        keeps_waiting: Callable[[Typed], bool],
        call_later: Callable[[Callable[[], Awaitable[None]]], object],
    ) -> None:
        self._act, self._keeps_waiting, self._call_later = act, keeps_waiting, call_later
        self._waiting: deque[Typed] = deque()
        self._acting: MessagePump | None = None
        """Where the key went that is acted on at present."""
        self._rounds = 0
        self._looks = False

    def __len__(self) -> int:
        return len(self._waiting) + (self._acting is not None)

    @property
    def is_full(self) -> bool:
        """Whether more wait than anybody types ahead."""
        return len(self._waiting) >= MOST_WAITING

    def clear(self) -> None:
        """Leave out all that waits."""
        self._waiting.clear()

    def wait(self, event: Typed) -> None:
        """Let a key act when its turn comes."""
        self._waiting.append(event)
        self._look_in(_LOOK_EVERY)

    def sent(self, target: MessagePump) -> None:
        """A key went to a widget: the next one waits until it was acted on there."""
        if target.post_message(Acted()):
            self._acting, self._rounds = target, 1

    async def acted(self) -> None:
        """The key under way has had its effect, or most of it."""
        target = self._acting
        if target is None:
            return
        if self._rounds < _ROUNDS and target.post_message(Acted()):
            self._rounds += 1
            return
        self._acting = None
        await self._go_on()

    async def _look(self) -> None:
        self._looks = False
        await self._go_on()

    async def _go_on(self) -> None:
        if self._acting is not None and not (self._acting.is_running and self._acting.is_attached):
            self._acting = None
        acts = self._waiting and self._acting is None and not self._keeps_waiting(self._waiting[0])
        if acts:
            await self._act(self._waiting.popleft())
        if self._waiting:
            self._look_in(0 if acts else _LOOK_EVERY)

    def _look_in(self, seconds: float) -> None:
        """Look again once the queue was worked off; nothing has to tell when that is."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(seconds, self._call_later, self._look)
