"""Widgets drawn line by line that repaint only the lines that are not as they were.

Textual sends every repainted line to the terminal again, in full: on a slow line that is what a
stream costs (a branch list with one live branch changes one line in twenty).
"""

from typing import Self

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class ChangedLines(Widget):
    """The Line API with a memory: `draw_line` says how a line looks now."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        self._painted: dict[int, Strip] = {}
        """Each line as it was drawn for the screen last."""
        self._fresh: dict[int, Strip] = {}
        """Changed lines that were drawn to be compared and wait to be painted."""
        super().__init__(id=id, classes=classes)

    def draw_line(self, y: int) -> Strip:
        """The line `y` cells below the widget's top, as it is to look now."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        strip = self._fresh.pop(y, None)
        self._painted[y] = strip = self.draw_line(y) if strip is None else strip
        return strip

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        self._fresh = {}
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._fresh = {}

    def repaint_changed(self) -> None:
        """Repaint the lines that would look different now; costs one drawing of each line."""
        width, height = self.size
        stale = {
            y: drawn
            for y, painted in self._painted.items()
            if y < height and (drawn := self.draw_line(y)) != painted
        }
        if stale:
            self.refresh(*(Region(0, y, width, 1) for y in stale))
        self._fresh = stale
