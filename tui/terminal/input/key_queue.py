"""Keys and pastes act one after another, however fast they come."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widgets import Input

from tokexplore.tui.terminal.input.key_events import Key, Unreadable
from tokexplore.tui.terminal.input.pastes import check_paste

MOST_WAITING = 1000
"""Keys that may wait where they are commands: more than anybody types ahead."""
QUIT_WITHIN = 1.0
"""Seconds that quitting may wait for the keys before it."""
_LOOK_EVERY = 0.01
_ROUNDS = 2
"""What a key makes a widget say comes one round after the key itself."""

Typed = events.Key | events.Paste


@runtime_checkable
class KeepsWaiting(Protocol):
    """A screen that some keys have to wait for."""

    def keeps_waiting(self, event: Typed) -> bool:
        """Whether what this key is for is not there yet."""


class Acted(Message, namespace="turns"):
    """All that came to a widget before this was acted on, up to the app."""


class KeyQueue:
    """Keys of one burst do what the same keys do one by one.

    A key waits until the one before it has had its effect, and as long as the screen says that what
    it is for is not there yet; nothing else waits with it: the screen is painted and the mouse
    works meanwhile.

    Args:
        act: does what a key or a paste is for.
        waits: whether every key has to wait, whatever the screen says.
        quit_anyway: quits, whatever the key that asks for it waits for.
    """

    def __init__(
        self,
        app: App[Any],
        act: Callable[[Typed], Awaitable[None]],
        waits: Callable[[], bool],
        quit_anyway: Callable[[], None],
    ) -> None:
        self._app, self._act, self._waits, self._quit_anyway = app, act, waits, quit_anyway
        self._waiting: deque[Typed] = deque()
        self._acting: MessagePump | None = None
        """Where the key went that is acted on at present."""
        self._rounds = 0
        self._looks = False
        self._warned_unreadable = self._warned_too_many = False

    def __len__(self) -> int:
        return len(self._waiting) + (self._acting is not None)

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        app = self._app
        if not app.screen_stack or app.focused is None:
            return False
        from textual.widgets import TextArea  # the first paint does not wait for it

        return isinstance(app.focused, Input | TextArea)

    def receive(self, message: Message) -> None:
        """A message of the terminal's, in the event loop."""
        if isinstance(message, Unreadable):
            self._say_unreadable()
            return
        if isinstance(message, events.Key) and message.key == "ctrl+q":
            asyncio.get_running_loop().call_later(QUIT_WITHIN, self._quit_anyway)
        self._app.post_message(message)

    async def take(self, event: Typed) -> None:
        """Let a key or a paste act when its turn comes; ctrl+c stops what the others wait for."""
        self._app.app_focus = True  # a key tells it, whatever the terminal said last
        if isinstance(event, events.Key):
            event = Key.of(event)
        stops = isinstance(event, events.Key) and event.key == "ctrl+c"
        if stops or not (self or self._keeps_waiting(event)):
            await self._do(event)
            return
        if len(self._waiting) >= MOST_WAITING and not self.is_typing:
            self._waiting.clear()
            self.say_too_many()
        self._waiting.append(event)
        self._look_in(_LOOK_EVERY)

    def _keeps_waiting(self, event: Typed) -> bool:
        if self._waits():
            return True
        app, stack = self._app, self._app.screen_stack
        if not stack or any(pump._next_callbacks for pump in (app, *stack)):
            return bool(stack)
        screen = stack[-1]
        return isinstance(screen, KeepsWaiting) and screen.keeps_waiting(event)

    async def _do(self, event: Typed) -> None:
        app = self._app
        if isinstance(event, events.Paste):
            one_line = self.is_typing and isinstance(app.focused, Input)
            taken, warnings = check_paste(event, typing=self.is_typing, one_line=one_line)
            for warning in warnings:
                self._warn(warning)
            if not taken:
                return
        target = app.focused or app.screen
        await self._act(event)
        if event.is_forwarded and target.post_message(Acted()):
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
            await self._do(self._waiting.popleft())
        if self._waiting:
            self._look_in(0 if acts else _LOOK_EVERY)

    def _look_in(self, seconds: float) -> None:
        """Look again once the app's own queue was worked off; nothing has to tell when that is."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(seconds, self._app.call_later, self._look)

    def say_too_many(self) -> None:
        """Say once that of a flood of keys the last ones are acted on."""
        if not self._warned_too_many:
            self._warned_too_many = True
            self._warn(f"More than {MOST_WAITING:,} keys came at once: most are left out.")

    def _say_unreadable(self) -> None:
        """Say once that what the terminal sends is left out where it cannot be read."""
        if not self._warned_unreadable:
            self._warned_unreadable = True
            self._warn(
                "The terminal sent what cannot be read (bytes outside UTF-8, or a sequence that "
                "breaks off): it is left out."
            )

    def _warn(self, text: str) -> None:
        self._app.notify(text, severity="warning", markup=False)


@runtime_checkable
class HasKeyQueue(Protocol):
    """An app whose keys wait for their turns."""

    key_queue: KeyQueue
