"""An app whose screen can be recorded, and whose keys can become a tape."""

import time
from pathlib import Path
from typing import Literal

from textual import events
from textual.reactive import reactive

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.recording.cast import Version, new_path
from tokexplore.tui.recording.key_log import Pressed
from tokexplore.tui.recording.recordings import Recordings, folder
from tokexplore.tui.terminal.paced_app import PacedApp
from tokexplore.tui.theme import ReturnType


class RecordableApp(PacedApp[ReturnType]):
    """Remembers its keys, and lets a recorder see each frame."""

    recording: reactive[bool] = reactive(False)
    """Whether the screen is recorded at present."""

    def __init__(
        self, *, stock: bool = False, cast_version: Version = 2, cast_idle_cap: float | None = None
    ) -> None:
        super().__init__(stock=stock)
        self.recordings = Recordings(self, cast_version, cast_idle_cap)

    async def act(self, event: events.Key | events.Paste) -> None:
        """Remember the keys."""
        if isinstance(event, events.Key):
            here, typed = self.focused, event.character
            typing = here is not None and here.check_consume_key(event.key, typed)
            character = (typed or "") if typing else ""
            self.recordings.keys.add(Pressed(time.monotonic(), event.key, character))
        await super().act(event)

    def say(
        self, text: str, *, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """A notice, as plain safe text."""
        self.notify(safe_text(text), severity=severity, markup=False, timeout=6)

    def record(self, path: Path) -> None:
        """Record the screen to a new file from now on.

        Raises:
            UsageError: the file is there already, or cannot be written.
        """
        self.recordings.begin(path)
        self.recording = True

    def stop_recording(self) -> Path | None:
        """End the recording; its file."""
        self.recording = False
        return self.recordings.stop()

    def action_record(self) -> None:
        """Record the screen from now on, or stop."""
        if self.recording:
            self.say(f"The recording is {self.stop_recording()}.")
            return
        try:
            self.record(new_path(folder("recordings"), ".cast"))
        except (TokexploreError, OSError) as error:
            self.say(f"The screen cannot be recorded: {error}")
            return
        self.notify("Recording: ! stops, @ marks.", timeout=2, markup=False)

    def action_mark_recording(self) -> None:
        """Mark this moment: of the recording, and as the beginning of a tape that is saved."""
        if notice := self.recordings.mark():
            self.notify(notice, timeout=3, markup=False)

    def action_picture(self) -> None:
        """Keep a picture of the screen."""
        self.say(self.recordings.picture())

    def post_display_hook(self) -> None:
        """A frame was painted."""
        if self.recordings.recorder is not None:
            self.recordings.recorder.touched()

    def action_command_palette(self) -> None:
        """Open the palette; the keys that save a tape from it are no part of that tape."""
        keys = self.recordings.keys
        opener = self.screen.active_bindings.get(keys.last)
        keys.opens_palette(by_key=opener is not None and opener.binding.action.endswith("palette"))
        self.open_palette()

    def open_palette(self) -> None:
        """Show all commands by name."""
        super().action_command_palette()
