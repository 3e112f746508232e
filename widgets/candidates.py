"""The candidate table: what the model could have said, in rank order, drawn line by line."""

from dataclasses import dataclass
from textwrap import wrap
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tokexplore.models.display import safe_text
from tokexplore.widgets.candidate_drawing import (
    CandidateStyles,
    head_strip,
    message_strip,
    rest_strip,
    row_strip,
)
from tokexplore.widgets.candidate_rows import (
    CandidatePage,
    CandidateRow,
    ColumnSet,
    Window,
    columns_for,
    next_column_set,
    rank_digits,
    rest_of,
    row_at,
    window_of,
)
from tokexplore.widgets.changed_lines import ChangedLines

__all__ = ["CandidatePage", "CandidateRow", "CandidateTable"]

WHEEL_ROWS = 3


class CandidateTable(ChangedLines):
    """Shows the page that it was given last; the cursor belongs to whoever gives it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "candidates--head",
        "candidates--here",
        "candidates--taken",
        "candidates--token",
        "candidates--special",
        "candidates--fork",
        "candidates--number",
        "candidates--muted",
        "candidates--bar",
        "candidates--sampler",
        "candidates--cut",
        "candidates--cut-bar",
        "candidates--less",
        "candidates--more",
        "candidates--cursor",
    }

    DEFAULT_CSS = """
    CandidateTable {
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;
        & .candidates--head { color: $muted; }
        & .candidates--here { color: $here; text-style: bold; }
        & .candidates--taken { color: $foreground; text-style: bold; }
        & .candidates--token { color: $foreground; }
        & .candidates--special { color: $special; text-style: italic; }
        & .candidates--fork { color: $muted; }
        & .candidates--number { color: $foreground; }
        & .candidates--muted { color: $muted; }
        & .candidates--bar { color: $model-bar; }
        & .candidates--sampler { color: $sampler; }
        & .candidates--cut { color: $cut-text; }
        & .candidates--cut-bar { color: $cut; }
        & .candidates--less { color: $less; }
        & .candidates--more { color: $more; }
        & .candidates--cursor { background: $here-row; }
    }
    """

    bits: reactive[bool] = reactive(False)
    """Logprobs in bits instead of nats."""
    column_set: reactive[ColumnSet] = reactive("standard")
    empty_text: reactive[str] = reactive("waiting for the first token…")
    """What is said while there is no page."""

    @dataclass
    class Highlighted(Message):
        """A row was clicked, or the wheel turned: the row asks to be the cursor's."""

        table: "CandidateTable"
        index: int

        @property
        def control(self) -> "CandidateTable":
            """The table, for handlers that select by it."""
            return self.table

    @dataclass
    class Picked(Highlighted):
        """A row was double-clicked: it asks to be taken."""

    @dataclass
    class PageWanted(Message):
        """Rows came into view that the page does not have, from index `first` on."""

        table: "CandidateTable"
        first: int

        @property
        def control(self) -> "CandidateTable":
            """The table, for handlers that select by it."""
            return self.table

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._page: CandidatePage | None = None
        self._cursor = 0
        self._top = 0
        self._window = Window(0, 0, None)
        self._wanted: int | None = None
        """Where the rows that were asked for begin, until they come."""
        self._styles: tuple[CandidateStyles, CandidateStyles] | None = None

    def show(self, page: CandidatePage | None, cursor: int = 0) -> None:
        """Show a page with the cursor on the row of index `cursor` (from 0, in candidate order).

        None stands for no distribution yet.
        """
        if page is not None and (self._page is None or page.step != self._page.step):
            self._top = 0
        self._page, self._cursor = page, cursor
        self._place()
        self.repaint_changed()

    @property
    def visible_rows(self) -> int:
        """How many candidates fit between the column names and the line of the rest."""
        return max(1, self.size.height - 2)

    @property
    def top(self) -> int:
        """Index of the first row in view."""
        return self._top

    def cycle_columns(self) -> ColumnSet:
        """Change to the next set of columns that looks different here; returns it."""
        digits = rank_digits(self._page) if self._page else 4
        second = self._page is not None and self._page.second
        self.column_set = next_column_set(self.column_set, self.size.width, digits, second=second)
        return self.column_set

    def draw_line(self, y: int) -> Strip:
        plain, lit = self._row_styles()
        cells, page = self.size.width, self._page
        if page is None or not page.total:
            text = self.empty_text if page is None else page.note
            lines = wrap(safe_text(text), max(1, cells - 2))
            return message_strip(cells, lines[y - 1] if 0 < y <= len(lines) else "", plain.muted)
        columns = columns_for(cells, self.column_set, rank_digits(page), second=page.second)
        if y == 0:
            return head_strip(columns, page.note, plain, bits=self.bits)
        window, line = self._window, y - 1
        if line < window.rows:
            index = window.top + line
            here = index == self._cursor
            row = row_at(page, index)
            if row is None:
                return message_strip(cells, "…", (lit if here else plain).muted)
        elif line == window.rows:
            number, mass = rest_of(page, window)
            skipped = window.pinned is not None
            return rest_strip(
                columns, number, mass, page.note, plain, words=page.rest_words, skipped=skipped
            )
        elif line == window.rows + 1 and window.pinned:
            row, here = window.pinned, row_at(page, self._cursor) == window.pinned
        else:
            return self._blank(cells)
        styles = lit if here else plain
        return row_strip(row, columns, page.top_logprob, styles, cursor=here, bits=self.bits)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None

    def on_resize(self) -> None:
        self._place()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        index = self._index_at(event.y)
        if index is None:
            return
        message = self.Picked if event.chain == 2 else self.Highlighted
        self.post_message(message(self, index))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._wheel(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._wheel(-WHEEL_ROWS)

    def _index_at(self, y: int) -> int | None:
        """Index of the row on line `y`; None where there is none, or its index is not known."""
        page, window = self._page, self._window
        if page is None or not y:
            return None
        if y <= window.rows:
            return window.top + y - 1
        if window.pinned is None or y != window.rows + 2 or window.pinned not in page.rows:
            return None
        return page.first + page.rows.index(window.pinned)

    def _wheel(self, rows: int) -> None:
        if self._page is not None and self._page.total:
            index = max(0, min(self._cursor + rows, self._page.total - 1))
            self.post_message(self.Highlighted(self, index))

    def _place(self) -> None:
        """Bring the cursor's row into view, and ask for rows that are missing there once."""
        page = self._page
        if page is None or not self.size.height:
            return
        cursor = max(0, min(self._cursor, page.total - 1))
        self._window = window_of(page, cursor, self._top, self.visible_rows)
        self._top = self._window.top
        end = self._top + self._window.rows
        missing = self._top < page.first or end > page.first + len(page.rows)
        if missing and self._wanted != self._top:
            self.post_message(self.PageWanted(self, self._top))
        self._wanted = self._top if missing else None

    def _blank(self, cells: int) -> Strip:
        return message_strip(cells, "", self._row_styles()[0].base)

    def _row_styles(self) -> tuple[CandidateStyles, CandidateStyles]:
        """The styles of a row, and those of the cursor's row."""
        if self._styles is None:

            def part(name: str) -> Style:
                return self.get_component_rich_style(f"candidates--{name}")

            names = "here taken token special fork number muted bar sampler cut cut-bar less more"
            plain = CandidateStyles(
                self.rich_style, part("head"), *(part(name) for name in names.split())
            )
            background = Style(bgcolor=part("cursor").bgcolor)
            self._styles = (plain, plain.on(background))
        return self._styles
