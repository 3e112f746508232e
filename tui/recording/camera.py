"""Frames of the screen as a terminal would have to draw them, whatever the line to it does."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich.color import ColorSystem
from textual.app import App
from textual.strip import Strip

from tokexplore.tui.recording.cast import BEGINS, CastWriter
from tokexplore.tui.terminal.ansi import Encoder
from tokexplore.tui.terminal.cell_grid import Grid, Styles
from tokexplore.tui.terminal.shown import shown_strips

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
        for y, strip in enumerate(shown_strips(self._app)):
            self._grid.put(0, y, strip)
        for x, y, strip in overlay:
            self._grid.put(x, y, strip)
        return self._encoder.frame(self._grid)


class Recorder:
    """Records an app from now on, at so many frames a second at most.

    Args:
        failed: called where the file cannot be written any more; nothing is recorded from then on.

    Raises:
        UsageError: `open_cast` has none.
        OSError: the first frame cannot be written.
    """

    def __init__(
        self,
        app: App[Any],
        open_cast: Callable[[tuple[int, int]], CastWriter],
        failed: Callable[[OSError], None],
    ) -> None:
        self._app, self._failed = app, failed
        self._camera = Camera(app)
        self.cast = open_cast(self._camera.size)
        self._timer: asyncio.TimerHandle | None = None
        self.cast.output(BEGINS)
        self._shoot()

    def touched(self) -> None:
        """Something was painted: it is recorded within a frame's time."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(1 / FRAMES_PER_SECOND, self._shoot_later)

    def mark(self, label: str) -> None:
        """Mark this moment."""
        with self._watched():
            self._shoot()
            self.cast.mark(label)

    def stop(self) -> None:
        """Record what is on the screen, and no more."""
        with self._watched():
            self._shoot()
            self.cast.close()

    def _shoot_later(self) -> None:
        if self._app.screen_stack:  # it may have ended since
            with self._watched():
                self._shoot()

    def _shoot(self) -> None:
        self._forget_timer()
        if self._camera.resized():
            self.cast.resize(*self._camera.size)
            self.cast.output(BEGINS)
        if changes := self._camera.look():
            self.cast.output(changes)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._forget_timer()
            with suppress(OSError):
                self.cast.close()
            self._failed(error)
