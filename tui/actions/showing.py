"""Recordings and pictures of the screen."""

from pathlib import Path

import platformdirs

from tokexplore.models.errors import TokexploreError
from tokexplore.tui.actions.base import Actions
from tokexplore.tui.recording.cast import new_path
from tokexplore.tui.recording.picture import svg_of, write_png


class Showing(Actions):
    """What the screen shows, kept for others to see."""

    _marks = 0

    def action_record(self) -> None:
        """Record the screen from now on, or stop."""
        if self.host.recorder is not None:
            self.host.say(f"The recording is {self.host.stop_recording()}.")
            return
        try:
            self.host.record(new_path(_folder("recordings"), ".cast"))
        except (TokexploreError, OSError) as error:
            self.host.say(f"The screen cannot be recorded: {error}")
            return
        self._marks = 0
        self.app.notify("Recording: ! stops, @ marks.", timeout=2, markup=False)

    def action_mark_recording(self) -> None:
        """Mark this moment: of the recording, and as the beginning of a tape that is saved."""
        self.host.keys_pressed.mark()
        self._marks += 1
        if self.host.recorder is not None:
            self.host.recorder.mark(f"mark {self._marks}")
        else:
            self.app.notify("Marked: a tape that is saved begins here.", timeout=3, markup=False)

    def action_picture(self) -> None:
        """Keep a picture of the screen."""
        try:
            path = new_path(_folder("pictures"), ".svg")
            path.write_text(svg_of(self.app), encoding="utf-8")
            too = " (and .png)" if write_png(self.app, path.with_suffix(".png")) else ""
        except (OSError, TokexploreError) as error:
            self.host.say(f"The picture cannot be written: {error}")
        else:
            self.host.say(f"The picture is {path}{too}.")


def _folder(name: str) -> Path:
    folder = platformdirs.user_state_path("tokexplore") / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
