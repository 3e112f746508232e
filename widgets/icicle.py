"""The map of a tree: an icicle of coloured blocks."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from tokexplore.widgets.changed_lines import ChangedLines
from tokexplore.widgets.heat import LEVELS
from tokexplore.widgets.icicle_drawing import IcicleStyles, IcicleView, draw, hit

_LOOKS = (
    *(f"heat-{level}" for level in range(LEVELS)),
    "focus",
    "focus-cursor",
    "unknown",
    "cursor",
)


class IcicleMap(ChangedLines):
    """Columns of blocks under a row of heads."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "icicle--head", "icicle--rest", "icicle--here", "icicle--cursor",
        *(f"icicle--{look}" for look in _LOOKS),
    }  # fmt: skip
    DEFAULT_CSS = """
    IcicleMap {
        height: 1fr; background: $background; color: $foreground;
        & .icicle--head { color: $muted; }
        & .icicle--rest { color: $rule; }
        & .icicle--here { color: $here; }
        & .icicle--focus { background: $surface; color: $muted; }
        & .icicle--unknown { background: $surface; color: $muted; }
        & .icicle--cursor { background: $here; color: $here-text; text-style: bold; }
        & .icicle--heat-0 { background: $panel; color: $heat-text-0; }
        & .icicle--heat-1 { background: $heat-1; color: $heat-text-1; }
        & .icicle--heat-2 { background: $heat-2; color: $heat-text-2; }
        & .icicle--heat-3 { background: $heat-3; color: $heat-text-3; }
        & .icicle--heat-4 { background: $heat-4; color: $heat-text-4; }
        & .icicle--heat-5 { background: $heat-5; color: $heat-text-5; }
        &:nocolor .icicle--cursor { text-style: bold reverse; }
    }
    """

    @dataclass
    class Picked(Message):
        """A block was clicked."""

        icicle: "IcicleMap"
        key: int

        @property
        def control(self) -> "IcicleMap":
            """The widget, for handlers that select by it."""
            return self.icicle

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view = IcicleView(1, (), ())
        self._lines: list[Strip] | None = None
        self._styles: IcicleStyles | None = None

    def show(self, view: IcicleView) -> None:
        """Show a picture."""
        self._view, self._lines = view, None
        self.repaint_changed()

    @property
    def rows(self) -> int:
        """Rows under the heads."""
        return max(1, self.size.height - 1)

    def draw_line(self, y: int) -> Strip:
        if self._lines is None:
            self._lines = draw(self._view, self.size.width, self.rows, self._colours())
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def _colours(self) -> IcicleStyles:
        if self._styles is None:
            base = self.rich_style
            head, rest, here = (
                base + _colour(self.get_component_rich_style(f"icicle--{name}"))
                for name in ("head", "rest", "here")
            )
            looks = {look: self.get_component_rich_style(f"icicle--{look}") for look in _LOOKS}
            cursor = self.get_component_rich_style("icicle--cursor")
            self._styles = IcicleStyles(base, head, rest, here, cursor, looks)
        return self._styles

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = self._lines = None

    def on_resize(self) -> None:
        self._lines = None
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        key = hit(self._view, self.rows, event.x, event.y - 1)
        if key is not None:
            self.post_message(self.Picked(self, key))


def _colour(style: Style) -> Style:
    return Style(color=style.color)
