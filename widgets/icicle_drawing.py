"""An icicle in cells: blocks with edges to an eighth of a row, the rest hatched."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import safe_text
from tokexplore.widgets.cell_text import fit, line
from tokexplore.widgets.numbers import BARS

EIGHTHS = 8
_EMPTY, _REST, _CRUMBS = -1, -2, -3
"""What a part of a column is, where it is no block."""
_TEXTURE = {_EMPTY: " ", _REST: "╱", _CRUMBS: "░"}
_UNKNOWN, _EDGE, _CURSOR = "·", "▏", "▌"
_ABOVE, _MIDDLE, _BELOW = "▔", "─", "▁"
_LEAST_CURSOR = 4
"""Eighths of a row that the block under the cursor has at least."""
_LABELLED = 3
"""Cells from which a column has labels and edges."""


class IcicleBlock(NamedTuple):
    """One token."""

    key: int
    """By which a click names it."""
    column: int
    top: float
    height: float
    """Both as shares of the whole height."""
    look: str
    """`heat-3`, `unknown`, or `focus`."""
    label: str = ""
    figure: str = ""
    """Under the label, where there is room."""
    path: bool = False
    """Whether it is on the path in view."""
    cursor: bool = False


class IcicleGap(NamedTuple):
    """A part of a column that no block has."""

    column: int
    top: float
    height: float


class IcicleView(NamedTuple):
    """What is drawn."""

    cells: int
    """Width of a column."""
    heads: Sequence[str]
    """Above each column, as many as there are; one that is empty leaves its room to what stands
    before it."""
    blocks: Sequence[IcicleBlock]
    rests: Sequence[IcicleGap] = ()
    crumbs: Sequence[IcicleGap] = ()


class IcicleStyles(NamedTuple):
    """Colours."""

    base: Style
    head: Style
    rest: Style
    here: Style
    """The edge of blocks on the path in view."""
    cursor: Style
    looks: Mapping[str, Style]
    """By the looks of blocks."""


def columns_of(view: IcicleView, rows: int) -> list[list[int]]:
    """What each eighth of a row of each column shows: indices of blocks, or gaps below 0.

    Both edges of a part are rounded from their place in the whole height, so that many low parts
    take together as much as they should. A block of the height of a row has a row to itself, for
    its name: then its edges are up to half a row off.
    """
    size = rows * EIGHTHS
    columns = [[_EMPTY] * size for _ in view.heads]
    for gaps, what in ((view.rests, _REST), (view.crumbs, _CRUMBS)):
        for gap in gaps:
            _fill(columns[gap.column], *_edges(gap, size), what)
    for at, block in enumerate(view.blocks):
        _fill(columns[block.column], *_edges(block, size), at)
    for at, block in enumerate(view.blocks):
        begin, end = _edges(block, size)
        if block.cursor and end - begin < _LEAST_CURSOR:
            begin = max(0, min(begin, size - _LEAST_CURSOR))
            _fill(columns[block.column], begin, begin + _LEAST_CURSOR, at)
        elif end - begin >= EIGHTHS and -(-begin // EIGHTHS) >= end // EIGHTHS:
            row = begin // EIGHTHS + (begin % EIGHTHS > EIGHTHS // 2)
            _fill(columns[block.column], row * EIGHTHS, (row + 1) * EIGHTHS, at)
    return columns


def _edges(part: IcicleBlock | IcicleGap, size: int) -> tuple[int, int]:
    """Where a part begins and ends, in eighths of a row."""
    return round(part.top * size), min(size, round((part.top + part.height) * size))


def _fill(column: list[int], begin: int, end: int, what: int) -> None:
    column[begin:end] = [what] * (end - begin)


def draw(view: IcicleView, width: int, rows: int, styles: IcicleStyles) -> list[Strip]:
    """The heads of the columns, and `rows` lines under them."""
    drawn = [
        _Column(column, view, styles).cells() for column in columns_of(view, rows)
    ]  # [column][row]
    lead = " " if view.cells >= _LABELLED else ""
    heads = ""
    for at, head in enumerate(view.heads):
        if head:
            heads = fit(heads, at * view.cells) + lead + head
    lines = [line([Segment(heads, styles.head)], width, styles.base)]
    for row in range(rows):
        segments = [segment for column in drawn for segment in column[row]]
        lines.append(line(segments, width, styles.base))
    return lines


class _Column:
    """One column, to be drawn."""

    def __init__(self, parts: list[int], view: IcicleView, styles: IcicleStyles) -> None:
        self._view, self._styles = view, styles
        rows = range(len(parts) // EIGHTHS)
        self._runs = [
            [(what, len(list(run))) for what, run in groupby(parts[row * EIGHTHS :][:EIGHTHS])]
            for row in rows
        ]
        """Of each row, from its top: what, and how many eighths of it."""
        self._named = set[int]()
        """Blocks that have a row for their name."""
        self._texts = self._placed_texts()

    def _placed_texts(self) -> dict[int, str]:
        """By row: label or figure of the block that fills it, in the middle of each block."""
        texts = dict[int, str]()
        if self._view.cells < _LABELLED:
            return texts
        whole = enumerate(runs[0][0] if len(runs) == 1 else _EMPTY for runs in self._runs)
        for what, group in groupby(whole, key=lambda pair: pair[1]):
            if what >= 0:
                rows, block = [row for row, _ in group], self._view.blocks[what]
                two = bool(block.figure) and len(rows) > 1
                first = rows[(len(rows) - 1 - two) // 2]
                texts[first] = block.label
                self._named.add(what)
                if two:
                    texts[first + 1] = block.figure
        return texts

    def cells(self) -> list[list[Segment]]:
        """The column's cells of each row."""
        return [
            self._whole(row, runs[0][0]) if len(runs) == 1 else self._split(runs)
            for row, runs in enumerate(self._runs)
        ]

    def _style(self, what: int) -> Style:
        if what < 0:
            return self._styles.base
        block = self._view.blocks[what]
        if block.cursor and what not in self._named:
            return self._styles.cursor
        return self._styles.looks[block.look]

    def _colour(self, what: int) -> Color | None:
        return self._style(what).bgcolor

    def _texture(self, what: int) -> Segment:
        cells = self._view.cells
        return Segment(_TEXTURE[what] * cells, self._styles.rest)

    def _whole(self, row: int, what: int) -> list[Segment]:
        """A row of one part alone."""
        if what < 0:
            return [self._texture(what)]
        style, block, room = self._style(what), self._view.blocks[what], self._room
        text = self._texts.get(row)
        if text is None and (edge := self._edge(row, what)):
            return self._edged(what, edge * room, self._over(what))
        filling = _UNKNOWN * room if block.look == "unknown" else ""
        shown = safe_text(text) if text is not None else filling
        if text is not None and block.cursor:
            return self._edged(what, fit(shown, room), self._styles.cursor)
        return self._edged(what, fit(shown, room), style + Style(bold=block.path))

    def _edged(self, what: int, text: str, style: Style) -> list[Segment]:
        """`_room` cells of a block after a thin edge, which narrow columns are without."""
        if self._view.cells < _LABELLED:
            return [Segment(text, style)]
        block = self._view.blocks[what]
        colour = self._styles.here.color if block.path or block.cursor else self._background
        mark = _CURSOR if block.cursor else _EDGE
        edge = Segment(mark, Style(color=colour, bgcolor=self._colour(what)))
        return [edge, Segment(text, style)]

    @property
    def _room(self) -> int:
        """Cells beside the edge."""
        return self._view.cells - (self._view.cells >= _LABELLED)

    @property
    def _background(self) -> Color | None:
        return self._styles.base.bgcolor

    def _over(self, what: int) -> Style:
        """Lines in the colour of the background over a block."""
        return Style(color=self._background, bgcolor=self._colour(what))

    def _edge(self, row: int, what: int) -> str:
        """The line that parts a block from one of its colour in the row below or above."""
        if row + 1 < len(self._runs) and self._parted(what, self._runs[row + 1][0][0]):
            return _BELOW
        above = row > 0 and self._runs[row - 1][-1][0]
        if above is not False and row - 1 in self._texts and self._parted(what, above):
            return _ABOVE
        return ""

    def _parted(self, what: int, other: int) -> bool:
        return other >= 0 and other != what and self._colour(other) == self._colour(what)

    def _split(self, runs: list[tuple[int, int]]) -> list[Segment]:
        """A row of several parts: the two largest, parted where they meet."""
        largest = sorted(sorted(range(len(runs)), key=lambda at: -runs[at][1])[:2])
        (upper, high), (lower, low) = (runs[at] for at in largest)
        before = sum(size for _, size in runs[: largest[0]])
        between = sum(size for _, size in runs[largest[0] + 1 : largest[1]])
        at = max(1, min(EIGHTHS - 1, before + high + between // 2))
        cells = self._view.cells
        if upper < 0 and lower < 0:
            return [self._texture(upper if high >= low else lower)]
        if self._colour(upper) == self._colour(lower):
            sign = _ABOVE if at < 3 else _BELOW if at > 5 else _MIDDLE
            what = max(upper, lower)
            return [Segment(sign * cells, self._over(what))]
        style = Style(color=self._colour(lower), bgcolor=self._colour(upper))
        return [Segment(BARS[EIGHTHS - at - 1] * cells, style)]


def hit(view: IcicleView, rows: int, x: int, y: int) -> int | None:
    """The key of the block at a cell, counted from the first row under the heads."""
    column = x // view.cells
    if not (0 <= column < len(view.heads) and 0 <= y < rows):
        return None
    parts = columns_of(view, rows)[column][y * EIGHTHS :][:EIGHTHS]
    shown = [what for what in parts if what >= 0]
    return view.blocks[max(shown, key=shown.count)].key if shown else None
