"""Two to four branches side by side from the token at which they part."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tokexplore.widgets.changed_lines import ChangedLines
from tokexplore.widgets.compare_drawing import CompareStyles, row_strip, shared_strip
from tokexplore.widgets.compare_rows import (
    CompareCell,
    CompareColumn,
    Line,
    Meeting,
    Mode,
    Row,
    Wrapper,
    column_widths,
    meeting,
    rows_of,
)
from tokexplore.widgets.heat import LEVELS

__all__ = ["CompareCell", "CompareColumn", "CompareView", "meeting"]


class CompareView(ChangedLines, ScrollView, can_focus=True):
    """The shared prefix folded to one line, then the texts; stacked where the screen is narrow."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "compare--muted",
        "compare--rule",
        "compare--head",
        "compare--live",
        "compare--meets",
        *(f"compare--heat-{level}" for level in range(LEVELS)),
    }

    DEFAULT_CSS = """
    CompareView {
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & .compare--muted { color: $muted; }
        & .compare--rule { color: $rule; }
        & .compare--head { color: $foreground; text-style: bold; }
        & .compare--live { color: $sampler; }
        & .compare--meets { color: $foreground; text-style: italic; }
        & .compare--heat-0 { background: $heat-0; color: $heat-text-0; }
        & .compare--heat-1 { background: $heat-1; color: $heat-text-1; }
        & .compare--heat-2 { background: $heat-2; color: $heat-text-2; }
        & .compare--heat-3 { background: $heat-3; color: $heat-text-3; }
        & .compare--heat-4 { background: $heat-4; color: $heat-text-4; }
        & .compare--heat-5 { background: $heat-5; color: $heat-text-5; }
    }
    """

    mode: reactive[Mode] = reactive("text")

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._columns: Sequence[CompareColumn] = ()
        self._shared, self._shared_tokens = "", 0
        self._meets: Sequence[Meeting] = ()
        self._widths: list[int] = []
        self._wrappers: list[Wrapper] = []
        self._heads: list[Row] = []
        self._rows: list[Row] = []
        self._blank: Row = []
        """Below the last row the rules between the columns go on."""
        self._styles: CompareStyles | None = None

    def show(
        self,
        columns: Sequence[CompareColumn],
        shared: str,
        shared_tokens: int,
        meets: Sequence[Meeting] = (),
    ) -> None:
        """Show two to four branches.

        Args:
            columns: the branches, their cells beginning after the last shared token.
            shared: the text of the shared prefix; its end is shown.
            shared_tokens: how many tokens that is.
            meets: where texts run the same again (`meeting`), in order.
        """
        self._columns, self._meets = columns, meets
        self._shared, self._shared_tokens = shared, shared_tokens
        self._arrange()

    def toggle_mode(self) -> Mode:
        """Change between running text and one token a line; returns the new mode."""
        self.mode = "tokens" if self.mode == "text" else "text"
        return self.mode

    def watch_mode(self) -> None:
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None

    def draw_line(self, y: int) -> Strip:
        styles, cells = self._all_styles(), self.scrollable_content_region.width
        if y == 0:
            return shared_strip(self._shared, self._shared_tokens, self._columns, cells, styles)
        if y <= len(self._heads):
            row = self._heads[y - 1]
        else:
            index = y - 1 - len(self._heads) + self.scroll_offset.y
            row = self._rows[index] if index < len(self._rows) else self._blank
        return row_strip(row, self._columns, self._widths, self.mode, cells, styles)

    def _arrange(self) -> None:
        """Lay the columns out; a stream only wraps what is new, and keeps its end in view."""
        cells = self.scrollable_content_region.width
        if not cells or not self._columns:
            self.repaint_changed()
            return
        widths = column_widths(cells, len(self._columns))
        stacked = len(widths) < len(self._columns)
        self._widths = widths
        self._wrappers = [self._wrapped(index, stacked) for index in range(len(self._columns))]
        self._rows = rows_of(self._columns, self._wrappers, self._meets, stacked=stacked)
        every = range(0 if stacked else len(self._columns))
        heads = [] if stacked else [Line("head"), Line("numbers"), Line("blank")]
        self._heads = [[(index, one) for index in every] for one in heads]
        self._blank = [(index, Line("blank")) for index in every]
        following = self.scroll_offset.y >= self.max_scroll_y
        self.virtual_size = Size(cells, 1 + len(self._heads) + len(self._rows))
        if following and any(column.live for column in self._columns):
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        self.repaint_changed()

    def _wrapped(self, index: int, stacked: bool) -> Wrapper:
        column = self._columns[index]
        breaks = tuple(meet[index] for meet in self._meets if meet[index] is not None)
        key = (self._widths[0 if stacked else index], breaks, self.mode)
        if index < len(self._wrappers):
            cached = self._wrappers[index]
            if cached.key == key and cached.extend(column.cells):
                return cached
        wrapper = Wrapper(key[0], [at for at in breaks if at is not None], self.mode)
        wrapper.extend(column.cells)
        return wrapper

    def _all_styles(self) -> CompareStyles:
        if self._styles is None:

            def part(name: str) -> Style:
                return self.get_component_rich_style(f"compare--{name}")

            self._styles = CompareStyles(
                self.rich_style,
                part("muted"),
                part("rule"),
                part("head"),
                part("live"),
                part("meets"),
                heat=tuple(part(f"heat-{level}") for level in range(LEVELS)),
            )
        return self._styles
