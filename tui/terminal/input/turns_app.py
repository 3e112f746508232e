"""An app in which keys and pastes act one after another, however fast they come."""

import asyncio
from typing import Protocol, runtime_checkable

from textual import events
from textual.message import Message
from textual.widgets import Input

from tokexplore.tui.terminal.input.key_events import Unreadable
from tokexplore.tui.terminal.input.key_queue import MOST_WAITING, KeyQueue
from tokexplore.tui.terminal.input.pastes import check_paste
from tokexplore.tui.theme import ReturnType, ThemedApp

QUIT_WITHIN = 1.0
"""Seconds that quitting may wait for the keys before it."""


@runtime_checkable
class KeepsWaiting(Protocol):
    """A screen that some keys have to wait for."""

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether what this key is for is not there yet."""


class TurnsApp(ThemedApp[ReturnType]):
    """Keys of one burst do what the same keys do one by one.

    A screen says what a key has to wait for; nothing else waits with it: the screen is painted and
    the mouse works meanwhile.
    """

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self.key_queue = KeyQueue(self.act, self.keeps_waiting, self.call_later)
        self._warned_unreadable = self._warned_too_many = False

    @property
    def is_typing(self) -> bool:
        """Whether keys are text."""
        if not self.screen_stack or self.focused is None:
            return False
        from textual.widgets import TextArea  # the first paint does not wait for it

        return isinstance(self.focused, Input | TextArea)

    def receive(self, message: Message) -> None:
        """A message of the terminal's, in the event loop."""
        if isinstance(message, events.Key) and message.key == "ctrl+q":
            asyncio.get_running_loop().call_later(QUIT_WITHIN, self.quit_anyway)
        self.post_message(message)

    def quit_anyway(self) -> None:
        """Quit, whatever the key that asks for it waits for."""
        self.exit()

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
        stops = isinstance(event, events.Key) and event.key == "ctrl+c"
        if stops or not (self.key_queue or self.keeps_waiting(event)):
            await self.act(event)
            return
        if self.key_queue.is_full and not self.is_typing:
            self.key_queue.clear()
            self.say_too_many()
        self.key_queue.wait(event)

    async def act(self, event: events.Key | events.Paste) -> None:
        """Do what a key or a paste is for."""
        if isinstance(event, events.Paste):
            one_line = self.is_typing and isinstance(self.focused, Input)
            taken, warnings = check_paste(event, typing=self.is_typing, one_line=one_line)
            for warning in warnings:
                self.warn(warning)
            if not taken:
                return
        target = self.focused or self.screen
        await super().on_event(event)
        if event.is_forwarded:
            self.key_queue.sent(target)

    async def on_turns_acted(self) -> None:
        """The key under way has had its effect, or most of it."""
        await self.key_queue.acted()

    def say_too_many(self) -> None:
        """Say once that of a flood of keys the last ones are acted on."""
        if not self._warned_too_many:
            self._warned_too_many = True
            self.warn(f"More than {MOST_WAITING:,} keys came at once: most are left out.")

    def on_unreadable(self, message: Unreadable) -> None:
        """Say once that what the terminal sends is left out where it cannot be read."""
        message.stop()
        if not self._warned_unreadable:
            self._warned_unreadable = True
            self.warn(
                "The terminal sent what cannot be read (bytes outside UTF-8, or a sequence that "
                "breaks off): it is left out."
            )

    def warn(self, text: str) -> None:
        """A notice of something that was left out."""
        self.notify(text, severity="warning", markup=False)
