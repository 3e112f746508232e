"""An app whose frames we write ourselves, which rests on private parts of Textual."""

import os
from collections.abc import Callable
from typing import Any

import textual
from rich.text import Text
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.notifications import Notify
from textual.screen import Screen
from textual.worker import WorkerFailed

from tokexplore.models.display import safe_text
from tokexplore.tui.terminal.frame_writer import FrameWriter
from tokexplore.tui.terminal.input.driver import InputDriver
from tokexplore.tui.terminal.notices import Notices
from tokexplore.tui.terminal.safe_filter import SafeFilter
from tokexplore.tui.terminal.shutdown import failure
from tokexplore.tui.theme import ReturnType, ThemedApp

TESTED = ("8.2",)
"""Minor versions of Textual on which our output was tested; on any other one its own is used."""
ASK = "\x1b[6n"
FRAME_BEGINS, FRAME_ENDS = "\x1b[?2026h", "\x1b[?2026l"
_SETTLED = 0.1
"""Seconds after which a notice is mounted."""


def is_tested() -> bool:
    """Whether our output was tested on the Textual that is installed."""
    return ".".join(textual.__version__.split(".")[:2]) in TESTED


def line_answers() -> bool:
    """Whether the far end of the line answers requests: a multiplexer answers by itself."""
    term = os.environ.get("TERM", "")
    inside = os.environ.get("TMUX") or os.environ.get("STY") or term.startswith(("screen", "tmux"))
    return not inside


class PacedApp(ThemedApp[ReturnType]):
    """The compositor's updates land in the cells of a frame writer, which paces them.

    Args:
        stock: leave the output to Textual.
        only_last: see `Notices`.
        clock: see `Notices`.
    """

    def __init__(
        self,
        *,
        stock: bool = False,
        only_last: tuple[str, ...] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__()
        self._filters.append(SafeFilter())
        self.stock_output = stock or not is_tested()
        colours = None if self.no_color else self.console.color_system
        self.frames = FrameWriter(
            self._write, self._is_writable, self._is_ours, colours, answers=line_answers()
        )
        self.notices = Notices(self, only_last, clock)

    def get_driver_class(self) -> type[Driver]:
        """Our input thread, where Textual's internals are those that it was tested on."""
        driver = super().get_driver_class()
        return InputDriver if driver is LinuxDriver and is_tested() else driver

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if self.stock_output or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        try:
            if not self._batch_count and self._is_writable():
                self.frames.take(renderable, self.size)
                self.frames.send()
        finally:
            self.post_display_hook()

    def _is_writable(self) -> bool:
        alive = self._running and not self._closed and not self.frames.suspended
        return alive and not self.is_headless and self._driver is not None

    def _is_ours(self) -> bool:
        return not (self.stock_output or self.is_headless)

    def _write(self, changes: str) -> None:
        assert self._driver is not None
        column, row = self.screen.outer_size.clamp_offset(self.cursor_position)
        frame = f"{changes}\x1b[{row + 1};{column + 1}H"
        if self._sync_available:
            frame = f"{FRAME_BEGINS}{frame}{FRAME_ENDS}"
        self._driver.write(frame + ASK if self.frames.pacer.asks else frame)
        self._driver.flush()

    def _on_notify(self, event: Notify) -> None:
        """Let the notice that comes and those that stand make room for each other."""
        if not self.notices.admit(event.notification):
            event.prevent_default()

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
        if (raised := self._exception) is not None:
            # What a worker raised has the traceback.
            error = raised.error if isinstance(raised, WorkerFailed) else raised
            self._exit_renderables.append(Text(safe_text(failure(error)), no_wrap=True))
        self._close_messages_no_wait()

    def paint_anew(self) -> None:
        """Ask the terminal for its size, and paint it whole."""
        if isinstance(self._driver, InputDriver):
            self._driver.report_size()  # which paints it
        else:
            self.frames.forget()

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        """The line answered."""
        event.stop()
        self.frames.answered()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal that changes its size moves what it shows."""
        self.frames.resized(event.size)

    def on_mount(self) -> None:
        """Hear of the terminal being left and taken again."""
        self.app_suspend_signal.subscribe(self, lambda _app: self.frames.suspend())
        self.app_resume_signal.subscribe(self, lambda _app: self.frames.resume())
