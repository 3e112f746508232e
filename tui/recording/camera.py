"""Frames of the screen as a terminal would have to draw them, whatever the line to it does."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rich.color import ColorSystem
from textual.app import App
from textual.strip import Strip

from tokexplore.tui.recording.cast import BEGINS, CastWriter
from tokexplore.tui.terminal.ansi import Encoder
from tokexplore.tui.terminal.cell_grid import Grid, Styles

FRAMES_PER_SECOND = 15


class Camera:
    """What changed on an app's screen since the last look, in true colours.

    It looks at the compositor's cells, so it shows what the terminal shows once it is up to date,
    with Textual's own output too, and nothing of the set-up of mouse or keyboard.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._styles = Styles()
        self._encoder = Encoder(self._styles, ColorSystem.TRUECOLOR)
        self._grid = Grid(*app.size, self._styles)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of what was looked at last."""
        return self._grid.width, self._grid.height

    def resized(self) -> bool:
        """Whether the screen has another size than at the last look, which begins anew then."""
        if self.size == tuple(self._app.size):
            return False
        self._grid = Grid(*self._app.size, self._styles)
        return True

    def look(self, overlay: Sequence[tuple[int, int, Strip]] = ()) -> str:
        """The changes, as a terminal's output; empty for none.

        Args:
            overlay: what stands over the screen: column, row, cells.
        """
        for y, strip in enumerate(self._app.screen._compositor.render_strips()):
            self._grid.put(0, y, strip)
        for x, y, strip in overlay:
            self._grid.put(x, y, strip)
        return self._encoder.frame(self._grid)


class Recorder:
    """Records an app from now on, at so many frames a second at most."""

    def __init__(self, app: App[Any], open_cast: Callable[[tuple[int, int]], CastWriter]) -> None:
        self._camera = Camera(app)
        self.cast = open_cast(self._camera.size)
        self._timer: asyncio.TimerHandle | None = None
        self.cast.output(BEGINS)
        self._shoot()

    def touched(self) -> None:
        """Something was painted: it is recorded within a frame's time."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(1 / FRAMES_PER_SECOND, self._shoot)

    def _shoot(self) -> None:
        self._timer = None
        if self._camera.resized():
            self.cast.resize(*self._camera.size)
            self.cast.output(BEGINS)
        if changes := self._camera.look():
            self.cast.output(changes)

    def mark(self, label: str) -> None:
        """Mark this moment."""
        self._shoot()
        self.cast.mark(label)

    def stop(self) -> None:
        """Record what is on the screen, and no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._shoot()
        self.cast.close()
