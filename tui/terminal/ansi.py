"""Changed cells as bytes for a terminal: grouped by style, so that each is set once a frame."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from rich.color import EIGHT_BIT_PALETTE, Color, ColorSystem
from rich.palette import Palette
from rich.style import Style

from tokexplore.tui.terminal.cell_grid import HALF, Grid, Styles, glyph_text, start_of
from tokexplore.tui.terminal.cell_reach import Mask, fitting, in_doubt, is_sure, pushed_from, spread
from tokexplore.widgets.char_width import width

_ATTRIBUTES = (
    ("bold", "1", "22"),
    ("dim", "2", "22"),
    ("italic", "3", "23"),
    ("underline", "4", "24"),
    ("blink", "5", "25"),
    ("reverse", "7", "27"),
    ("strike", "9", "29"),
    ("underline2", "21", "24"),
    ("overline", "53", "55"),
)
_FIXED = 16
"""The first of 256 colours that no user's palette changes."""
INSERT_BLANK = "\x1b[@"
_BRIDGE = 4
"""Unchanged cells of the same style between two changes that are cheaper sent than jumped over."""


class Ink(NamedTuple):
    """A style as the parameters of SGR (ECMA-48 8.3.117)."""

    attributes: frozenset[tuple[str, str]]
    """Parameter that sets and parameter that ends each."""
    foreground: str
    background: str

    @classmethod
    def of(cls, style: Style, system: ColorSystem | None) -> "Ink":
        """What a style is in a colour system; None has no colours. Links are left out."""
        set_ones = frozenset((on, off) for name, on, off in _ATTRIBUTES if getattr(style, name))
        return cls(
            set_ones,
            _colour(style.color, system, foreground=True),
            _colour(style.bgcolor, system, foreground=False),
        )

    def after(self, before: "Ink") -> str:
        """The shortest sequence that turns `before` into this; empty where they are alike."""
        if self == before:
            return ""
        return min(self._from(before), self._from_nothing(), key=len)

    def _from(self, before: "Ink") -> str:
        ended = {off for _, off in before.attributes - self.attributes}
        parts = sorted(ended)
        parts += sorted(
            on for on, off in self.attributes if off in ended or (on, off) not in before.attributes
        )
        if self.foreground != before.foreground:
            parts.append(self.foreground)
        if self.background != before.background:
            parts.append(self.background)
        return _sgr(parts)

    def _from_nothing(self) -> str:
        parts = ["", *sorted(on for on, _ in self.attributes)]
        parts += [c for c, none in ((self.foreground, "39"), (self.background, "49")) if c != none]
        return _sgr(parts)


PLAIN = Ink(frozenset(), "39", "49")


class Encoder:
    """Turns the changes of a grid into what is written to a terminal.

    After a character on whose width terminals differ the place of the next one is said again, so
    that a wrong guess never shifts the rest of a row.
    """

    def __init__(self, styles: Styles, system: ColorSystem | None) -> None:
        self._styles = styles
        self._system = system
        self._inks: list[Ink] = []

    def frame(self, grid: Grid) -> str:
        """What brings the terminal from what it shows to what is wanted; empty for no change."""
        changed = grid.changes()
        if not changed.any():
            return ""
        doubtful = in_doubt(grid.glyphs, changed)
        ordered = spread(grid, changed, doubtful)
        pen = _Pen(grid)
        current = PLAIN
        by_style = _runs(grid, changed & ~ordered, ~doubtful, by_style=True)
        in_order = _runs(grid, ordered, ordered, by_style=False)
        for ink, row, start, end in [*by_style, *_with_neighbours(grid, in_order)]:
            wanted = self._ink(ink)
            pen.write(wanted.after(current))
            current = wanted
            pen.draw(row, start, end)
        pen.write(PLAIN.after(current))
        return pen.text

    def _ink(self, number: int) -> Ink:
        while len(self._inks) <= number:
            self._inks.append(Ink.of(self._styles.all[len(self._inks)], self._system))
        return self._inks[number]


Run = tuple[int, int, int, int]
"""Ink, row, first column and the column after the last of cells that are written in one go."""


def _with_neighbours(grid: Grid, runs: Iterable[Run]) -> Iterator[Run]:
    """After a character that is pushed to the end of its row, the one before it."""
    for run in runs:
        yield run
        _, row, _, end = run
        before = pushed_from(grid, row) if end == grid.width else None
        if before is not None:
            column = start_of(grid.glyphs[row], end - 1)
            yield int(grid.inks[row, before]), row, before, column


