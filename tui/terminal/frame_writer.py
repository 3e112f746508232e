"""The wanted screen as cells, sent as frames when the line can take them."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Size

from tokexplore.tui.terminal.ansi import Encoder
from tokexplore.tui.terminal.cell_grid import Grid, Styles
from tokexplore.tui.terminal.pacer import GIVE_UP, Figures, Pacer

_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
_FIRST_ANSWER = 0.25
"""Seconds that leaving waits for an answer of a line of which none came yet."""


class Seen(NamedTuple):
    """Where the main screen stands in a frame."""

    cursor: int = 0
    """Index of the path."""
    row: int = 0
    """Candidate row."""
    moves: int = 0
    """How often the user had moved: see `Explorer.moves`."""


class FrameWriter:
    """Keeps the cells that are wanted; what piles up while the line is busy leaves as one frame.

    Args:
        write: sends the changes of a frame.
        is_writable: whether there is a terminal to send to.
        is_ours: whether what the user sees comes from here.
        color_system: Rich's name of the terminal's colours; None for none.
        answers: whether the far end of the line answers requests.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        is_writable: Callable[[], bool],
        is_ours: Callable[[], bool],
        color_system: str | None,
        *,
        answers: bool,
    ) -> None:
        self._write, self._is_writable, self._is_ours = write, is_writable, is_ours
        self._answers = answers
        self._system = _SYSTEMS.get(color_system or "")
        self.pacer = Pacer(asks=answers, mark=Seen())
        self.painted = Seen()
        """What the widgets show from now on, and so the next frame."""
        self._styles = Styles()
        self._grid: Grid | None = None
        self._encoder: Encoder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.suspended = False

    def take(self, update: LayoutUpdate | ChopsUpdate, size: Size) -> None:
        """Bring the wanted screen up to date."""
        grid = self._grid
        if grid is None or (grid.width, grid.height) != tuple(size):
            grid = self._grid = Grid(size.width, size.height, self._styles)
        if isinstance(update, LayoutUpdate):
            for y, strips in enumerate(update.strips, update.region.y):
                x = update.region.x
                for strip in strips:
                    grid.put(x, y, strip)
                    x += strip.cell_length
            return
        for y, first, last in update.spans:
            for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                # What lies beyond the span is not what is on top there, but what was rendered.
                if chop is not None and x < last and end > first:
                    grid.put(x, y, chop.crop(0, min(end, last) - x))

    def send(self) -> None:
        """Send what changed, now or as soon as the line can take it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._grid is None or not self._is_writable():
            return
        now = time.monotonic()
        wait = self.pacer.wait(now)
        if wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self.send)
            return
        changes = self._encode(self._grid)
        if changes:
            self._write(changes)
            self.pacer.sent(now, len(changes.encode()), self.painted)
        else:
            self.pacer.unchanged(self.painted)

    def _encode(self, grid: Grid) -> str:
        if self._encoder is None:
            self._encoder = Encoder(self._styles, self._system)
        return self._encoder.frame(grid)

    def answered(self) -> None:
        """The line answered."""
        self.pacer.answered(time.monotonic())
        if self._timer is not None:
            self.send()

    def resized(self, size: Size) -> None:
        """A terminal that changes its size moves what it shows."""
        grid = self._grid
        if grid is not None and (grid.width, grid.height) != tuple(size):
            self._grid = None  # the layout that follows fills another one
        self.forget()

    def forget(self) -> None:
        """The terminal may show anything: the next frame paints it whole."""
        if self._grid is not None:
            self._grid.forget()
        self.send()

    def suspend(self) -> None:
        """The terminal is left to others."""
        self.suspended = True

    def resume(self) -> None:
        """The terminal is ours again."""
        self.suspended = False
        self.pacer = Pacer(asks=self._answers, mark=self.pacer.seen)
        self.forget()

    @property
    def seen(self) -> Seen:
        """Where the screen stands that the user has before them, on a line of any length."""
        return self.pacer.seen if self._is_ours() else self.painted

    @property
    def figures(self) -> Figures | None:
        """What the line does at present; None where the output is not ours."""
        return self.pacer.figures(time.monotonic()) if self._is_ours() else None

    async def quieten(self) -> None:
        """Send no more and wait for the answers under way, which else the shell would get."""
        self.suspend()
        measured = self.pacer.figures(time.monotonic()).round_trip is not None
        end = time.monotonic() + (GIVE_UP if measured else _FIRST_ANSWER)
        while self.pacer.awaits and time.monotonic() < end:
            await asyncio.sleep(0.01)
