"""Random frames of all kinds of characters, as a screen would get them one after the other."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from tokexplore.tui.terminal.ansi import Encoder
from tokexplore.tui.terminal.cell_grid import Grid, Styles
from tokexplore.tui.terminal.safe_filter import SafeFilter

NARROW = [
    *"ab .#│█éЖλ0123456789",
    " " * 4,
    "-1.264",
    "49.8%",
    "…",
    "ש",
    "م",
    "ก",
    "न",
    "த",
    "က",
    "ក",
]
WIDE = [*"世界是理한は，。ア", "🦊", "👍"]
MARKS = [*"\u0301\u0308\u0e31\u0e34\u0941\u094d\u0bcd\u05b4\u064b\u1039\u17d2\u3099\u0483"]
SPACING = [*"\u093e\u093f\u0940\u0903\u0bbe\u0bc6\u102c\u1031\u17b6\u0c82"]
AMBIGUOUS = [*"①☆→∞☀\ufdfa\u0e33\u0eb3\u2630"]
JOINED = [
    *"🇩🇪🇺\u200d\ufe0f\u200b\u034f\u1112\u1161\u11ab\u302e\U0001f3fd",
    "👩\u200d💻",
    "❤\ufe0f",
    "👍🏽",
]
WORDS = [
    "हिन्दी", "भाषा में", "ภาษาไทย", "น้ำ", "தமிழ்", "မြန်မာ", "ភាសាខ្មែរ", "שָׁלוֹם", "مَرْحَبًا",
    "fu\u0301n", "cafe\u0301", "한국", "今天是", "日本", "கொ", "か\u3099", "\u1112\u1161\u11ab",
]  # fmt: skip
KINDS = (NARROW, NARROW, NARROW, WIDE, WIDE, MARKS, SPACING, AMBIGUOUS, JOINED, WORDS)
COLOURS = (None, "red", "#102030", "color(99)")
STYLES = [
    Style(color=ink, bgcolor=paper, bold=bold, underline=lined)
    for ink in COLOURS
    for paper in COLOURS
    for bold, lined in ((False, False), (True, False), (False, True))
]


class Frame(NamedTuple):
    """What is on a screen at one moment."""

    sent: str
    """What makes it of the frame before."""
    whole: str
    """What paints it on an empty screen."""
    grid: Grid


class Story:
    """A screen that lives: rows that are written, changed, scrolled, cut, laid over and resized.

    Args:
        seed: of all that happens.
        size: columns and rows at the beginning, and at most.
    """

    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        self._random = random.Random(seed)
        self.styles = Styles()
        self.encoder = Encoder(self.styles, ColorSystem.TRUECOLOR)
        self._filter = SafeFilter()
        self.filtered = bool(seed % 2)
        """Whether what it shows goes through the app's net; else flags and joiners are left in."""
        self._most = size
        self._begin(*size)

    def _begin(self, columns: int, rows: int) -> None:
        self.grid = Grid(columns, rows, self.styles)
        self.rows = [self._segments() for _ in range(rows)]
        self._put(range(rows))

    def frames(self, count: int) -> Iterator[Frame]:
        """The first frames."""
        for _ in range(count):
            sent = self.encoder.frame(self.grid)
            again = Grid(self.grid.width, self.grid.height, self.styles)
            again.glyphs[:], again.inks[:] = self.grid.glyphs, self.grid.inks
            yield Frame(sent, self.encoder.frame(again), again)
            self._go_on()

    def _go_on(self) -> None:
        choose = self._random.random()
        if choose < 0.35:
            self._change()
        elif choose < 0.5:
            row = self._random.randrange(self.grid.height)
            self.rows[row] = self._segments()
            self._put([row])
        elif choose < 0.6:
            self.rows = [*self.rows[1:], self._segments()]
            self._put(range(self.grid.height))
        elif choose < 0.98:
            self._cut_in(laid_over=choose < 0.75)
        else:
            columns, rows = self._most
            self._begin(self._random.randint(2, columns), self._random.randint(1, rows))

    def _change(self) -> None:
        """Another character, or another style, in the midst of a row."""
        row = self._random.randrange(self.grid.height)
        segments = self.rows[row]
        at = self._random.randrange(len(segments))
        text, style, _ = segments[at]
        if self._random.random() < 0.3:
            segments[at] = Segment(text, self._style())
        else:
            place = self._random.randint(0, len(text))
            length = self._random.randint(0, 2)
            segments[at] = Segment(text[:place] + self._text(1) + text[place + length :], style)
        self._put([row])

    def _cut_in(self, *, laid_over: bool) -> None:
        """A part of a row, cut at any column: new, as a dialog's, or as it was, from below it."""
        row = self._random.randrange(self.grid.height)
        first, last = sorted(self._random.choices(range(self.grid.width + 1), k=2))
        strip = self._strip(self._segments() if laid_over else self.rows[row])
        self.grid.put(first, row, strip.crop(first, last))

    def _put(self, rows: "range | list[int]") -> None:
        for row in rows:
            self.grid.put(0, row, self._strip(self.rows[row]))

    def _strip(self, segments: list[Segment]) -> Strip:
        if self.filtered:
            segments = self._filter.apply(segments, Color(0, 0, 0))
        return Strip(segments).adjust_cell_length(self.grid.width, Style())

    def _segments(self) -> list[Segment]:
        count = self._random.randint(1, 4)
        return [
            Segment(self._text(self._random.randint(1, 4)), self._style()) for _ in range(count)
        ]

    def _style(self) -> Style:
        return self._random.choice(STYLES[:: self._random.choice((1, 7))])

    def _text(self, length: int) -> str:
        return "".join(self._random.choice(self._random.choice(KINDS)) for _ in range(length))
