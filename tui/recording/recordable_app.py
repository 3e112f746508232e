"""An app whose screen can be recorded, and whose keys can become a tape."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from textual import events
from textual.app import App
from textual.reactive import reactive

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.keymap import NONE, Rebinding
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
        self,
        *,
        stock: bool = False,
        cast_version: Version = 2,
        cast_idle_cap: float | None = None,
        only_last: tuple[str, ...] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(stock=stock, only_last=only_last, clock=clock)
        self.recordings = Recordings(self, cast_version, cast_idle_cap)
        self.rebinding = NONE
        """The user's own keys."""
        self._pressed_last = ""

    async def act(self, event: events.Key | events.Paste) -> None:
        """Remember the keys."""
        if isinstance(event, events.Key):
            here, typed = self.focused, event.character
            typing = here is not None and here.check_consume_key(event.key, typed)
            character = (typed or "") if typing else ""
            self._pressed_last = event.key
            if key := event.key if typing else self._by_itself(event.key):
                self.recordings.keys.add(Pressed(time.monotonic(), key, character))
        await super().act(event)

    def _by_itself(self, key: str) -> str:
        """The key that does the same where nothing is rebound; empty where there is none."""
        if not self.rebinding.keys:
            return key
        bound = self.screen.active_bindings.get(key)
        return self.rebinding.by_itself(key, bound.binding.id or "" if bound else None)

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
        opener = self.screen.active_bindings.get(self._pressed_last)
        by_key = opener is not None and opener.binding.action.endswith("palette")
        self.recordings.keys.opens_palette(by_key=by_key)
        self.open_palette()

    def open_palette(self) -> None:
        """Show all commands by name."""
        super().action_command_palette()


def rebinding_of(app: App[Any]) -> Rebinding:
    """The user's own keys in an app."""
    return app.rebinding if isinstance(app, RecordableApp) else NONE
