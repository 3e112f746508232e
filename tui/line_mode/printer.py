"""What the line mode stands on: a controller, and lines that are written whole."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from tokexplore.models.display import RunningText, safe_text
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.engine_link import MakeClient
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import OpenSession, SessionRecorder, resumed
from tokexplore.tui.report.step_text import plain_text

Severity = Literal["information", "warning", "error"]


class LinePrinter:
    """One explorer over one engine, told in lines.

    Args:
        out: where the lines go.
        opened: a session to go on with.
    """

    def __init__(
        self,
        options: AppOptions,
        make_client: MakeClient,
        out: BinaryIO,
        opened: OpenSession | None = None,
    ) -> None:
        self.explorer = (
            resumed(opened) if opened else Explorer(options.settings, options.close_call)
        )
        self._out = out
        self._mid_line = False
        self._notices: list[str] = []
        self._text = RunningText()
        self._loop = asyncio.get_running_loop()
        self._printed = 0
        """Tokens of the path in view that were printed."""
        self.moved = asyncio.Event()
        """Set whenever there may be something new to tell."""
        self.controller = Controller(
            self.explorer, options, make_client, self.moved.set, self._notice, play_name="go"
        )
        file = Path(options.session) if options.session else None
        self.recorder = SessionRecorder(self.controller, self._tell, file=file, opened=opened)

    def _tell(self, text: str, bad: bool) -> None:
        """A notice from another thread."""
        with suppress(RuntimeError):  # the loop may be gone
            severity: Severity = "warning" if bad else "information"
            self._loop.call_soon_threadsafe(lambda: self._notice(text, severity=severity))

    def _notice(self, text: str, *, severity: Severity = "information") -> None:
        self._notices.append(text if severity == "information" else f"{severity}: {text}")
        self.moved.set()

    def say(self, line: str) -> None:
        """Write a line of our own, safe and on a line of its own."""
        start = "\n" if self._mid_line else ""
        self._mid_line = False
        self._write(f"{start}{safe_text(line)}\n")

    def say_notices(self) -> None:
        """Write what the controller had to say."""
        notices, self._notices = self._notices, []
        for notice in notices:
            self.say(notice)

    def tell_from(self, index: int) -> None:
        """Tell the path in view from one of its tokens on."""
        self._text, self._printed = RunningText(), index

    def tell(self) -> None:
        """Write the tokens of the path in view that are new."""
        explorer = self.explorer
        if self._printed >= len(explorer.nodes):
            self._printed = min(self._printed, len(explorer.nodes))
            return
        ids = explorer.ids()
        bos = self.controller.link.info.bos_id if self.controller.link.info else None
        start = max(self._printed, int(ids[0] == bos))
        pieces = map(self._text.push, map(explorer.vocabulary.bytes_of, ids[start:]))
        self._printed = len(ids)
        text = plain_text("".join(pieces))
        if text:
            self._mid_line = not text.endswith("\n")
            self._write(text)

    def ask(self, text: str) -> None:
        """Write a prompt for a command."""
        self.say_notices()
        self._write(("\n" if self._mid_line else "") + text)
        self._mid_line = False

    def _write(self, text: str) -> None:
        self._out.write(text.encode("utf-8", "backslashreplace"))
        self._out.flush()
