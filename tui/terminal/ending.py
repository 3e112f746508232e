"""How the app ends, whoever asks for it: its user, a signal, a line that is lost."""

import asyncio
import math
import signal
from collections.abc import Callable
from typing import NamedTuple, Protocol

from rich.text import Text
from textual.app import App

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.terminal.exit_codes import BY_SIGNAL
from tokexplore.tui.terminal.frame_writer import FrameWriter
from tokexplore.tui.terminal.shutdown import (
    ENDED,
    LOOK_EVERY,
    is_line_lost,
    leave_in_time,
    watch_signals,
)

_ENGINES_END = 5.0
"""Seconds that engines may take to end."""


class Work(Protocol):
    """What has to be ended before the app."""

    def halt(self) -> None:
        """Begin nothing more."""

    def close(self, ended: str) -> str:
        """Write the rest of the session; what the user should know of that. Waits for the disk."""

    async def end_engines(self) -> None:
        """End all engines that were started, and wait until they are gone."""


class Asked(NamedTuple):
    """A key that asked for the end."""

    key: str
    at: float
    """Seconds of the app's clock."""
    keys: int
    """Keys that were pressed until then, itself among them."""


class Ending:
    """Ends the work of an app, then the app.

    Args:
        before: called first.
    """

    def __init__(
        self, app: App[int], frames: FrameWriter, work: Work, before: Callable[[], object]
    ) -> None:
        self._app, self._frames, self._work, self._before = app, frames, work, before
        self._forced = self._leaving = False
        self._asked = Asked("", -math.inf, 0)
        self._keys = 0

    def watch(self) -> None:
        """End where a signal asks for it, or the line is lost."""
        watch_signals(self.end_by)
        self._app.set_interval(LOOK_EVERY, self._look_at_line)

    def _look_at_line(self) -> None:
        if is_line_lost():
            self.end_by(BY_SIGNAL[signal.SIGHUP])

    def end_by(self, code: int) -> None:
        """End because of a signal or a lost line: nothing is asked, nothing may block it."""
        if not self._forced:
            self._forced = True
            leave_in_time(code)
            self._frames.pacer.forget()
            self._app.run_worker(self.leave(code))

    def quit_anyway(self) -> None:
        """Quit, whatever the key that asks for it waits for."""
        if not self._leaving:
            self.end_by(0)

    def pressed(self) -> None:
        """A key was pressed: whatever was asked for before it begins anew, but by the same key."""
        self._keys += 1

    def again(self, key: str, now: float, within: float) -> bool:
        """Whether a key asks for the end a second time, with no other one since the first.

        Args:
            now: by the app's clock.
            within: seconds between the two at most.
        """
        before, self._asked = self._asked, Asked(key, now, self._keys)
        return before.key == key and now - before.at < within and self._keys - before.keys <= 1

    async def leave(self, code: int, message: str = "") -> None:
        """End the engine, then the app, and print `message` once the screen is the user's again."""
        if self._leaving:
            return
        self._leaving = True
        self._before()
        self._work.halt()
        closing = asyncio.create_task(asyncio.to_thread(self._work.close, ENDED.get(code, "quit")))
        ended = asyncio.gather(self._work.end_engines(), self._frames.quieten())
        try:
            await asyncio.wait_for(ended, _ENGINES_END)
        except (TimeoutError, TokexploreError):
            self._app.log.error("the engine did not end in time")
        last = "\n".join(filter(None, (message, await closing)))
        self._app.exit(code, return_code=code, message=Text(safe_text(last)) if last else None)
