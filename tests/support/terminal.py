"""A real program on a real pseudo-terminal; what it shows is what pyte makes of its bytes."""

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pyte

from support.patience import LATE

KEYS = {
    "enter": "\r",
    "left": "\x1b[D",
    "right": "\x1b[C",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pgdn": "\x1b[6~",
    "backspace": "\x7f",
    "ctrl+c": "\x03",
    "ctrl+g": "\x07",
}
ASKS_FOR_FRAMES = b"\x1b[?2026$p"
GIVES_FRAMES = b"\x1b[?2026;2$y"
FRAME_BEGINS, FRAME_ENDS = b"\x1b[?2026h", b"\x1b[?2026l"


class Terminal:
    """One program on a terminal of its own, which offers synchronized output.

    So `text` never is half a frame: the screen is looked at between frames only.

    Args:
        command: the program and its arguments.
        delay: seconds between a read of the program's output and its arrival on the screen: a
            slow line.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 120,
        lines: int = 40,
        delay: float = 0.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.raw = bytearray()
        """Every byte that the program wrote."""
        self.screen.write_process_input = self._answer
        self._stream = pyte.ByteStream(self.screen)
        self._shown = "\n" * (lines - 1)
        self._delay = delay
        self._hung_up = False
        self._lock = threading.Lock()
        self.code: int | None = None
        """The exit code, once it has ended."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            # Not the C library's environment: readline writes a size of the terminal into it.
            child = {**os.environ, **terminal, **(environment or {})}
            os.execvpe(command[0], list(command), child)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                break
            if not data:
                break
            if self._delay:
                time.sleep(self._delay)
            with self._lock:
                self._feed(data)

    def _feed(self, data: bytes) -> None:
        start = max(0, len(self.raw) - len(ASKS_FOR_FRAMES) + 1)
        if ASKS_FOR_FRAMES in self.raw[start:] + data:
            self._answer(GIVES_FRAMES.decode())
        cut = data.rfind(FRAME_ENDS) + len(FRAME_ENDS) if FRAME_ENDS in data else 0
        for part in (data[:cut], data[cut:]):
            self.raw += part
            self._stream.feed(part)
            if self.raw.rfind(FRAME_BEGINS) <= self.raw.rfind(FRAME_ENDS):
                self._shown = "\n".join(map(self._line, range(self.screen.lines)))

    def _line(self, y: int) -> str:
        """A line of the screen; pyte's own `display` fails where half a wide character is left."""
        row = self.screen.buffer[y]
        return "".join(row[x].data for x in range(self.screen.columns)).rstrip()

    def _answer(self, data: str) -> None:
        with suppress(OSError):  # the program may be gone by now
            os.write(self._fd, data.encode())

    def send(self, *keys: str) -> None:
        """Type keys: names of `KEYS`, or text as it is."""
        for key in keys:
            self.send_bytes(KEYS.get(key, key).encode())

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, as fast as the program reads them."""
        while data:
            data = data[os.write(self._fd, data) :]

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; the program hears of it."""
        with self._lock:
            self.screen.resize(lines, columns)
            size = struct.pack("HHHH", lines, columns, 0, 0)
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)

    def hang_up(self) -> None:
        """Close our end, as a lost line does."""
        os.close(self._fd)
        self._hung_up = True

    @property
    def text(self) -> str:
        """The screen as of its last whole frame."""
        with self._lock:
            return self._shown

    @property
    def written(self) -> bytes:
        """What the program wrote up to the end of its last whole frame."""
        with self._lock:
            return bytes(self.raw[: self.raw.rfind(FRAME_ENDS) + len(FRAME_ENDS)])

    def until(self, holds: str | Callable[[str], object], seconds: float = LATE) -> str:
        """Wait until a text stands on the screen, or a condition on it holds; the screen then."""
        end = time.monotonic() + seconds
        while True:
            shown = self.text
            if holds in shown if isinstance(holds, str) else holds(shown):
                return shown
            assert time.monotonic() < end, f"{holds!r} did not come:\n{shown}"
            assert self.poll() is None, f"it ended with {self.code}:\n{shown}"
            time.sleep(0.02)

    def still(self, seconds: float = 1.0) -> str:
        """Wait until the screen has not changed for so long; the screen then."""
        seen, since = self.text, time.monotonic()

        def unchanged(shown: str) -> bool:
            nonlocal seen, since
            if shown != seen:
                seen, since = shown, time.monotonic()
            return time.monotonic() - since >= seconds

        return self.until(unchanged)

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds: float = LATE) -> int:
        """Wait for the end; the exit code."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, f"it did not end:\n{self.text}"
            time.sleep(0.02)
        self._reader.join(2)
        assert self.code is not None
        return self.code

    def close(self) -> None:
        """End it, whatever it does."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.code = -signal.SIGKILL
        self._reader.join(2)
        if not self._hung_up:
            os.close(self._fd)
