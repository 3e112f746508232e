"""Which cells a terminal may touch for a character, and so what is drawn again together.

Terminals disagree on the width of many characters. One whose width is in doubt is drawn after the
cells before it, and all that it may reach is drawn after it: what is left of a wrong guess is never
more than the character itself.
"""

import unicodedata
from functools import lru_cache

import numpy as np

from tokexplore.models.display import is_mark
from tokexplore.tui.terminal.cell_grid import HALF, JOINER, Area, Cells, Grid, glyph_text, start_of
from tokexplore.widgets.char_width import width

Mask = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

_PLAIN = 0x2FF
"""The last character of those that are sure without a look: Latin."""
_SURE = ((0x20, _PLAIN), (0x370, 0x482), (0x2500, 0x259F))
"""Ranges of "ambiguous" width that are one cell wherever our screen's own frames and bars are."""
_SURE_CHARACTERS = frozenset("…‘’“”–—␣⏎⇥●›≈")


@lru_cache(4096)
def is_sure(glyph: int) -> bool:
    """Whether every terminal agrees with the grid on a glyph's width.

    So it is for letters, digits and punctuation whose width has not changed since Unicode 3.2
    (2002), which is as old as the tables of any terminal in use.
    """
    text = glyph_text(glyph)
    if len(text) != 1:
        return False
    if text in _SURE_CHARACTERS or any(first <= glyph <= last for first, last in _SURE):
        return True
    old, size = unicodedata.ucd_3_2_0, unicodedata.east_asian_width(text)
    # Thai and Lao AM and halfwidth voicing are letters to some terminals and marks to others.
    marked = any(map(is_mark, unicodedata.normalize("NFKD", text)))
    return (
        old.category(text)[0] in "LNP"
        and old.east_asian_width(text) == size != "A"
        and width(text) == (2 if size in "WF" else 1)
        and (size in "WF" or not marked)
    )


@lru_cache(4096)
def _most_cells(glyph: int) -> int:
    """Cells that a glyph takes in the terminal that gives it most."""
    text = glyph_text(glyph)
    return max(sum(map(_most, text)), width(text))


@lru_cache(4096)
def _most(character: str) -> int:
    if is_sure(ord(character)):
        return width(character)
    return 1 if is_mark(character) and unicodedata.east_asian_width(character) not in "WF" else 2


def pushed_from(grid: Grid, row: int) -> int | None:
    """Where the character begins that stands before one with marks at the end of a row.

    Written in the last column, marks go to the character before it in terminals that keep the
    cursor there. Written one cell before and pushed on by a blank they are right everywhere; then
    the character before is written again. None where that is not needed, or would reach too far.
    """
    glyphs = grid.glyphs[row]
    column = start_of(glyphs, grid.width - 1)
    if not column or len(glyph_text(int(glyphs[column]))) == 1:
        return None
    before = start_of(glyphs, column - 1)
    base, marks = glyph_text(int(glyphs[before]))[:1], glyph_text(int(glyphs[before]))[1:]
    fits = all(map(is_mark, marks)) and _most(base) + width(marks) <= column - before
    return before if fits else None


def fitting(glyph: int, room: int) -> str:
    """A glyph's characters, without those after the first that could begin beyond the row's end.

    Terminals put them on the last cells of the row, over what is there.
    """
    text, used = glyph_text(glyph), 0
    if len(text) == 1:
        return text
    for index, character in enumerate(text):
        used += _most(character)
        if index and used > room and not is_mark(character):
            return text[:index].rstrip(JOINER)
    return text


def in_doubt(glyphs: Area, changed: Mask) -> Mask:
    """Where glyphs are whose width is in doubt, in the rows that changed."""
    beyond = (glyphs > _PLAIN) & changed.any(1, keepdims=True)
    doubtful = np.zeros(glyphs.shape, np.bool_)
    doubtful[beyond] = [not is_sure(glyph) for glyph in glyphs[beyond].tolist()]
    return doubtful


def spread(grid: Grid, changed: Mask, doubtful: Mask) -> Mask:
    """Add to what changed whatever has to be drawn with it; which cells are drawn in their order.

    Characters change as a whole. Where a cell is drawn that one in doubt may reach, that one is
    drawn before it, and then all that it may reach, from left to right.
    """
    _complete(changed, grid.glyphs == HALF)
    ordered = np.zeros(changed.shape, np.bool_)
    for row in np.nonzero(doubtful.any(1))[0].tolist():
        starts = np.nonzero(doubtful[row])[0].tolist()
        _spread_row(grid.glyphs[row], changed[row], starts, ordered[row])
    changed |= ordered
    return ordered


def _complete(changed: Mask, halves: Mask) -> None:
    """Add to what changed the other cells of each character."""
    before = -1
    while halves.any() and (count := int(changed.sum())) != before:
        before = count
        changed[:, :-1] |= (changed & halves)[:, 1:]
        changed[:, 1:] |= changed[:, :-1] & halves[:, 1:]


def _spread_row(
    glyphs: Cells, changed: np.ndarray, doubtful: list[int], ordered: np.ndarray
) -> None:
    reaches = {start: start + _most_cells(int(glyphs[start])) for start in doubtful}
    # How marks at the end of a row are written hangs on the character before (`pushed_from`).
    last = start_of(glyphs, len(glyphs) - 1)
    if last and len(glyph_text(int(glyphs[last]))) > 1:
        reaches[start_of(glyphs, last - 1)] = len(glyphs)
    so_far = [0, *np.cumsum(changed).tolist()]
    touched = 0
    for start, reach in sorted(reaches.items()):
        end = min(reach, len(glyphs))
        while end < len(glyphs) and glyphs[end] == HALF:
            end += 1
        if start < touched or so_far[end] > so_far[start]:
            ordered[start:end] = True
            touched = max(touched, end)
