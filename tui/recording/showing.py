"""An app whose screen can be recorded, and whose keys can become a tape."""

import time
from pathlib import Path

import platformdirs
from textual import events

from tokexplore.tui.options import AppOptions
from tokexplore.tui.output.seam import PacedApp
from tokexplore.tui.recording.camera import Recorder
from tokexplore.tui.recording.cast import CastWriter, Version, new_path
from tokexplore.tui.tape.memory import KeyMemory, Pressed
from tokexplore.tui.theme import ReturnType


class ShowingApp(PacedApp[ReturnType]):
    """Remembers its keys, and lets a recorder see each frame."""

    def __init__(
        self, *, stock: bool = False, cast_version: Version = 2, cast_idle_cap: float | None = None
    ) -> None:
        super().__init__(stock=stock)
        self.recorder: Recorder | None = None
        """What records the screen at present, if anything."""
        self.keys_pressed = KeyMemory()
        """The keys since the start or the last mark."""
        self._cast_version: Version = cast_version
        self._cast_idle_cap = cast_idle_cap

    async def on_event(self, event: events.Event) -> None:
        """Remember the keys."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            here, typed = self.focused, event.character
            typing = here is not None and here.check_consume_key(event.key, typed)
            character = (typed or "") if typing else ""
            self.keys_pressed.add(Pressed(time.monotonic(), event.key, character))
        await super().on_event(event)

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
        self.recorder = Recorder(
            self, lambda size: CastWriter(path, size, version=version, idle_cap=cap)
        )

    def stop_recording(self) -> Path | None:
        """End the recording; its file."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return None
        recorder.stop()
        return recorder.cast.path

    def action_command_palette(self) -> None:
        """Open the palette; the keys that save a tape from it are no part of that tape."""
        opener = self.screen.active_bindings.get(self.keys_pressed.last)
        by_key = opener is not None and opener.binding.action.endswith("palette")
        self.keys_pressed.opens_palette(by_key=by_key)
        super().action_command_palette()

    def save_tape(self, options: AppOptions, speed: float | None) -> str:
        """Write what was pressed to a tape; a sentence that says where.

        Args:
            speed: tokens a second of the last stream, where it is known.
        """
        folder = platformdirs.user_state_path("tokexplore") / "tapes"
        text = self.keys_pressed.tape(options, (self.size.width, self.size.height), speed)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = new_path(folder, ".tape")
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            return f"The tape cannot be written: {error}."
        return f"The tape is {path}."
