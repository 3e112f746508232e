"""Running text wrapped into lines, token by token, so that an appended token costs two lines.

A line wraps at spaces and between wide characters; a run without either is cut by cells. One cell
at the right edge is left to a hanging space, so that a line never begins with the space that a
token begins with, and marking the cursor never moves anything.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tokexplore.models.display import DOTTED_CIRCLE, is_mark
from tokexplore.widgets.cell_text import chop, width
from tokexplore.widgets.transcript_cells import (
    BLANK,
    BREAK,
    CLOSING,
    HELD,
    MARK,
    MARKS,
    OPENING,
    WORD,
    Atom,
    Cell,
    atoms_of,
)

NO_TITLES: Mapping[int, int] = MappingProxyType({})


class Run(NamedTuple):
    """A piece of one token on one line."""

    token: int
    text: str
    kind: int
    width: int


class Line(NamedTuple):
    """One line, and where in the text it begins."""

    token: int
    skip: int
    """Characters of that token's safe text which are on earlier lines."""
    runs: tuple[Run, ...]
    section: int = -1
    """The section whose title this line is; -1 for lines of text."""


class _Wrapper:
    """Greedy wrapping of atoms into lines, from the beginning of a line on."""

    def __init__(self, lines: list[Line], columns: int) -> None:
        self.lines = lines
        self.columns = max(columns, 4)
        self.room = self.columns - 1
        self.begin: tuple[int, int] | None = None
        self.runs: list[Run] = []
        self.column = 0
        self.unit: list[tuple[int, Atom]] = []
        self.unit_width = 0

    def feed(self, token: int, atom: Atom) -> None:
        kind = atom.kind
        if kind == BLANK:
            self._flush()
            self._blank(token, atom)
        elif kind == HELD:
            self._flush()
            if self.column + atom.width + len(MARKS) > self.columns and atom.text not in MARKS:
                self._end_line()
            self._place(token, atom)
        elif kind == BREAK:
            self._flush()
            if self.column == self.columns:
                self._end_line()
            self._place(token, atom)
            self._end_line()
        else:
            if self.unit and not self._glued(kind):
                self._flush()
            self.unit.append((token, atom))
            self.unit_width += atom.width

    def title(self, token: int, section: int) -> None:
        """Put the title of the section that begins with a token on a line of its own."""
        self._flush()
        if self.runs:
            self._end_line()
        self.lines.append(Line(token, 0, (), section))

    def finish(self, tokens: int) -> None:
        """Write the line that is still open; an empty one begins after the last of the tokens."""
        self._flush()
        token, skip = self.begin or (tokens, 0)
        self.lines.append(Line(token, skip, tuple(self.runs)))

    def _glued(self, kind: int) -> bool:
        before = next((a.kind for _, a in reversed(self.unit) if not _is_marks(a)), WORD)
        if kind in (CLOSING, MARK) or before == OPENING:
            return True
        return kind == WORD and before == WORD

    def _flush(self) -> None:
        if not self.unit:
            return
        if self.runs and self.column + self.unit_width > self.room:
            self._end_line()
        for token, atom in self.unit:
            if self.column + atom.width <= self.room:
                self._place(token, atom)
            else:
                self._chop(token, atom)
        self.unit.clear()
        self.unit_width = 0

    def _chop(self, token: int, atom: Atom) -> None:
        """Place a piece that is longer than the rest of its line, filling each line."""
        while atom.width:
            head, tail = chop(atom.text, self.room - self.column, whole=bool(self.runs))
            if head:
                size = width(head)
                self._place(token, atom._replace(text=head, width=size))
                offset = atom.offset + len(head)
                atom = Atom(offset, tail, atom.kind, atom.width - size)
            if atom.width:
                self._end_line()
        if atom.text:
            self._place(token, atom)

    def _blank(self, token: int, atom: Atom) -> None:
        """Place spaces; one may hang in the last column, more of them begin the next line."""
        while self.column + atom.width > self.columns:
            head, tail = chop(atom.text, self.columns - self.column, whole=bool(self.runs))
            if head:
                self._place(token, atom._replace(text=head, width=width(head)))
                atom = Atom(atom.offset + len(head), tail, BLANK, width(tail))
            self._end_line()
        self._place(token, atom)

    def _place(self, token: int, atom: Atom) -> None:
        text, size = atom.text, atom.width
        if not self.runs:
            self.begin = (token, atom.offset)
            if is_mark(text[0]) or not width(text[0]):
                text, size = DOTTED_CIRCLE + text, size + 1
        self.runs.append(Run(token, text, atom.kind, size))
        self.column += size

    def _end_line(self) -> None:
        token, skip = self.begin or (0, 0)
        self.lines.append(Line(token, skip, tuple(self.runs)))
        self.begin, self.runs, self.column = None, [], 0


