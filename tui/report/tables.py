"""Rows of cells as lines: in columns for people, as Markdown, as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from tokexplore.widgets.char_width import width


def aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines of columns, by display width; `sides` has `<` or `>` a column."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            _padded(cell, cells, side) for cell, cells, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as a Markdown table, the first one its head."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if not number:
            yield "|" + " --- |" * len(row)


def csv_line(values: Iterable[object]) -> str:
    """One line of CSV, without its end."""
    held = io.StringIO()
    csv.writer(held, lineterminator="").writerow("" if v is None else v for v in values)
    return held.getvalue()


def cut(text: str, cells: int) -> str:
    """Text that takes at most so many cells, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    while text and width(text) > cells - 1:
        text = text[:-1]
    return text + "…"


def _padded(cell: str, cells: int, side: str) -> str:
    space = " " * (cells - width(cell))
    return space + cell if side == ">" else cell + space
