"""Asciicast files, written as it happens (https://docs.asciinema.org/manual/asciicast/v2/)."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TextIO

import msgspec

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import json_of, read_whole

Version = Literal[2, 3]
LARGEST = 1000
"""Columns or rows of a terminal at most."""
LONGEST = 2**20
"""Characters of an event at most: recorders write what one read brought, some kilobytes."""
Cells = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_SIZE = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")
BEGINS = "\x1b[?25l\x1b[0m\x1b[2J\x1b[H"
"""A clear screen without a cursor: what a recording starts from."""


class CastWriter:
    """Writes one recording; every line is whole, so a killed process loses what it had not written.

    Args:
        path: a new file.
        size: columns and rows.
        idle_cap: seconds between two events at most; None keeps them as they were.
        clock: seconds from any beginning.

    Raises:
        UsageError: the file is there already, or cannot be made.
        OSError: it cannot be written, here and later.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        *,
        version: Version = 2,
        idle_cap: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        stamp: int | None = None,
    ) -> None:
        self.path = path
        self._version, self._idle_cap, self._clock = version, idle_cap, clock
        self._before, self._at = clock(), 0.0
        self._last_at = 0.0
        self._file = _create(path)
        try:
            self._line(_header(version, size, int(time.time()) if stamp is None else stamp))
        except OSError:
            path.unlink(missing_ok=True)  # there is nothing in it to play
            raise

    def output(self, text: str) -> None:
        """Something is written to the terminal."""
        self._event("o", text)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size."""
        self._event("r", f"{columns}x{rows}")

    def mark(self, label: str) -> None:
        """A place to jump to."""
        self._event("m", label)

    def close(self) -> None:
        """No more comes; a second time does nothing."""
        with _naming(self.path):
            self._file.close()

    def _event(self, code: str, data: str) -> None:
        now = self._clock()
        passed, self._before = now - self._before, now
        self._at += passed if self._idle_cap is None else min(passed, self._idle_cap)
        at = round(self._at, 6)
        # Version 3 tells the time since the event before; what rounding takes is not lost.
        when = at if self._version == 2 else round(at - self._last_at, 6)
        self._last_at = at
        self._line([when, code, data])

    def _line(self, value: object) -> None:
        with _naming(self.path):
            self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
            self._file.flush()


def _header(version: Version, size: tuple[int, int], stamp: int) -> dict[str, object]:
    columns, rows = size
    header: dict[str, object] = {"version": version}
    if version == 2:
        header |= {"width": columns, "height": rows, "timestamp": stamp}
        header["env"] = {"TERM": "xterm-256color"}
    else:
        header |= {"term": {"cols": columns, "rows": rows, "type": "xterm-256color"}}
        header["timestamp"] = stamp
    return header


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have errors tell the file, which those of writing do not by themselves."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _create(path: Path) -> TextIO:
    try:
        return path.open("x", encoding="utf-8", errors="backslashreplace")
    except FileExistsError:
        raise UsageError(f"{path} is there already: record to another file.") from None
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{path} cannot be recorded to: {reason}.") from None


class CastEvent(NamedTuple):
    """One line of a recording."""

    at: float
    """Seconds since it began."""
    code: str
    """`o` output, `r` resize, `m` mark."""
    data: str


class Cast(NamedTuple):
    """A recording that was read."""

    columns: int
    rows: int
    events: list[CastEvent]


class _Term(msgspec.Struct):
    cols: Cells
    rows: Cells


class _Header(msgspec.Struct):
    """The first line: of version 2 with a width and a height, of version 3 with a terminal."""

    version: Literal[2, 3]
    width: Cells = 0
    height: Cells = 0
    term: _Term | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        if self.version == 3:
            return (self.term.cols, self.term.rows) if self.term else (0, 0)
        return self.width, self.height


_Event = tuple[Seconds, str, str]


def read_cast(path: Path) -> Cast:
    """A recording of version 2 or 3; a last line that is cut off is left out.

    Raises:
        UsageError: the file cannot be read, or is no recording.
    """
    try:
        lines = _text(path).split("\n")
        header = msgspec.convert(json_of(lines[0]), _Header)
        columns, rows = header.size
        if not columns or not rows:
            raise ValueError("its first line tells no size")
        return Cast(columns, rows, list(_events(lines[1:], relative=header.version == 3)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}.") from None
    except ValueError as error:
        raise UsageError(f"{path} is no asciicast of version 2 or 3: {error}.") from None


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        try:
            data = read_whole(stream)
        except ValueError as error:
            raise UsageError(f"{path} {error}.") from None
    whole, end, last = data.rpartition(b"\n")
    return (whole + end).decode() + last.decode(errors="replace")  # it may be cut off anywhere


def _events(lines: list[str], *, relative: bool) -> Iterator[CastEvent]:
    at = 0.0
    for number, text in enumerate(lines, 2):
        if not text.strip() or (text.startswith("#") and relative):
            continue
        try:
            when, code, data = msgspec.convert(json_of(text), _Event)
        except ValueError:
            if number == len(lines) + 1:  # nothing ends it: it was being written
                return
            raise ValueError(f"line {number} is no event") from None
        at = at + when if relative else when
        if code == "r":
            _check_size(number, data)
        if len(data) > LONGEST:
            raise ValueError(f"line {number} is an event of {len(data):,} characters")
        # A recording of ours may hold half of a character, which no terminal can be sent.
        yield CastEvent(at, code, data.encode("utf-8", "replace").decode())


def _check_size(line: int, text: str) -> None:
    """Refuse the size in a resize event that no terminal has.

    Raises:
        ValueError: it is none, or too large.
    """
    match = _SIZE.fullmatch(text)
    if match is None or not all(0 < int(part) <= LARGEST for part in match.groups()):
        raise ValueError(f"line {line} tells of no size from 1x1 to {LARGEST}x{LARGEST}")


def new_path(folder: Path, suffix: str) -> Path:
    """A name that is not taken in a folder, by the time."""
    stem = time.strftime("%Y%m%d-%H%M%S")
    names = (folder / f"{stem}{f'-{n}' if n else ''}{suffix}" for n in count())
    return next(path for path in names if not path.exists())
