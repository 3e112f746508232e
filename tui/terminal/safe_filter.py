"""The last net: whatever reaches a line of the screen as a control is made visible there."""

import unicodedata
from functools import lru_cache

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tokexplore.models.display import SPACE, safe_character
from tokexplore.widgets.char_width import width

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_FLAG_A, _FLAG_Z = 0x1F1E6, 0x1F1FF


class SafeFilter(LineFilter):
    """Every widget's lines go through it, Textual's own and those of notices among them.

    It keeps the number of cells that the widget counted. What our widgets show of tokens was made
    safe and visible before, so this is for what slipped through.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        del background
        if all(is_safe(text) for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(_safe(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(8192)
def is_safe(text: str) -> bool:
    """Whether a terminal shows a text and obeys nothing in it."""
    if text.isascii():
        return text.isprintable()
    return all(c == " " or safe_character(c) == c for c in text)


@lru_cache(1024)
def _safe(text: str) -> str:
    shown = "".join(c if c == " " or safe_character(c) == c else _stand_in(c) for c in text)
    return set_cell_size(shown, width(text))


def _stand_in(character: str) -> str:
    """What is shown in a character's cells: a letter of a flag as it is, a space as the sign."""
    cells, code = width(character), ord(character)
    if _FLAG_A <= code <= _FLAG_Z:
        return chr(ord("A") + code - _FLAG_A).ljust(cells)
    if unicodedata.category(character) == "Zs":
        return SPACE.ljust(cells)
    return _UNKNOWN * cells
