"""The one rule for the width of a character: Rich's table, with spacing marks as one cell.

Rich and with it Textual count a spacing mark (general category Mc: half the vowel signs of Indic
scripts) as nothing, as its base would take it in. Most terminals, multiplexers and the C library
give it a cell of its own; a line laid out without that cell loses the mark there or is torn. With
the cell nothing is lost anywhere: a terminal that draws base and mark in one leaves a blank.
"""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import rich.cells
from rich._unicode_data import load
from rich.cells import CellTable


def width(text: str) -> int:
    """Cells that safe text takes; the measure that Textual itself places text by."""
    return len(text) if text.isascii() else rich.cells.cell_len(text)


def _count_spacing_marks() -> None:
    """Have Rich, Textual and all that measures by them count each spacing mark as one cell."""
    rich.cells.load_cell_table = _table
    rich.cells.get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()


@lru_cache
def _table(unicode_version: str = "auto") -> CellTable:
    """Rich's table of a Unicode version, without spacing marks among what has no width."""
    table = load(unicode_version)
    return table._replace(widths=[part for entry in table.widths for part in _parts(*entry)])


def _parts(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """A range of characters of one size, or what is left of it around spacing marks."""
    start = first
    for code in range(first, last + 1) if size == 0 else ():
        if unicodedata.category(chr(code)) == "Mc":
            if start < code:
                yield start, code - 1, size
            start = code + 1
    if start <= last:
        yield start, last, size


_count_spacing_marks()
