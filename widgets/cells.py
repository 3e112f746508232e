"""Text measured and cut in terminal cells, and lines of exactly the width that they were given.

Every function takes text that `models.display` made safe; none of them splits a wide character
or leaves a combining mark without its base.
"""

from collections.abc import Iterable
from typing import Literal

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

ELLIPSIS = "…"

Align = Literal["left", "right"]


def width(text: str) -> int:
    """Cells that safe text takes; the measure that Textual itself places text by."""
    return len(text) if text.isascii() else cell_len(text)


def chop(text: str, cells: int) -> tuple[str, str]:
    """`text` in two: the longest head of at most `cells` cells, and the rest.

    Combining marks stay with their base, so the head can be longer in characters than in cells.
    """
    if text.isascii():
        return text[: max(cells, 0)], text[max(cells, 0) :]
    used = 0
    for index, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells:
            return text[:index], text[index:]
    return text, ""


def cut(text: str, cells: int, mark: str = ELLIPSIS) -> str:
    """`text` in at most `cells` cells, ending in `mark` where something was left out."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    return chop(text, room)[0] + mark if room >= 0 else chop(mark, cells)[0]


def cut_left(text: str, cells: int, mark: str = ELLIPSIS) -> str:
    """The end of `text` in at most `cells` cells, beginning with `mark` where it was cut."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    if room < 0:
        return chop(mark, cells)[0]
    start, used = len(text), 0
    for index in range(len(text) - 1, -1, -1):
        size = get_character_cell_size(text[index])
        used += size
        if used > room:
            break
        if size:
            start = index
    return mark + text[start:]


def fit(text: str, cells: int, align: Align = "left", mark: str = ELLIPSIS) -> str:
    """`text` cut or padded with spaces to exactly `cells` cells."""
    shown = cut(text, cells, mark)
    pad = " " * (cells - width(shown))
    return pad + shown if align == "right" else shown + pad


def line(segments: Iterable[Segment], cells: int, fill: Style) -> Strip:
    """A strip of exactly `cells` cells: segments beyond it are cut, the rest is filled."""
    kept, left = [], max(cells, 0)
    for segment in segments:
        size = width(segment.text)
        if size > left:
            head = chop(segment.text, left)[0]
            kept.append(Segment(head, segment.style))
            left -= width(head)
            break
        kept.append(segment)
        left -= size
    if left:
        kept.append(Segment(" " * left, fill))
    return Strip(kept, max(cells, 0))
