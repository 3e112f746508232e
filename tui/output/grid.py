"""The screen as arrays of cells: what it should look like, and where that changed."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style

Cells = np.ndarray[tuple[int], np.dtype[np.int32]]
Area = np.ndarray[tuple[int, int], np.dtype[np.int32]]

SPACE = 0x20
HALF = 0
"""Glyph of the right half of a wide character."""
UNKNOWN = -1
"""Glyph of a cell of which nobody knows what the terminal shows there."""
_CLUSTERS = 0x110000
"""Glyphs from here on are characters with combining marks, by number."""

_NO_STYLE = Style.null()
_KNOWN = 20_000
"""Styles remembered as they come; Textual marks text that can be selected with its place."""
_clusters: list[str] = []
_numbers: dict[str, int] = {}


def glyph_text(glyph: int) -> str:
    """The characters of a cell; nothing for the right half of a wide one."""
    if glyph >= _CLUSTERS:
        return _clusters[glyph - _CLUSTERS]
    return chr(glyph) if glyph > HALF else ""


def _cluster(text: str) -> int:
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
    for character in text:
        size = get_character_cell_size(character)
        if size:
            cells += [ord(character), *[HALF] * (size - 1)]
        elif cells:
            lead = max(i for i, glyph in enumerate(cells) if glyph != HALF)
            cells[lead] = _cluster(glyph_text(cells[lead]) + character)
    wanted = cell_len(text)
    return np.array((cells + [SPACE] * wanted)[:wanted], np.int32)


class Styles:
    """Styles by number, as the cells of a grid name them."""

    def __init__(self) -> None:
        self.all: list[Style] = []
        """By number, without links and marks, which are not for the terminal."""
        self._numbers: dict[Style, int] = {}
        self._known: dict[Style, int] = {}
        self.blank: Cells = np.zeros(0, np.int32)
        """By number: the plainest style in which a space looks the same."""

    def number(self, style: Style | None) -> int:
        """The number of a style, new or known."""
        style = style or _NO_STYLE
        number = self._known.get(style)
        if number is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            number = self._known[style] = self._number_of(style.clear_meta_and_links())
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
        """Want segments at a place; what does not fit into the screen is left out."""
        if not 0 <= y < self.height:
            return
        row_glyphs, row_inks = self.glyphs[y], self.inks[y]
        for text, style, control in segments:
            if control or not text:
                continue
            cells = glyphs(text)
            end = min(x + len(cells), self.width)
            if end <= x:
                break
            row_glyphs[x:end] = cells[: end - x]
            row_inks[x:end] = self._styles.number(style)
            x = end

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
