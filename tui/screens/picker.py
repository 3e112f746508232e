"""A dialog that looks for something beside the event loop and lists what it finds."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.screens.dialog import Dialog, Result
from tokexplore.tui.screens.paged_list import PagedList

Row = TypeVar("Row")


class Picker(Dialog[Result], Generic[Result, Row]):
    """Rows to pick one of; a subclass finds them, draws them and says what a picked one gives."""

    nothing_found = ""
    """What is said where there are no rows."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Row] = ()
        self._looking = True

    @property
    def rows_are_coming(self) -> bool:
        """Whether the list is still empty."""
        return self._looking

    def body(self) -> ComposeResult:
        yield Static(Content.styled("looking…", "$text-muted"), id="looking")
        yield PagedList(markup=False)

    def on_mount(self) -> None:
        """Look beside the event loop."""
        self.query_one(OptionList).focus()
        self._look()

    @work(thread=True)
    def _look(self) -> None:
        try:
            rows, problem = self.find(), ""
        except TokexploreError as error:
            rows, problem = (), str(error)
        self.app.call_from_thread(self._show, rows, problem or ("" if rows else self.nothing_found))

    def _show(self, rows: Sequence[Row], notice: str) -> None:
        self._looking = False
        line, options = self.part(Static, "#looking"), self.part(OptionList)
        if line is None or options is None:
            return
        self._rows = rows
        line.update(Content(safe_text(notice)))
        options.add_options(Option(self.line(row), disabled=not self.can_pick(row)) for row in rows)
        options.action_first()
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A row is picked."""
        self.picked(self._rows[event.option_index])

    def find(self) -> Sequence[Row]:
        """The rows; on a thread of its own."""
        return ()

    def line(self, row: Row) -> Content:
        """A row as it is listed."""
        return Content(str(row))

    def can_pick(self, row: Row) -> bool:
        """Whether a row can be picked."""
        return row is not None

    def picked(self, row: Row) -> None:
        """A row was picked."""
