"""Recordings and pictures of an app's screen, and tapes of its keys, as files."""

from pathlib import Path
from typing import Any

import platformdirs

from tokexplore.models.errors import TokexploreError
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.recording.camera import Recorder
from tokexplore.tui.recording.cast import CastWriter, Version, new_path
from tokexplore.tui.recording.key_log import KeyLog
from tokexplore.tui.recording.screenshot import svg_of, write_png
from tokexplore.tui.terminal.paced_app import PacedApp


class Recordings:
    """What is kept of one app's screen.

    Args:
        version: asciicast version of recordings.
        idle_cap: seconds that a pause of a recording lasts at most; None is for any length.
    """

    def __init__(self, app: PacedApp[Any], version: Version, idle_cap: float | None) -> None:
        self._app, self._version, self._idle_cap = app, version, idle_cap
        self.recorder: Recorder | None = None
        """What records the screen at present, if anything."""
        self.keys = KeyLog()
        """The keys since the start or the last mark, each by the name that it has by itself."""
        self._marks = 0

    def begin(self, path: Path) -> None:
        """Record the screen to a new file from now on.

        Raises:
            UsageError: the file is there already, or cannot be written.
        """
        self._marks = 0
        self.recorder = Recorder(
            self._app,
            lambda size: CastWriter(path, size, version=self._version, idle_cap=self._idle_cap),
        )

    def stop(self) -> Path | None:
        """End the recording; its file."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return None
        recorder.stop()
        return recorder.cast.path

    def mark(self) -> str:
        """Mark this moment of the recording, and as the beginning of a tape; what to say of it."""
        self.keys.mark()
        if self.recorder is None:
            return "Marked: a tape that is saved begins here."
        self._marks += 1
        self.recorder.mark(f"mark {self._marks}")
        return ""

    def picture(self) -> str:
        """Keep a picture of the screen; a sentence that says where."""
        try:
            path = new_path(folder("pictures"), ".svg")
            path.write_text(svg_of(self._app), encoding="utf-8")
            too = " (and .png)" if write_png(self._app, path.with_suffix(".png")) else ""
        except (OSError, TokexploreError) as error:
            return f"The picture cannot be written: {error}"
        return f"The picture is {path}{too}."

    def save_tape(self, options: AppOptions, speed: float | None) -> str:
        """Write what was pressed to a tape; a sentence that says where.

        Args:
            speed: tokens a second of the last stream, where it is known.
        """
        size = self._app.size
        text = self.keys.tape(options, (size.width, size.height), speed)
        try:
            path = new_path(folder("tapes"), ".tape")
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            return f"The tape cannot be written: {error}."
        return f"The tape is {path}."


def folder(name: str) -> Path:
    """Where files of a kind go that the user names no folder for."""
    found = platformdirs.user_state_path("tokexplore") / name
    found.mkdir(parents=True, exist_ok=True)
    return found
