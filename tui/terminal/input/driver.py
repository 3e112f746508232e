"""Textual's driver for Linux and macOS, with an input thread that nothing sent can end."""

import os
import select
import signal
import time
from collections.abc import Iterable
from functools import cached_property

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from tokexplore.tui.terminal.input.key_events import Reader, clamped
from tokexplore.tui.terminal.input.key_queue import MOST_WAITING, HasKeyQueue, KeyQueue
from tokexplore.tui.terminal.input.splitter import Pasted, Splitter, Token, Typed

AT_ONCE = 2**16
"""Bytes that are read before they are acted on, where so many are there."""
MOST_TYPED = 20_000
"""Keys that wait in an editor while more are read: then the terminal has to wait."""
_LOOK_EVERY = 0.05
"""Seconds between looks at sequences that may have broken off, and at a line that was lost."""
_END_EVERY = 0.1
"""Seconds between looks at the end alone: each of them wakes the processor."""


class InputDriver(LinuxDriver):
    """Reads bytes without trust; all else is Textual's."""

    @cached_property
    def _keys(self) -> KeyQueue:
        assert isinstance(self._app, HasKeyQueue)
        return self._app.key_queue

    def _sigtstp_application(self, *_: object) -> None:
        """Leave the screen, then stop all of this job: the shell may wait for a `make` that waits
        for us, and would take the terminal while we still write to it."""
        if self._auto_restart:
            self.suspend_application_mode()
            self._must_signal_resume = True
        os.killpg(os.getpgrp(), signal.SIGSTOP)

    def run_input_thread(self) -> None:
        """Read until the end is asked for or the line is lost."""
        splitter, reader = Splitter(), Reader(self.size)
        while not self.exit_event.is_set():
            if len(self._keys) > MOST_TYPED:
                self.exit_event.wait(_LOOK_EVERY)
                continue
            if not self._waits(_LOOK_EVERY if splitter.waits else _END_EVERY):
                self._deliver(reader, splitter.tick(time.monotonic()))
                continue
            data = self._read()
            if not data:  # the line is lost, which the app looks at
                self.exit_event.wait(_LOOK_EVERY)
                continue
            self._deliver(reader, splitter.feed(data, time.monotonic()))

    def _waits(self, seconds: float) -> bool:
        return bool(select.select([self.fileno], [], [], seconds)[0])

    def _read(self) -> bytes:
        """All that is there, within reason."""
        data = b""
        while len(data) < AT_ONCE and (not data or self._waits(0)):
            try:
                more = os.read(self.fileno, AT_ONCE)
            except OSError:
                more = b""
            if not more:
                break
            data += more
        return data

    def _deliver(self, reader: Reader, tokens: Iterable[Token]) -> None:
        for token in self._within_reason(list(tokens)):
            for event in reader.events(token):
                self.process_message(event)

    def _within_reason(self, tokens: list[Token]) -> list[Token]:
        """Of a flood of commands the last ones: the app would leave the others out anyway."""
        if sum(map(_key_count, tokens)) <= MOST_WAITING or self._keys.is_typing:
            return tokens
        latest, room = list[Token](), MOST_WAITING
        for token in reversed(tokens):
            if room > 0 or isinstance(token, Pasted):
                latest.append(Typed(token.text[-room:]) if isinstance(token, Typed) else token)
            room -= _key_count(token)
        self._loop.call_soon_threadsafe(self._keys.say_too_many)
        return latest[::-1]

    def send_message(self, message: Message) -> None:
        """Give a message to the app, in the order of the calls."""
        self._loop.call_soon_threadsafe(self._keys.receive, message)

    def start_application_mode(self) -> None:
        """Take the terminal, and hear of its size whether or not it also reports it in its input.

        Such a report may come before the change itself, and may be anybody's words.
        """
        super().start_application_mode()
        signal.signal(signal.SIGWINCH, lambda *_: self.report_size())

    def report_size(self) -> None:
        """Tell the app how large the terminal is."""
        size = Size(*self._get_terminal_size())
        self.process_message(events.Resize(size, size))

    def size(self) -> tuple[int, int] | None:
        """Columns and rows that the terminal has; None where it does not say."""
        try:
            columns, rows = os.get_terminal_size(self.fileno)
        except OSError:
            return None
        return (columns, rows) if columns and rows else None

    def _get_terminal_size(self) -> tuple[int, int]:
        return clamped(*(self.size() or super()._get_terminal_size()))


def _key_count(token: Token) -> int:
    return len(token.text) if isinstance(token, Typed) else 1
