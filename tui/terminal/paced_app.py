"""The one place that rests on Textual's private parts: an app whose frames we write ourselves."""

import asyncio
import os
import time
from typing import Any, ClassVar, NamedTuple

import textual
from rich.color import ColorSystem
from rich.text import Text
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.notifications import Notify
from textual.screen import Screen

from tokexplore.models.display import safe_text
from tokexplore.tui.terminal.ansi import Encoder
from tokexplore.tui.terminal.cell_grid import Grid, Styles
from tokexplore.tui.terminal.input.driver import InputDriver
from tokexplore.tui.terminal.input.key_turns import TurnsApp
from tokexplore.tui.terminal.pacer import GIVE_UP, Figures, Pacer
from tokexplore.tui.terminal.safe_filter import SafeFilter
from tokexplore.tui.terminal.shutdown import failure
from tokexplore.tui.theme import ReturnType

TESTED = ("8.2",)
"""Minor versions of Textual on which our output was tested; on any other one its own is used."""
ASK = "\x1b[6n"
FRAME_BEGINS, FRAME_ENDS = "\x1b[?2026h", "\x1b[?2026l"
_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
MOST_NOTICES = 4
"""More would hide what they are about, and each costs a layout."""
_SETTLED = 0.1
"""Seconds after which a notice is mounted."""
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


def is_tested() -> bool:
    """Whether our output was tested on the Textual that is installed."""
    return ".".join(textual.__version__.split(".")[:2]) in TESTED


def line_answers() -> bool:
    """Whether the far end of the line answers requests: a multiplexer answers by itself."""
    term = os.environ.get("TERM", "")
    inside = os.environ.get("TMUX") or os.environ.get("STY") or term.startswith(("screen", "tmux"))
    return not inside


