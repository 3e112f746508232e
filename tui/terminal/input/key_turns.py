"""Keys and pastes act one after another, however fast they come."""

import asyncio
from collections import deque
from typing import Protocol, runtime_checkable

from textual import events
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widgets import Input

from tokexplore.tui.terminal.input.key_events import Paste, Unreadable
from tokexplore.tui.theme import ReturnType, ThemedApp

MOST_WAITING = 1000
"""Keys that may wait where they are commands: more than anybody types ahead."""
LARGEST_PASTE, MOST_LINES = 2**19, 20_000
"""Characters and lines that an editor takes at once without a pause that is felt."""
QUIT_WITHIN = 1.0
"""Seconds that quitting may wait for the keys before it."""
_LOOK_EVERY = 0.01
_ROUNDS = 2
"""What a key makes a widget say comes one round after the key itself."""


class Acted(Message, namespace="turns"):
    """All that came to a widget before this was acted on, up to the app."""


@runtime_checkable
class KeepsWaiting(Protocol):
    """A screen that some keys have to wait for."""

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether what this key is for is not there yet."""


class TurnsApp(ThemedApp[ReturnType]):
    """Hands out a key when all that the one before it began is done.

    So keys of one burst do what the same keys do one by one. A screen says what a key has to wait
    for; nothing else waits with it: the screen is painted and the mouse works meanwhile.
    """

    _told_unreadable = _told_too_many = False
    _acting: MessagePump | None = None
    """Where the key went that is acted on at present."""
    _rounds = 0
    _looks = False

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._waiting: deque[events.Key | events.Paste] = deque()

    @property
    def keys_waiting(self) -> int:
        """How many keys and pastes were not acted on yet."""
        return len(self._waiting) + (self._acting is not None)

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        if not self.screen_stack or self.focused is None:
            return False
        from textual.widgets import TextArea  # the first paint does not wait for it

        return isinstance(self.focused, Input | TextArea)

    def heard(self, message: Message) -> None:
        """A message of the terminal's, in the event loop."""
        if isinstance(message, events.Key) and message.key == "ctrl+q":
            asyncio.get_running_loop().call_later(QUIT_WITHIN, self.quit_anyway)
        self.post_message(message)

    def quit_anyway(self) -> None:
        """Quit, whatever the key that asks for it waits for."""
        raise NotImplementedError

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether what this key is for is not there yet."""
        if not self.screen_stack or self._next_callbacks:
            return bool(self.screen_stack)
        if any(screen._next_callbacks for screen in self.screen_stack):
            return True
        screen = self.screen
        return isinstance(screen, KeepsWaiting) and screen.keeps_waiting(event)

    async def on_event(self, event: events.Event) -> None:
        """Let a key or a paste wait for its turn; ctrl+c stops what the others wait for."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self.app_focus = True  # a key tells it, whatever the terminal said last
        if isinstance(event, events.Key) and event.key == "ctrl+c":
            await self.act(event)
        elif self.keys_waiting or self.keeps_waiting(event):
            self._wait(event)
        else:
            await self.act(event)

    def _wait(self, event: events.Key | events.Paste) -> None:
        if len(self._waiting) >= MOST_WAITING and not self.is_typing:
            self._waiting.clear()
            self.say_too_many()
        self._waiting.append(event)
        self._look_in(_LOOK_EVERY)

    def say_too_many(self) -> None:
        """Say once that of a flood of keys the last ones are acted on."""
        if not self._told_too_many:
            self._told_too_many = True
            self.warn(f"More than {MOST_WAITING:,} keys came at once: most are left out.")

    async def act(self, event: events.Key | events.Paste) -> None:
        """Do what a key or a paste is for."""
        if isinstance(event, events.Paste) and not self._takes(event):
            return
        target = self.focused or self.screen
        await super().on_event(event)
        if event.is_forwarded and target.post_message(Acted()):
            self._acting, self._rounds = target, 1

    async def on_turns_acted(self) -> None:
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
        acts = self._waiting and self._acting is None and not self.keeps_waiting(self._waiting[0])
        if acts:
            await self.act(self._waiting.popleft())
        if self._waiting:
            self._look_in(0 if acts else _LOOK_EVERY)

    def _look_in(self, seconds: float) -> None:
        """Look again once the queue was worked off; nothing has to tell when that is."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(seconds, self.call_later, self._look)

    # Pastes, and what cannot be read

    def _takes(self, event: events.Paste) -> bool:
        """Whether a paste goes into an editor; says so where it does not, or not whole."""
        if isinstance(event, Paste):
            self._tell_of(event)
        if not event.text:
            return False
        if not self.is_typing:
            self.warn("What is pasted goes into an editor: p opens the prompt, t types here.")
            return False
        lines = len(event.text.splitlines())
        if len(event.text) > LARGEST_PASTE or lines > MOST_LINES:
            self.warn(
                f"This paste has {len(event.text):,} characters in {lines:,} lines, and an editor "
                f"takes {LARGEST_PASTE:,} in {MOST_LINES:,}: it is left out. --prompt-file takes "
                "any text."
            )
            return False
        if lines > 1 and isinstance(self.focused, Input):
            self.warn(f"This field has one line: {lines - 1:,} more of the paste are left out.")
        return True

    def _tell_of(self, event: Paste) -> None:
        _, controls, lost, beyond, whole = event.pasted
        if beyond:
            self.warn(f"This paste is too large: {beyond:,} bytes at its end are left out.")
        if controls or lost:
            parts = (
                f"{controls:,} control characters" if controls else "",
                f"{lost:,} bytes outside UTF-8" if lost else "",
            )
            self.warn(f"Left out of the paste: {' and '.join(filter(None, parts))}.")
        if not whole:
            self.warn("The end of the paste has not come: ctrl+g ends it.")

    def on_unreadable(self, message: Unreadable) -> None:
        """Say once that what the terminal sends is left out where it cannot be read."""
        message.stop()
        if not self._told_unreadable:
            self._told_unreadable = True
            self.warn(
                "The terminal sent what cannot be read (bytes outside UTF-8, or a sequence that "
                "breaks off): it is left out."
            )

    def warn(self, text: str) -> None:
        """A notice of something that was left out."""
        self.notify(text, severity="warning", markup=False)
