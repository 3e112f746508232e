"""The screen as arrays of cells: what it should look like, and where that changed."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

import numpy as np
from rich.segment import Segment
from rich.style import Style

from tokexplore.models.display import DOTTED_CIRCLE, is_mark
from tokexplore.widgets.char_width import width

Cells = np.ndarray[tuple[int], np.dtype[np.int32]]
Area = np.ndarray[tuple[int, int], np.dtype[np.int32]]

SPACE = 0x20
HALF = 0
"""Glyph of a cell into which the character on its left goes on."""
UNKNOWN = -1
"""Glyph of a cell of which nobody knows what the terminal shows there."""
_CLUSTERS = 0x110000
"""Glyphs from here on are characters with their marks, by number."""
_MOST_MARKS = 30
"""On one character, as in the Stream-Safe Text Format (Unicode Standard Annex 15)."""
JOINER = "\N{ZERO WIDTH JOINER}"

_NO_STYLE = Style.null()
_MOST_CACHED = 20_000
"""Styles remembered as they come; Textual marks text that can be selected with its place."""
_clusters: list[str] = []
_numbers: dict[str, int] = {}


def glyph_text(glyph: int) -> str:
    """The characters that begin in a cell."""
    if glyph >= _CLUSTERS:
        return _clusters[glyph - _CLUSTERS]
    return chr(glyph) if glyph > HALF else ""


def _glyph(text: str, cells: int) -> int:
    """The glyph of a character with its marks."""
    # A joiner at the end would join what a terminal draws next, wherever that is.
    text = text[: cells + _MOST_MARKS].rstrip(JOINER) or " "
    if len(text) == 1:
        return ord(text)
    if text not in _numbers:
        _numbers[text] = _CLUSTERS + len(_clusters)
        _clusters.append(text)
    return _numbers[text]


@lru_cache(8192)
def glyphs(text: str) -> Cells:
    """The cells of a text without controls: as many as Rich, and so Textual, counts for it."""
    if text.isascii():
        return np.frombuffer(text.encode("utf-32-le"), np.int32)
    cells: list[int] = []
    for character in _characters(text):
        size = width(character)
        cells += [_glyph(character, size), *[HALF] * (size - 1)] if size else []
    wanted = width(text)
    return np.array((cells + [SPACE] * wanted)[:wanted], np.int32)


def _characters(text: str) -> list[str]:
    """A text in characters, each with what joins it."""
    found: list[str] = []
    for character in text:
        if found and (_joins(character) or found[-1][-1] == JOINER):
            found[-1] += character
        else:
            found.append(character)
    return found


@lru_cache(8192)
def _leading_marks(text: str) -> str:
    """What a text begins with that belongs to a character before it."""
    return "".join(takewhile(_joins, text))


def _joins(character: str) -> bool:
    """Whether a character belongs to the one before it."""
    return is_mark(character) or not width(character)


class Styles:
    """Styles by number, as the cells of a grid name them."""

    def __init__(self) -> None:
        self.all: list[Style] = []
        """By number, without links and marks, which are not for the terminal."""
        self._numbers: dict[Style, int] = {}
        self._cached: dict[Style, int] = {}
        self.blank: Cells = np.zeros(0, np.int32)
        """By number: the plainest style in which a space looks the same."""

    def number(self, style: Style | None) -> int:
        """The number of a style, new or known."""
        style = style or _NO_STYLE
        number = self._cached.get(style)
        if number is None:
            if len(self._cached) >= _MOST_CACHED:
                self._cached.clear()
            number = self._cached[style] = self._number_of(style.clear_meta_and_links())
        return number

    def _number_of(self, style: Style) -> int:
        number = self._numbers.get(style)
        if number is None:
            number = self._numbers[style] = len(self.all)
            self.all.append(style)
            self.blank = np.append(self.blank, np.int32(number))
            lined = style.underline or style.underline2 or style.strike or style.overline
            if not (lined or style.reverse):
                plain = self._number_of(Style(bgcolor=style.bgcolor))
                self.blank[number] = plain
        return number


def start_of(row: Cells, column: int) -> int:
    """The column in which the character at a column begins."""
    while column > 0 and row[column] == HALF:
        column -= 1
    return column


class Grid:
    """Two screens of one size: the wanted one and the one that the terminal shows."""

    def __init__(self, width: int, height: int, styles: Styles) -> None:
        self.width, self.height = width, height
        self._styles = styles
        self.glyphs: Area = np.full((height, width), SPACE, np.int32)
        self.inks: Area = np.full((height, width), styles.number(None), np.int32)
        """Numbers of styles."""
        self._shown_glyphs: Area = np.full((height, width), UNKNOWN, np.int32)
        self._shown_inks = self.inks.copy()

    def put(self, x: int, y: int, segments: Iterable[Segment]) -> None:
        """Want segments at a place; what does not fit into the screen is left out.

        Marks join the character before them, in whatever segment it is.
        """
        columns = self.width
        if not (0 <= y < self.height and x < columns):
            return
        row, inks, first = self.glyphs[y], self.inks[y], x
        self._end_character(row, first)
        for text, style, control in segments:
            if control or not text:
                continue
            ink = self._styles.number(style)
            if not text.isascii() and (marks := _leading_marks(text)):
                x = self._join(y, first, x, marks, ink)
                text = text[len(marks) :]
            cells = glyphs(text)
            end = x + len(cells)
            if end <= columns:
                row[x:end] = cells
                inks[x:end] = ink
            elif x < columns:
                row[x:] = cells[: columns - x]
                inks[x:] = ink
                if cells[columns - x] == HALF:
                    row[start_of(row, columns - 1) :] = SPACE
            x = end
        while x < columns and row[x] == HALF:
            row[x] = SPACE
            x += 1

    def _join(self, y: int, first: int, x: int, marks: str, ink: int) -> int:
        """Put marks on the character that ends before `x`; the column after them.

        Without one since `first` a dotted circle stands in the first cell that they were given;
        what was given none lost its base to what lies over it.
        """
        row, size = self.glyphs[y], width(marks)
        if x + size > self.width:
            return x + size
        if x > first:
            lead = start_of(row, x - 1)
            base, ink = glyph_text(int(row[lead])), int(self.inks[y, lead])
        else:
            lead, base = x, DOTTED_CIRCLE
            marks = "".join(m for m in marks if not width(m)) + "".join(filter(width, marks))[1:]
        row[x : x + size] = HALF
        self.inks[y, x : x + size] = ink
        if x > first or size:
            row[lead] = _glyph(base + marks, x + size - lead)
        return x + size

    def _end_character(self, row: Cells, column: int) -> None:
        """Blank a character that goes on at a column, up to there."""
        if row[column] == HALF:
            row[start_of(row, column) : column] = SPACE

    def forget(self) -> None:
        """The terminal may show anything."""
        self._shown_glyphs.fill(UNKNOWN)

    def changes(self) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
        """Where the terminal does not show what is wanted; it does once that is sent.

        The wanted screen is left with the plainest styles that look the same.
        """
        blank = self.glyphs == SPACE
        np.copyto(self.inks, self._styles.blank[self.inks], where=blank)
        changed = (self.glyphs != self._shown_glyphs) | (self.inks != self._shown_inks)
        self._shown_glyphs[changed] = self.glyphs[changed]
        self._shown_inks[changed] = self.inks[changed]
        return changed