class Layout:
    """The lines of a text of tokens at one width, laid out again only from where it changed."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.boundaries = False
        """Whether tokens without text have a dot, from where the text is laid out next."""
        self.lines: list[Line] = [Line(0, 0, ())]
        self._starts: list[int] = [0]

    def update(
        self,
        cells: Sequence[Cell],
        keep: int,
        titles: Mapping[int, int] = NO_TITLES,
        hidden: Sequence[int] = b"",
    ) -> int:
        """Lay out `cells`, of which the first `keep` are as before; the first line that changed.

        Args:
            cells: the text.
            keep: so many of them, their titles and what is hidden of them, are as they were.
            titles: by the cell that a section begins with, the section's number.
            hidden: 1 for each cell that is not laid out; nothing where all are.
        """
        line = max(0, self._line_at(max(keep - 1, 0)) - 1)
        while line and self.lines[line - 1].section >= 0:
            line -= 1
        token, skip = self.lines[line][:2] if line else (0, 0)
        del self.lines[line:], self._starts[line:]
        wrapper = _Wrapper(self.lines, self.columns)
        for index in range(token, len(cells)):
            if index in titles and not skip:
                wrapper.title(index, titles[index])
            if hidden and hidden[index]:
                continue
            cell = cells[index]
            for atom in atoms_of(cell.text, cell.fork, cell.flip, self.boundaries):
                if skip:
                    atom, skip = _after(atom, skip)
                    if not atom.text:
                        continue
                wrapper.feed(index, atom)
            skip = 0
        wrapper.finish(len(cells))
        self._starts.extend(each.token for each in self.lines[line:])
        return line

    def row_of(self, token: int) -> int:
        """The line where a token's text begins, spaces before it left out.

        For a token without text, the line of the text that comes next.
        """
        seen = None
        for row in range(self._line_at(token), len(self.lines)):
            for run in self.lines[row].runs:
                if run.token == token and run.kind != BLANK:
                    return row
                if run.token == token and seen is None:
                    seen = row
                elif run.token > token:
                    return row if seen is None else seen
        return len(self.lines) - 1 if seen is None else seen

    def title_row(self, token: int) -> int | None:
        """The line of the title of the section that begins with a token; None where it has none."""
        at = bisect_left(self._starts, token)
        found = at < len(self.lines) and self.lines[at].token == token
        return at if found and self.lines[at].section >= 0 else None

    def rows_of(self, token: int) -> range:
        """The lines that change their looks with a token's."""
        end = bisect_left(self._starts, token + 1)
        return range(self._line_at(token), max(end, self.row_of(token) + 1))

    def token_at(self, row: int, column: int) -> int | None:
        """The token at a cell of a line; None beyond the text."""
        edge = 0
        for run in self.lines[row].runs if 0 <= row < len(self.lines) else ():
            edge += run.width
            if column < edge:
                return run.token
        return None

    def _line_at(self, token: int) -> int:
        """The line on which a token's text begins."""
        line = bisect_left(self._starts, token)
        begins_here = (
            line < len(self.lines) and self._starts[line] == token and not self.lines[line].skip
        )
        return line if begins_here else max(0, line - 1)


def _is_marks(atom: Atom) -> bool:
    """Whether an atom only goes on with the character before it."""
    return not atom.width or is_mark(atom.text[0])


def _after(atom: Atom, skip: int) -> tuple[Atom, int]:
    """What is left of an atom after the first `skip` characters of its token; what to skip then."""
    begin = skip - atom.offset
    if begin <= 0:
        return atom, 0
    if begin >= len(atom.text):
        return atom._replace(text="", width=0), skip
    text = atom.text[begin:]
    return Atom(skip, text, atom.kind, width(text)), skip