def _runs(grid: Grid, cells: Mask, bridges: Mask, *, by_style: bool) -> list[Run]:
    """Cells as runs.

    Args:
        grid: has their inks.
        cells: which ones.
        bridges: cells that may be written too where that is shorter than a jump.
        by_style: each style once, else row by row.
    """
    rows, columns = np.nonzero(cells)
    if not len(rows):
        return []
    inks = grid.inks[rows, columns]
    if by_style:
        order = np.lexsort((columns, rows, inks))
        inks, rows, columns = inks[order], rows[order], columns[order]
    step, same = np.diff(columns), (np.diff(inks) == 0) & (np.diff(rows) == 0)
    # A gap ends where a cell has another ink than the one before it, or may not be written.
    stops = ~bridges
    stops[:, 1:] |= np.diff(grid.inks) != 0
    stopped = stops.cumsum(1)
    bridged = stopped[rows[:-1], columns[:-1]] == stopped[rows[:-1], columns[1:] - 1]
    joined = same & bridged & (step > 0) & (step <= _BRIDGE + 1)
    starts = np.concatenate([[0], np.nonzero(~joined)[0] + 1])
    ends = np.concatenate([starts[1:], [len(rows)]]) - 1
    return list(
        zip(
            inks[starts].tolist(),
            rows[starts].tolist(),
            columns[starts].tolist(),
            (columns[ends] + 1).tolist(),
            strict=True,
        )
    )


class _Pen:
    """Writes at places of the screen and knows where the cursor is, while it can know."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._parts: list[str] = []
        self._row, self._column = -1, -1

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def write(self, sequence: str) -> None:
        if sequence:
            self._parts.append(sequence)

    def draw(self, row: int, start: int, end: int) -> None:
        """Write the cells of a row from `start` to `end`, whole characters only."""
        cells = self._grid.glyphs[row, start:end].tolist()
        if max(cells) <= 0x2FF and min(cells) > HALF:
            self._move(row, start)
            self._parts.append("".join(map(chr, cells)))
            self._leave(row, end)
            return
        for column, glyph in enumerate(cells, start):
            if glyph != HALF:
                self._character(row, column, glyph)

    def _character(self, row: int, column: int, glyph: int) -> None:
        end = column + 1
        while end < self._grid.width and self._grid.glyphs[row, end] == HALF:
            end += 1
        if is_sure(glyph):
            self._move(row, column)
            self._parts.append(glyph_text(glyph))
            self._leave(row, end)
            return
        pushed = end == self._grid.width and pushed_from(self._grid, row) is not None
        start = column - pushed
        text = fitting(glyph, self._grid.width - column)
        if column + 1 == self._grid.width and not pushed:
            text = text[0]  # marks could go to the character before it
        if pushed or not is_sure(ord(text[0])) or width(text[0]) < end - column:
            # What a terminal leaves of the cells where it draws fewer or none has to be blank.
            self._move(row, start)
            self._parts.append(" " * (end - start))
            self._leave(row, end)
        self._move(row, start)
        self._parts.append(text)
        self._column = -1
        if pushed:
            self._move(row, start)
            self._parts.append(INSERT_BLANK)

    def _leave(self, row: int, column: int) -> None:
        # In the last column terminals stay where they are, or wait beyond it.
        self._row, self._column = row, column if column < self._grid.width else -1

    def _move(self, row: int, column: int) -> None:
        if (row, column) == (self._row, self._column):
            return
        ways = [f"\x1b[{row + 1};{column + 1}H"]
        if self._column >= 0:
            down = _steps(row - self._row, "B", "A")
            ways.append(down + _across(self._column, column))
        elif row == self._row:
            ways.append(f"\x1b[{column + 1}G")
        self._parts.append(min(ways, key=len))
        self._row, self._column = row, column


@lru_cache(16_384)
def _across(start: int, end: int) -> str:
    """The shortest way from a column to another one of the same row (ECMA-48 8.3.9, 18, 20, 22)."""
    ways = [_steps(end - start, "C", "D"), f"\x1b[{end + 1}G"]
    if end < start:
        ways += ["\b" * (start - end), "\r" + _steps(end, "C", "D")]
    return min(ways, key=len)


def _steps(count: int, ahead: str, back: str) -> str:
    """A relative move; nothing for none."""
    if not count:
        return ""
    size = "" if abs(count) == 1 else abs(count)
    return f"\x1b[{size}{ahead if count > 0 else back}"


def _colour(colour: Color | None, system: ColorSystem | None, *, foreground: bool) -> str:
    if colour is None or system is None:
        return "39" if foreground else "49"
    if system is ColorSystem.EIGHT_BIT and colour.triplet is not None:
        colour = Color.from_ansi(_FIXED + _fixed_palette().match(tuple(colour.triplet)))
    return ";".join(colour.downgrade(system).get_ansi_codes(foreground=foreground))


@lru_cache(1)
def _fixed_palette() -> Palette:
    """The colours of 256 that are the same in every terminal."""
    return Palette(
        [(c.red, c.green, c.blue) for c in map(EIGHT_BIT_PALETTE.__getitem__, range(_FIXED, 256))]
    )


def _sgr(parts: list[str]) -> str:
    return f"\x1b[{';'.join(parts)}m"
