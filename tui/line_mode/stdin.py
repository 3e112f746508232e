"""Lines of standard input as they come, without a thread that would hold up the end."""

import asyncio
import os
from collections import deque
from contextlib import suppress

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import decoded

LONGEST = 2**20
"""Bytes of a line that are read; a longer one is refused."""
MOST_WAITING = 1000
"""Lines that are read before the one that acts is done; what sends more has to wait."""


class LineReader:
    """Whole lines from a descriptor: a terminal, a pipe or a file.

    Args:
        arrived: called whenever there is something new to `take`.
    """

    def __init__(self, descriptor: int, arrived: "asyncio.Event") -> None:
        self._descriptor = descriptor
        self._arrived = arrived
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self.notices: list[str] = []
        """What was left out of the lines that were taken."""
        self._ended = False

    def start(self) -> None:
        """Begin to read in the running event loop."""
        try:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        except PermissionError:  # epoll knows no plain files; they never keep anybody waiting
            while not self._ended and len(self._lines) < MOST_WAITING:
                self._read()

    def stop(self) -> None:
        """Read no more."""
        with suppress(PermissionError, ValueError, OSError):
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the terminal is gone
            data = b""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: LONGEST + 1]
        if not data:
            lines, self._rest = [*lines, *([self._rest] if self._rest else [])], b""
            self._ended = True
        self._lines.extend(lines)
        if self._ended or len(self._lines) >= MOST_WAITING:
            self.stop()
        self._arrived.set()

    @property
    def waiting(self) -> bool:
        """Whether a line, or the end, is there to be taken."""
        return bool(self._lines) or self._ended

    def take(self) -> str | None:
        """The next line; None at the end. Only where something is `waiting`.

        Raises:
            UsageError: the line is not UTF-8, or too long; the one after it is the next.
        """
        if not self._lines:
            return None
        line = self._lines.popleft()
        if not self._ended and len(self._lines) < MOST_WAITING // 2:
            self.start()
        if len(line) > LONGEST:
            raise UsageError(
                f"This line has more than {LONGEST:,} bytes: it is left out; --prompt-file takes "
                "a text of any length."
            )
        return decoded("this line", line, self.notices).rstrip("\r")
