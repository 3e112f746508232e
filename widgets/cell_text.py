"""Text measured and cut in terminal cells, and lines of exactly the width that they were given.

Every function takes text that `models.display` made safe; none of them splits a wide character
or leaves a combining mark without its base.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import is_mark
from tokexplore.widgets.char_width import width

ELLIPSIS = "…"

Align = Literal["left", "right"]


def chop(text: str, cells: int, *, whole: bool = True) -> tuple[str, str]:
    """`text` in two: the longest head of at most `cells` cells, and the rest.

    Marks stay with their base, so the head can be longer in characters than in cells. Not `whole`:
    where not even the first character with its marks has room, it is cut between them.
    """
    if text.isascii():
        return text[: max(cells, 0)], text[max(cells, 0) :]
    used = begin = 0
    for index, character in enumerate(text):
        size = width(character)
        if size and not is_mark(character):
            begin = index
        used += size
        if used > cells:
            begin = begin if begin or whole else index
            return text[:begin], text[begin:]
    return text, ""


def cut(text: str, cells: int, mark: str = ELLIPSIS) -> str:
    """`text` in at most `cells` cells, ending in `mark` where something was left out."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    return chop(text, room)[0] + mark if room >= 0 else chop(mark, cells)[0]


def cut_whole(text: str, cells: int, mark: str = ELLIPSIS) -> str:
    """`cut`, but a number is shown whole or not at all: what is left of one reads as another."""
    shown = cut(text, cells, mark)
    if shown == text or not shown.endswith(mark):
        return shown
    head = shown[: len(shown) - len(mark)]
    begun = head.rpartition(" ")[2]
    word = begun + text[len(head) :].partition(" ")[0]
    if word != begun and any(character.isdigit() for character in word):
        head = head[: len(head) - len(begun)]
    return head + mark


def fitting(parts: Sequence[str], cells: int, between: str, mark: str = ELLIPSIS) -> str:
    """As many of the parts, one after the other, as fit whole; `mark` stands for the others."""
    for count in range(len(parts), 0, -1):
        text = between.join([*parts[:count], *([mark] if count < len(parts) else [])])
        if width(text) <= cells:
            return text
    return chop(mark, cells)[0] if parts else ""


def cut_left(text: str, cells: int, mark: str = ELLIPSIS) -> str:
    """The end of `text` in at most `cells` cells, beginning with `mark` where it was cut."""
    if width(text) <= cells:
        return text
    room = cells - width(mark)
    if room < 0:
        return chop(mark, cells)[0]
    start, used = len(text), 0
    for index in range(len(text) - 1, -1, -1):
        size = width(text[index])
        used += size
        if used > room:
            break
        if size and not is_mark(text[index]):
            start = index
    return mark + text[start:]


def fit(text: str, cells: int, align: Align = "left", mark: str = ELLIPSIS) -> str:
    """`text` cut or padded with spaces to exactly `cells` cells; numbers stand on the right."""
    shown = (cut_whole if align == "right" else cut)(text, cells, mark)
    pad = " " * (cells - width(shown))
    return pad + shown if align == "right" else shown + pad


def wrapped(text: str, cells: int) -> list[str]:
    """The words of `text` in lines of at most `cells` cells (2 or more); a word that is longer than
    a line is broken where the line ends."""
    lines = [""]
    for word in text.split():
        lead = " " if lines[-1] else ""
        if lead and width(word) <= cells < width(lines[-1]) + 1 + width(word):
            lines.append("")
            lead = ""
        rest = lead + word
        while rest:
            head, rest = chop(rest, cells - width(lines[-1]))
            lines[-1] += head
            if rest:
                lines.append("")
                rest = rest.lstrip()
    return lines


def line(segments: Iterable[Segment], cells: int, fill: Style) -> Strip:
    """A strip of exactly `cells` cells: segments beyond it are cut, the rest is filled."""
    shown, left = [], max(cells, 0)
    for segment in segments:
        size = width(segment.text)
        if size > left:
            head = chop(segment.text, left)[0]
            shown.append(Segment(head, segment.style))
            left -= width(head)
            break
        shown.append(segment)
        left -= size
    if left:
        shown.append(Segment(" " * left, fill))
    return Strip(shown, max(cells, 0))
