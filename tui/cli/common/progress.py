"""How far loading and prefill are, on one line of standard error."""

import os
from typing import TextIO

from tokexplore.models.api.engine import Progress
from tokexplore.models.display import safe_text
from tokexplore.tui.report.step_text import plain_text
from tokexplore.tui.report.tables import cut


class Meter:
    """Progress on one line of standard error where that is a terminal; notices always."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moving = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, progress: Progress) -> None:
        """Show how far it is."""
        if self._moving:
            share = f" {progress.done / progress.total:.0%}" if progress.total else ""
            detail = f" · {progress.detail}" if progress.detail else ""
            columns = os.get_terminal_size(self._stream.fileno()).columns
            line = cut(safe_text(f"{progress.stage}{share}{detail}"), max(columns, 20) - 1)
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False

    def say(self, text: str) -> None:
        """Tell something that the user must know."""
        self.clear()
        self._stream.write(f"tokexplore: {plain_text(text)}\n")
        self._stream.flush()
