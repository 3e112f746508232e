"""Recordings and pictures of an app's screen, and tapes of its keys, as files."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import platformdirs
from textual.app import App
from textual.events import Key

from tokexplore.models.errors import TokexploreError, UsageError, reason_of
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.keymap import Rebinding
from tokexplore.tui.recording.camera import Recorder
from tokexplore.tui.recording.cast import CastWriter, Version, new_path
from tokexplore.tui.recording.key_log import KeyLog, Pressed
from tokexplore.tui.recording.screenshot import svg_of, write_png


class Recordings:
    """What is kept of one app's screen and keys.

    Args:
        rebinding: the user's own keys.
        version: asciicast version of recordings.
        idle_cap: seconds that a pause of a recording lasts at most; None is for any length.
        say: gives a notice.
        changed: called when a recording begins or ends.
    """

    def __init__(
        self,
        app: App[Any],
        rebinding: Rebinding,
        version: Version,
        idle_cap: float | None,
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._app, self._rebinding, self._say, self._changed = app, rebinding, say, changed
        self._version, self._idle_cap = version, idle_cap
        self.recorder: Recorder | None = None
        """What records the screen at present, if anything."""
        self.keys = KeyLog()
        """The keys since the start or the last mark, each by the name that it has by itself."""
        self._marks = 0
        self._pressed_last = ""

    def begin(self, path: Path) -> None:
        """Record the screen to a new file from now on.

        Raises:
            UsageError: the file is there already, or cannot be written.
        """
        self._marks = 0
        try:
            self.recorder = Recorder(
                self._app,
                lambda size: CastWriter(path, size, version=self._version, idle_cap=self._idle_cap),
                partial(self._failed, path),
            )
        except OSError as error:
            raise UsageError(f"{path} cannot be recorded to: {_reason(error)}") from None
        self._changed()

    def begin_at_start(self, path: Path) -> None:
        """Record the screen to a file that was asked for, or say why not."""
        try:
            self.begin(path)
        except UsageError as error:
            self._say(f"The screen cannot be recorded: {error}")

    def stop(self) -> Path | None:
        """End the recording; its file, where there was one."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return None
        self._changed()
        recorder.stop()
        return recorder.cast.path

    def _failed(self, path: Path, error: OSError) -> None:
        """The file of the recording cannot be written any more."""
        self.recorder = None
        self._changed()
        self._say(f"The recording {path} has ended here: {_reason(error)}")

    def begin_or_stop(self) -> None:
        """Record the screen from now on, or no longer, and say so."""
        if self.recorder is not None:
            self._say(f"The recording is {self.stop()}.")
            return
        try:
            self.begin(new_path(folder("recordings"), ".cast"))
        except (TokexploreError, OSError) as error:
            self._say(f"The screen cannot be recorded: {_reason(error)}")
            return
        self._app.notify("Recording: ! stops, @ marks.", timeout=2, markup=False)

    def painted(self) -> None:
        """There is a new frame."""
        if self.recorder is not None:
            self.recorder.touched()

    def mark(self) -> None:
        """Mark this moment of the recording, and as the beginning of a tape that is saved."""
        self.keys.mark()
        if self.recorder is None:
            text = "Marked: a tape that is saved begins here."
            self._app.notify(text, timeout=3, markup=False)
            return
        self._marks += 1
        self.recorder.mark(f"mark {self._marks}")

    def keep_picture(self) -> None:
        """Keep a picture of the screen, and say where."""
        try:
            path = new_path(folder("pictures"), ".svg")
            path.write_text(svg_of(self._app), encoding="utf-8")
            too = " (and .png)" if write_png(self._app, path.with_suffix(".png")) else ""
        except (OSError, TokexploreError) as error:
            self._say(f"The picture cannot be written: {_reason(error)}")
            return
        self._say(f"The picture is {path}{too}.")

    def pressed(self, event: Key) -> None:
        """Remember a key that is about to act."""
        here, typed = self._app.focused, event.character
        # Of what types something widgets are asked as of a letter: Textual knows fewer characters.
        typing = here is not None and here.check_consume_key(
            event.key, "a" if event.is_printable else typed
        )
        character = (typed or "") if typing else ""
        self._pressed_last = event.key
        if key := event.key if typing else self._by_itself(event.key):
            self.keys.add(Pressed(time.monotonic(), key, character))

    def _by_itself(self, key: str) -> str:
        """The key that does the same where nothing is rebound; empty where there is none."""
        if not self._rebinding.keys:
            return key
        bound = self._app.screen.active_bindings.get(key)
        return self._rebinding.by_itself(key, bound.binding.id or "" if bound else None)

    def palette_opens(self) -> None:
        """The keys that save a tape from the palette are no part of that tape."""
        opener = self._app.screen.active_bindings.get(self._pressed_last)
        by_key = opener is not None and opener.binding.action.endswith("palette")
        self.keys.opens_palette(by_key=by_key)

    def save_tape(self, options: AppOptions, speed: float | None) -> None:
        """Write what was pressed, up to the palette, to a tape, and say where.

        Args:
            speed: tokens a second of the last stream, where it is known.
        """
        self.keys.leave_out_palette()
        size = self._app.size
        text = self.keys.tape(options, (size.width, size.height), speed)
        try:
            path = new_path(folder("tapes"), ".tape")
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            self._say(f"The tape cannot be written: {_reason(error)}")
            return
        self._say(f"The tape is {path}.")


@runtime_checkable
class _Recordable(Protocol):
    recordings: Recordings


def is_recorded(app: App[Any]) -> bool:
    """Whether the screen of an app is recorded at present."""
    return isinstance(app, _Recordable) and app.recordings.recorder is not None


def _reason(error: TokexploreError | OSError) -> str:
    """Why something cannot be written, to the full stop."""
    if isinstance(error, TokexploreError):
        return str(error)
    return f"{reason_of(error)}."


def folder(name: str) -> Path:
    """Where files of a kind go that the user names no folder for."""
    found = platformdirs.user_state_path("tokexplore") / name
    found.mkdir(parents=True, exist_ok=True)
    return found
