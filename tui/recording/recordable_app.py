"""An app whose screen can be recorded, and whose keys can become a tape."""

import time
from pathlib import Path
from typing import Literal

import platformdirs
from textual import events
from textual.reactive import reactive

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.recording.camera import Recorder
from tokexplore.tui.recording.cast import CastWriter, Version, new_path
from tokexplore.tui.recording.key_log import KeyLog, Pressed
from tokexplore.tui.recording.screenshot import svg_of, write_png
from tokexplore.tui.terminal.paced_app import PacedApp
from tokexplore.tui.theme import ReturnType


class RecordableApp(PacedApp[ReturnType]):
    """Remembers its keys, and lets a recorder see each frame."""

    recording: reactive[bool] = reactive(False)
    """Whether the screen is recorded at present."""
    _marks = 0

    def __init__(
        self, *, stock: bool = False, cast_version: Version = 2, cast_idle_cap: float | None = None
    ) -> None:
        super().__init__(stock=stock)
        self.recorder: Recorder | None = None
        """What records the screen at present, if anything."""
        self.keys_pressed = KeyLog()
        """The keys since the start or the last mark."""
        self._cast_version: Version = cast_version
        self._cast_idle_cap = cast_idle_cap

    async def act(self, event: events.Key | events.Paste) -> None:
        """Remember the keys."""
        if isinstance(event, events.Key):
            here, typed = self.focused, event.character
            typing = here is not None and here.check_consume_key(event.key, typed)
            character = (typed or "") if typing else ""
            self.keys_pressed.add(Pressed(time.monotonic(), event.key, character))
        await super().act(event)

    def say(
        self, text: str, *, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """A notice, as plain safe text."""
        self.notify(safe_text(text), severity=severity, markup=False, timeout=6)

    def action_record(self) -> None:
        """Record the screen from now on, or stop."""
        if self.recorder is not None:
            self.say(f"The recording is {self.stop_recording()}.")
            return
        try:
            self.record(new_path(_folder("recordings"), ".cast"))
        except (TokexploreError, OSError) as error:
            self.say(f"The screen cannot be recorded: {error}")
            return
        self.notify("Recording: ! stops, @ marks.", timeout=2, markup=False)

    def action_mark_recording(self) -> None:
        """Mark this moment: of the recording, and as the beginning of a tape that is saved."""
        self.keys_pressed.mark()
        if self.recorder is not None:
            self._marks += 1
            self.recorder.mark(f"mark {self._marks}")
        else:
            self.notify("Marked: a tape that is saved begins here.", timeout=3, markup=False)

    def action_picture(self) -> None:
        """Keep a picture of the screen."""
        try:
            path = new_path(_folder("pictures"), ".svg")
            path.write_text(svg_of(self), encoding="utf-8")
            too = " (and .png)" if write_png(self, path.with_suffix(".png")) else ""
        except (OSError, TokexploreError) as error:
            self.say(f"The picture cannot be written: {error}")
        else:
            self.say(f"The picture is {path}{too}.")

    def post_display_hook(self) -> None:
        """A frame was painted."""
        if self.recorder is not None:
            self.recorder.touched()

    def record(self, path: Path) -> None:
        """Record the screen to a new file from now on.

        Raises:
            UsageError: the file is there already, or cannot be written.
        """
        version, cap = self._cast_version, self._cast_idle_cap
        self._marks = 0
        self.recorder = Recorder(
            self, lambda size: CastWriter(path, size, version=version, idle_cap=cap)
        )
        self.recording = True

    def stop_recording(self) -> Path | None:
        """End the recording; its file."""
        recorder, self.recorder, self.recording = self.recorder, None, False
        if recorder is None:
            return None
        recorder.stop()
        return recorder.cast.path

    def action_command_palette(self) -> None:
        """Open the palette; the keys that save a tape from it are no part of that tape."""
        opener = self.screen.active_bindings.get(self.keys_pressed.last)
        by_key = opener is not None and opener.binding.action.endswith("palette")
        self.keys_pressed.opens_palette(by_key=by_key)
        self.open_palette()

    def open_palette(self) -> None:
        """Show all commands by name."""
        super().action_command_palette()

    def save_tape(self, options: AppOptions, speed: float | None) -> str:
        """Write what was pressed to a tape; a sentence that says where.

        Args:
            speed: tokens a second of the last stream, where it is known.
        """
        text = self.keys_pressed.tape(options, (self.size.width, self.size.height), speed)
        try:
            path = new_path(_folder("tapes"), ".tape")
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            return f"The tape cannot be written: {error}."
        return f"The tape is {path}."


def _folder(name: str) -> Path:
    folder = platformdirs.user_state_path("tokexplore") / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
