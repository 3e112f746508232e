"""Terminal emulators that make frames into cells: pyte, and tmux."""

import os
import re
import subprocess
import termios
import time
import unicodedata
from collections.abc import Sequence

import pyte
from wcwidth import wcwidth

NO_WRAP = "\x1b[?7l"
"""Textual switches wrapping off."""


class Pyte:
    """A screen of pyte's."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self._screen)
        self._stream.feed(NO_WRAP)

    def show(self, frame: str) -> list[list[tuple]]:
        """Every cell after a frame."""
        self._stream.feed(frame)
        buffer = self._screen.buffer
        columns = range(self._screen.columns)
        return [[buffer[y][x] for x in columns] for y in range(self._screen.lines)]

    @staticmethod
    def drawn(text: str, cells: int, room: int) -> list[str]:
        """What a character with its marks is in its cells; `room` cells from the row's end."""
        drawn: list[str] = []
        for character in text:
            size = wcwidth(character)
            if size > 0:
                drawn = [*drawn, character, *[""] * (size - 1)][:room]
            elif drawn and unicodedata.combining(character):
                drawn[-1] = unicodedata.normalize("NFC", drawn[-1] + character)
            else:
                break  # pyte draws no marks of combining class 0, nor what follows them
        return (drawn + [" "] * cells)[:cells]


Styled = list[tuple[str, tuple[str, ...]]]
"""The characters of a line, each with its style; what is blank at its end is left out."""


MOST_BYTES = 21
"""In a cell of tmux's."""


class Tmux:
    """Panes of one tmux server, each with a size of its own, all shown a frame at a time."""

    def __init__(self, name: str, panes: int, size: tuple[int, int]) -> None:
        self._command = ["tmux", "-u", "-L", f"tokexplore-{name}", "-f", "/dev/null"]
        self._size = size
        self._run("start-server", ";", "set", "-g", "status", "off", ";", "new-session", "-d")
        self._panes = [self._open() for _ in range(panes)]
        self._sizes = [size] * panes
        self._aside = self._open()[1]
        self._widths: dict[str, int] = {}
        self._control = subprocess.Popen(
            [*self._command, "-C", "attach"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()

    def _run(self, *command: str) -> str:
        done = subprocess.run([*self._command, *command], capture_output=True, check=True)
        return done.stdout.decode().strip()

    def _open(self) -> tuple[str, int]:
        columns, rows = map(str, self._size)
        how = ["new-session", "-d", "-x", columns, "-y", rows, "-P", "-F", "#{pane_id} #{pane_tty}"]
        pane, terminal = self._run(*how, "stty raw -echo; exec sleep 1000000").split()
        file = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
        while termios.tcgetattr(file)[3] & termios.ICANON:  # else tmux, starting it, might have
            time.sleep(0.01)  # the last word on how it is read
        os.write(file, NO_WRAP.encode())
        return pane, file

    def resize(self, index: int, columns: int, rows: int) -> None:
        """Give a pane's terminal a size, if it has another one."""
        if self._sizes[index] != (columns, rows):
            self._sizes[index] = columns, rows
            self._ask(f"resize-window -t {self._panes[index][0]} -x {columns} -y {rows}")

    def show(self, frames: Sequence[str]) -> list[list[Styled]]:
        """The lines of the first panes as characters with styles, after a frame in each."""
        panes = self._panes[: len(frames)]
        for (_, file), frame in zip(panes, frames, strict=True):
            self._write(file, f"{frame}\x1b[6n".encode())
        for _, file in panes:
            self._reply(file)
        commands = (f"capture-pane -p -e -N -t {pane}" for pane, _ in panes)
        return [_styled(lines) for lines in self._ask(*commands)]

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        while data:
            data = data[os.write(file, data) :]

    def _ask(self, *commands: str) -> list[list[str]]:
        assert self._control.stdin
        self._control.stdin.write("".join(f"{c}\n" for c in commands).encode())
        self._control.stdin.flush()
        return [self._answer() for _ in commands]

    def _answer(self) -> list[str]:
        assert self._control.stdout
        lines: list[str] = []
        for raw in self._control.stdout:
            line = raw.decode().rstrip("\n")
            if line.startswith("%begin"):
                lines = []
            elif line.startswith(("%end", "%error")):
                assert line.startswith("%end"), lines
                return lines
            else:
                lines.append(line)
        raise AssertionError("tmux has ended")

    def cells(self, character: str) -> int:
        """Cells that a character takes; 0 for marks, and for what is not drawn."""
        if character not in self._widths:
            self._write(self._aside, f"\x1b[1;1H{character}\x1b[6n".encode())
            self._widths[character] = int(self._reply(self._aside).split(b";")[1][:-1]) - 1
        return self._widths[character]

    def drawn(self, text: str, start: int, end: int, columns: int) -> str:
        """What a character with its marks is in its cells; blanks where it goes beyond them."""
        parts: list[tuple[str, int]] = []
        column = start
        for character in text:
            cells = self.cells(character)
            if not cells and len((parts[-1][0] + character).encode()) <= MOST_BYTES:
                parts[-1] = parts[-1][0] + character, parts[-1][1]
            elif cells and column + cells <= columns:
                column += cells
                parts.append((character, column))
        whole = [(part, until) for part, until in parts if until <= end]
        used = whole[-1][1] if whole else start
        return "".join(part for part, _ in whole) + " " * (end - used)

    @staticmethod
    def _reply(file: int) -> bytes:
        """The answer to a request for the place of the cursor."""
        answer = b""
        while not answer.endswith(b"R"):
            answer += os.read(file, 100)
        return answer

    def close(self) -> None:
        """End the server."""
        for file in (self._aside, *(file for _, file in self._panes)):
            os.close(file)
        self._control.kill()
        self._control.wait()
        subprocess.run([*self._command, "kill-server"], capture_output=True)


def _styled(lines: list[str]) -> list[Styled]:
    """The lines of a capture: a style goes on until another one, over the ends of lines."""
    style: tuple[str, ...] = ()
    shown: list[Styled] = []
    for line in lines:
        row: Styled = []
        for part in re.split(r"(\x1b\[[\d;]*m)", line):
            if part.startswith("\x1b"):
                style = _after(style, part[2:-1])
            else:
                row += [(character, style) for character in part]
        while row and row[-1] == (" ", ()):
            row.pop()
        shown.append(row)
    return shown


def _after(style: tuple[str, ...], sgr: str) -> tuple[str, ...]:
    """A style after one of tmux's sequences, which set one thing each or begin anew."""
    if sgr.startswith("0"):
        return _after((), sgr[2:]) if len(sgr) > 1 else ()
    place = "fg" if sgr[0] == "3" else "bg" if sgr[:2] in ("48", "41", "49") else sgr
    kept = tuple(s for s in style if not s.startswith(place + " "))
    return kept if sgr in ("39", "49") else tuple(sorted((*kept, f"{place} {sgr}")))
