"""The list of branches: only the rows on screen are ever asked for and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tokexplore.widgets.branch_rows import (
    BranchRow,
    BranchStyles,
    columns_for,
    guides,
    head_strip,
    row_strip,
    words_strip,
)
from tokexplore.widgets.cell_text import line
from tokexplore.widgets.changed_lines import ChangedLines

__all__ = ["BranchList", "BranchRow"]

WHEEL_ROWS = 3
WORDS_BESIDE = 64
"""From this width on, in cells, a branch's words stand on its own line."""


class BranchList(ChangedLines):
    """Shows the branches that it was given last; the cursor belongs to whoever gives it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "branches--head",
        "branches--here",
        "branches--current",
        "branches--token",
        "branches--muted",
        "branches--words",
        "branches--live",
        "branches--tree",
        "branches--cursor",
    }

    DEFAULT_CSS = """
    BranchList {
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;
        & .branches--head { color: $muted; }
        & .branches--here { color: $here; text-style: bold; }
        & .branches--current { color: $foreground; text-style: bold; }
        & .branches--token { color: $foreground; }
        & .branches--muted { color: $muted; }
        & .branches--words { color: $muted; text-style: italic; }
        & .branches--live { color: $sampler; }
        & .branches--tree { color: $muted; }
        & .branches--cursor { background: $here-row; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "previous", id="branches.previous", show=False),
        Binding("down,j", "move(1)", "next", id="branches.next", show=False),
        Binding("pageup", "page(-1)", "page up", id="branches.page-up", show=False),
        Binding("pagedown", "page(1)", "page down", id="branches.page-down", show=False),
        Binding("home", "edge(0)", "first", id="branches.first", show=False),
        Binding("end", "edge(1)", "last", id="branches.last", show=False),
        Binding("enter", "choose", "go to", id="branches.choose", show=False),
    ]

    bits: reactive[bool] = reactive(False)
    """Logprobs in bits instead of nats."""

    @dataclass
    class Highlighted(Message):
        """A branch asks to be the cursor's."""

        branches: "BranchList"
        number: int

        @property
        def control(self) -> "BranchList":
            """The list, for handlers that select by it."""
            return self.branches

    @dataclass
    class Chosen(Highlighted):
        """A branch asks to be gone to."""

    def __init__(
        self, *, focusable: bool = False, id: str | None = None, classes: str | None = None
    ) -> None:
        """With `focusable` it takes the focus, and the keys of a list with it.

        Its cursor then moves with each key, also with one that comes before the answer to another.
        """
        super().__init__(id=id, classes=classes)
        self.can_focus = focusable
        self._rows: Sequence[BranchRow] = ()
        self._depths: Sequence[int] = ()
        self._cursor = 0
        self._top = 0
        self._guides: tuple[tuple[int, int], list[list[bool]]] | None = None
        self._styles: tuple[BranchStyles, BranchStyles] | None = None

    def show(
        self, rows: Sequence[BranchRow], cursor: int, depths: Sequence[int] | None = None
    ) -> None:
        """Show branches in the order of the tree with the cursor on `rows[cursor]`.

        Args:
            rows: any sequence; only rows on screen are read, so it may make them on demand.
            cursor: index of the cursor's row, from 0; -1 for none.
            depths: the depth of every row, for a sequence that makes its rows on demand.
        """
        moved = cursor != self._cursor
        self._rows, self._cursor = rows, cursor
        self._depths = [row.depth for row in rows] if depths is None else depths
        if moved:
            self._place()
        else:
            self._look_at(self._top)
        self.repaint_changed()

    @property
    def cursor(self) -> int:
        """The row that the next key acts on, from 0."""
        return self._cursor

    @property
    def visible_rows(self) -> int:
        """How many branches fit below the column names."""
        return max(1, (self.size.height - 1) // self._lines_each)

    @property
    def _lines_each(self) -> int:
        """Two lines a branch where all of them have room for it, else one."""
        roomy = self.size.width < WORDS_BESIDE and 2 * len(self._rows) < self.size.height
        return 2 if roomy else 1

    def draw_line(self, y: int) -> Strip:
        plain, lit = self._row_styles()
        cells = self.size.width
        columns = columns_for(cells, words_beside=cells >= WORDS_BESIDE)
        if y == 0:
            return head_strip(columns, plain, bits=self.bits)
        offset, second = divmod(y - 1, self._lines_each)
        index = self._top + offset
        if index >= len(self._rows):
            return line([], cells, plain.base)
        cursor = index == self._cursor
        styles = lit if cursor else plain
        going = self._going(index)
        row = self._rows[index]
        if not second:
            return row_strip(row, going, columns, styles, cursor=cursor, bits=self.bits)
        deeper = index + 1 < len(self._rows) and self._depths[index + 1] > len(going)
        return words_strip(row, going, deeper, columns, styles)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None

    def on_resize(self) -> None:
        self._place()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        index = self._top + (event.y - 1) // self._lines_each
        if event.y and index < len(self._rows):
            if self.can_focus:
                self._cursor = index
            message = self.Chosen if event.chain == 2 else self.Highlighted
            self.post_message(message(self, self._rows[index].number))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._look_at(self._top + WHEEL_ROWS)
        self.repaint_changed()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._look_at(self._top - WHEEL_ROWS)
        self.repaint_changed()

    def action_move(self, rows: int) -> None:
        """Ask for the cursor to be some rows further down."""
        if self._rows:
            index = min(max(0, self._cursor + rows), len(self._rows) - 1)
            self._cursor = index
            self.post_message(self.Highlighted(self, self._rows[index].number))

    def action_page(self, pages: int) -> None:
        """Ask for the cursor to be some screens further down."""
        self.action_move(pages * self.visible_rows)

    def action_edge(self, last: int) -> None:
        """Ask for the cursor to be on the first row, or on the last one."""
        self.action_move(len(self._rows) if last else -len(self._rows))

    def action_choose(self) -> None:
        """Ask to go to the cursor's branch."""
        if 0 <= self._cursor < len(self._rows):
            self.post_message(self.Chosen(self, self._rows[self._cursor].number))

    def _look_at(self, top: int) -> None:
        self._top = max(0, min(top, len(self._rows) - self.visible_rows))
        self._guides = None

    def _place(self) -> None:
        """Bring the cursor's row into view, moving as little as possible."""
        fits, cursor = self.visible_rows, max(0, self._cursor)
        top = min(max(self._top, cursor - fits + 1), cursor)
        self._top = max(0, min(top, len(self._rows) - fits))
        self._guides = None

    def _going(self, index: int) -> list[bool]:
        window = (self._top, min(len(self._rows), self._top + self.visible_rows + 1))
        if self._guides is None or self._guides[0] != window:
            self._guides = (window, guides(self._depths, *window))
        return self._guides[1][index - window[0]]

    def _row_styles(self) -> tuple[BranchStyles, BranchStyles]:
        """The styles of a row, and those of the cursor's row."""
        if self._styles is None:

            def part(name: str) -> Style:
                return self.get_component_rich_style(f"branches--{name}")

            names = "head here current token muted words live tree"
            plain = BranchStyles(self.rich_style, *(part(name) for name in names.split()))
            self._styles = (plain, plain.on(Style(bgcolor=part("cursor").bgcolor)))
        return self._styles
