"""A dialog that looks for something beside the event loop and lists it; what is typed searches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.worker import get_current_worker

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.screens.dialog import Dialog, Result
from tokexplore.tui.screens.row_list import RowList
from tokexplore.tui.screens.search_sheet import SearchLine, words_sought

Row = TypeVar("Row")
_WIDEST, _BESIDE = 140, 8
"""Cells of the dialog at most, and those of it that no line has."""
OTHER_ROWS = 12
"""Of the dialog, beside those of the list."""


class Picker(Dialog[Result], Generic[Result, Row]):
    """Rows to pick one of; a subclass finds them, draws them and says what a picked one gives."""

    DEFAULT_CSS = """
    Picker {
        & > .dialog--box { width: 96%; max-width: 140; }
        & OptionList, & OptionList:focus { margin-top: 1; }
        & #detail { margin-top: 1; color: $text-muted; height: 3; text-wrap: wrap; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "row('up')", "up", priority=True, id="picker.up", show=False),
        Binding("down", "row('down')", "down", priority=True, id="picker.down", show=False),
        Binding("pageup", "row('page_up')", "a page up", priority=True, id="picker.page_up"),
        Binding(
            "pagedown", "row('page_down')", "a page down", priority=True, id="picker.page_down"
        ),
    ]

    @dataclass
    class Found(Message):
        """Rows were found."""

        rows: Sequence[Any]

    @dataclass
    class Looked(Message):
        """All rows were found, or a problem."""

        problem: str

    placeholder = ""
    nothing_found = ""
    """What is said where there are no rows."""
    not_matching = "Nothing here has all of these words."

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        """All that were found."""
        self.looking = True
        """Whether there may be rows that are not found yet."""
        self._answered = ""
        """The text that the list is for."""
        self._searching = False
        """Whether the list lacks what was typed or found last."""

    @property
    def rows_are_coming(self) -> bool:
        """Whether the list is that of another text, or empty while rows are looked for."""
        line, listed = self.part(Input), self._list
        if line is None or listed is None:
            return False
        is_old = self._searching or line.value != self._answered
        return is_old or (self.looking and not listed.option_count)

    def body(self) -> ComposeResult:
        yield SearchLine(placeholder=self.placeholder, id="search")
        yield Static(Content.styled("looking…", "$text-muted"), id="looking")
        rows = RowList[Row](self.heading, self.line, self.can_pick)
        rows.styles.max_height = max(3, self.app.size.height * 9 // 10 - OTHER_ROWS)
        yield rows
        yield Static("", id="detail")

    def on_mount(self) -> None:
        """Look beside the event loop."""
        self.query_one(Input).focus()
        self._look()

    @work(thread=True)
    def _look(self) -> None:
        # Messages, which nobody waits for: the app may end meanwhile.
        problem, worker = "", get_current_worker()
        try:
            for rows in self.find():
                if worker.is_cancelled:
                    return
                if rows:
                    self.post_message(self.Found(rows))
        except TokexploreError as error:
            problem = str(error)
        self.post_message(self.Looked(problem))

    def on_picker_found(self, found: "Picker.Found") -> None:
        """Add the rows to the list, or to what is searched."""
        rows: Sequence[Row] = found.rows
        self._rows += rows
        line = self.part(Input)
        if line is None:
            return
        if line.value or self._answered:
            self._search(line.value)
        else:
            self._add(rows)

    def on_picker_looked(self, looked: "Picker.Looked") -> None:
        """Say what is to be said of it."""
        self.looking = False
        if line := self.part(Static, "#looking"):
            line.display = bool(looked.problem) or not self._rows
            line.update(Content(safe_text(looked.problem or self.nothing_found)))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what is searched for."""
        self._search(event.value)

    def _search(self, text: str) -> None:
        self._searching = True
        self._list_matching(text)

    @work(exclusive=True, group="search")
    async def _list_matching(self, text: str) -> None:
        rows = await self.matching(text)
        if (listed := self._list) is None:
            return
        self._answered, self._searching = text, False
        listed.clear()
        self._add(rows)
        if not rows:
            self._show_detail(None)

    async def matching(self, text: str) -> Sequence[Row]:
        """The rows that a typed text is for."""
        words = words_sought(text.casefold())
        return [row for row in self._rows if self.holds(row, words)]

    def _add(self, rows: Iterable[Row]) -> None:
        if (listed := self._list) is not None:
            listed.add(rows)
            if not self._answered:  # a search shows fewer rows in the same box
                listed.keep_height()

    @property
    def _list(self) -> RowList[Row] | None:
        return self.part(RowList)

    @property
    def room(self) -> int:
        """Cells of a line."""
        return min(_WIDEST, self.app.size.width * 96 // 100) - _BESIDE

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        listed = self._list
        return None if listed is None else listed.at(listed.highlighted)

    def action_row(self, where: str) -> None:
        """Move among the rows."""
        self.query_one(RowList).move(where)

    def on_option_list_option_highlighted(self) -> None:
        """Another row is under the cursor."""
        self._show_detail(self.row)

    def _show_detail(self, row: Row | None) -> None:
        if line := self.part(Static, "#detail"):
            said = self.not_matching if self._answered else ""
            line.update(Content(said) if row is None else self.detail(row))

    def on_input_submitted(self) -> None:
        """The row under the cursor is picked."""
        if self.row is not None:
            self.picked(self.row)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A row is picked by the mouse."""
        listed = self._list
        row = None if listed is None else listed.at(event.option_index)
        if row is not None:
            self.picked(row)

    def find(self) -> Iterable[Sequence[Row]]:
        """The rows, some at a time; on a thread of its own."""
        return ()

    def heading(self, row: Row) -> str:
        """What a row stands under; empty for nothing."""
        del row
        return ""

    def line(self, row: Row) -> Content:
        """A row as it is listed."""
        return Content(str(row))

    def detail(self, row: Row) -> Content:
        """More of a row than its line has room for: a line, and a sentence that may take two."""
        return self.line(row)

    def holds(self, row: Row, words: Sequence[str]) -> bool:
        """Whether a row has all of the words, in small letters."""
        return all(word in str(row).casefold() for word in words)

    def can_pick(self, row: Row) -> bool:
        """Whether the cursor can stand on a row."""
        return row is not None

    def picked(self, row: Row) -> None:
        """A row was picked."""
