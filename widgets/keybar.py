"""The bottom line: the keys that matter now, as many as fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tokexplore.widgets.cell_text import line, width


class KeyHint(NamedTuple):
    """A key and what it does here, from a binding."""

    key: str
    """The key as it is shown: `space`, `↑↓`, `?`."""
    label: str
    priority: int = 0
    """Hints with a higher priority stay longer when the line is narrow."""
    action: str = ""
    """What a click on it asks for."""
    disabled: bool = False
    """It does nothing here but say why."""

    @property
    def cells(self) -> int:
        return width(self.key) + 1 + width(self.label)


class Placed(NamedTuple):
    """A hint and the cell at which it begins."""

    start: int
    hint: KeyHint


def place(hints: Sequence[KeyHint], last: KeyHint | None, cells: int) -> list[Placed]:
    """The hints that fit in `cells` cells, in their order, the least important left out; `last`
    stands at the right edge and goes only where even it has no room.
    """
    taken = last.cells + 2 if last and last.cells + 2 <= cells else 0
    chosen: set[int] = set()
    free = cells - 1 - taken
    for index in sorted(range(len(hints)), key=lambda index: -hints[index].priority):
        free -= hints[index].cells + 1
        if free < 0:
            break
        chosen.add(index)
    placed, start = [], 1
    for index in sorted(chosen):
        placed.append(Placed(start, hints[index]))
        start += hints[index].cells + 1
    if last and taken:
        placed.append(Placed(cells - last.cells - 1, last))
    return placed


def keybar_strip(placed: Sequence[Placed], cells: int, key: Style, label: Style) -> Strip:
    """The line of placed hints in exactly `cells` cells."""
    segments: list[Segment] = []
    used = 0
    for start, hint in placed:
        segments.append(Segment(" " * (start - used), label))
        segments.append(Segment(hint.key, label if hint.disabled else key))
        segments.append(Segment(f" {hint.label}", label))
        used = start + hint.cells
    return line(segments, cells, label)


class KeyBar(Widget):
    """One line at the bottom of the screen; its hints can be clicked."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key"}

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        background: $panel;
        color: $muted;
        & .keybar--key { color: $foreground; text-style: bold; }
    }
    """

    @dataclass
    class Pressed(Message):
        """A hint was clicked."""

        bar: "KeyBar"
        hint: KeyHint

        @property
        def control(self) -> "KeyBar":
            """The bar, for handlers that select by it."""
            return self.bar

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._hints: tuple[KeyHint, ...] = ()
        self._last: KeyHint | None = None
        self._placed: list[Placed] = []

    def show(self, hints: Sequence[KeyHint], last: KeyHint | None = None) -> None:
        """Show these hints, and `last` at the right edge."""
        if (tuple(hints), last) != (self._hints, self._last):
            self._hints, self._last = tuple(hints), last
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y:
            return line([], self.size.width, self.rich_style)
        self._placed = place(self._hints, self._last, self.size.width)
        key = self.get_component_rich_style("keybar--key")
        return keybar_strip(self._placed, self.size.width, key, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        for start, hint in self._placed:
            if start <= event.x < start + hint.cells:
                self.post_message(self.Pressed(self, hint))