class PacedApp(TurnsApp[ReturnType]):
    """Keeps the wanted screen as cells, and sends what changed when the line can take it.

    The compositor's updates land in a grid at once. How often a frame leaves is the pacer's word;
    what piles up meanwhile leaves as one.

    Args:
        stock: leave the output to Textual.
    """

    only_last: ClassVar[tuple[str, ...]] = ()
    """How notices begin of which only the last one is news."""

    def __init__(self, *, stock: bool = False, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._filters.append(SafeFilter())
        self.stock_output = stock or not is_tested()
        self.pacer = Pacer(asks=line_answers(), mark=Seen())
        self._painted = Seen()
        self._styles = Styles()
        self._grid: Grid | None = None
        self._encoder: Encoder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._suspended = False

    # Textual's private seam

    def get_driver_class(self) -> type[Driver]:
        """Our input thread, where Textual's internals are those that it was tested on."""
        driver = super().get_driver_class()
        return InputDriver if driver is LinuxDriver and is_tested() else driver

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if self.stock_output or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        try:
            if self._batch_count or not self._writable:
                return
            self._take(renderable)
            self.send_frame()
        finally:
            self.post_display_hook()

    @property
    def _writable(self) -> bool:
        alive = self._running and not self._closed and not self._suspended
        return alive and not self.is_headless and self._driver is not None

    def _take(self, update: LayoutUpdate | ChopsUpdate) -> None:
        """Bring the wanted screen up to date."""
        grid, size = self._grid, self.size
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

    def _on_notify(self, event: Notify) -> None:
        """Few notices stand at once, each of them once: the oldest make room."""
        new = event.notification
        for old in list(self._notifications):
            if all(one.message.startswith(self.only_last) for one in (old, new)):
                self._unnotify(old, refresh=False)
            elif (old.message, old.severity) == (new.message, new.severity):
                if old.time_left > old.timeout / 2:
                    event.prevent_default()
                    return
                self._unnotify(old, refresh=False)
        for old in list(self._notifications)[: 1 - MOST_NOTICES]:
            self._unnotify(old, refresh=False)

    def _refresh_notifications(self) -> None:
        """Show or take away notices, and lay the screen out once more.

        On a busy machine Textual now and then leaves it as it was, whoever writes the output: a
        new notice stays out of sight then, and an old one on the screen.
        """
        super()._refresh_notifications()
        self.set_timer(_SETTLED, self._lay_out_again)

    def _lay_out_again(self) -> None:
        if self._running and self.screen_stack:
            self.screen.refresh(layout=True)

    def _fatal_error(self) -> None:
        """One line in place of pages of traceback, which go into a file."""
        error = self._exception
        if error is not None:
            self._exit_renderables.append(Text(safe_text(failure(error)), no_wrap=True))
        self._close_messages_no_wait()

    # Frames

    def send_frame(self) -> None:
        """Send what changed, now or as soon as the line can take it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._grid is None or not self._writable:
            return
        now = time.monotonic()
        wait = self.pacer.wait(now)
        if wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self.send_frame)
            return
        changes = self._encode(self._grid)
        if changes:
            self._write(changes)
            self.pacer.sent(now, len(changes.encode()), self._painted)
        else:
            self.pacer.unchanged(self._painted)

    def _encode(self, grid: Grid) -> str:
        if self._encoder is None:
            system = None if self.no_color else _SYSTEMS.get(self.console.color_system or "")
            self._encoder = Encoder(self._styles, system)
        return self._encoder.frame(grid)

    def _write(self, changes: str) -> None:
        assert self._driver is not None
        column, row = self.screen.outer_size.clamp_offset(self.cursor_position)
        frame = f"{changes}\x1b[{row + 1};{column + 1}H"
        if self._sync_available:
            frame = f"{FRAME_BEGINS}{frame}{FRAME_ENDS}"
        self._driver.write(frame + ASK if self.pacer.asks else frame)
        self._driver.flush()

    def painted(self, seen: Seen) -> None:
        """What the widgets show from now on, and so the next frame."""
        self._painted = seen

    @property
    def seen(self) -> Seen:
        """Where the screen stands that the user has before them, on a line of any length."""
        stock = self.stock_output or self.is_headless
        return self._painted if stock else self.pacer.seen

    def paint_anew(self) -> None:
        """Ask the terminal for its size, and paint it whole."""
        if isinstance(self._driver, InputDriver):
            self._driver.tell_size()  # which paints it
        else:
            self.forget_screen()

    def forget_screen(self) -> None:
        """The terminal may show anything: the next frame paints it whole."""
        if self._grid is not None:
            self._grid.forget()
        self.send_frame()

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        """The line answered."""
        event.stop()
        self.pacer.answered(time.monotonic())
        if self._timer is not None:
            self.send_frame()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal that changes its size moves what it shows."""
        grid = self._grid
        if grid is not None and (grid.width, grid.height) != tuple(event.size):
            self._grid = None  # the layout that follows fills another one
        self.forget_screen()

    def on_mount(self) -> None:
        """Hear of the terminal being left and taken again."""
        self.app_suspend_signal.subscribe(self, self._left)
        self.app_resume_signal.subscribe(self, self._taken_again)

    def _left(self, _app: object) -> None:
        self._suspended = True

    def _taken_again(self, _app: object) -> None:
        self._suspended = False
        self.pacer = Pacer(asks=line_answers(), mark=self.pacer.seen)
        self.forget_screen()

    @property
    def figures(self) -> Figures | None:
        """What the line does at present; None where the output is not ours."""
        if self.stock_output or self.is_headless:
            return None
        return self.pacer.figures(time.monotonic())

    async def quieten(self) -> None:
        """Send no more and wait for the answers under way, which else the shell would get."""
        self._suspended = True
        known = self.pacer.figures(time.monotonic()).round_trip is not None
        end = time.monotonic() + (GIVE_UP if known else _FIRST_ANSWER)
        while self.pacer.awaits and time.monotonic() < end:
            await asyncio.sleep(0.01)
