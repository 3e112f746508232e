"""`b`: the tree as a list of branches, on the whole screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tokexplore.tui.branch_view import BranchRows
from tokexplore.tui.driver import Driver
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.widgets.branches import BranchList


class BranchesDialog(Dialog[int | None]):
    """Pick a branch by the arrows; `m` marks it for comparison, `x` hides it."""

    DEFAULT_CSS = """
    BranchesDialog {
        & > .dialog--box { width: 96%; max-width: 140; height: 90%; }
        & BranchList { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,backspace", "cancel", "close", id="branches.close", priority=True),
        Binding("m", "mark", "mark", id="branches.mark"),
        Binding("X", "show_hidden", "show hidden", id="branches.hidden"),
    ]
    title_text = "Branches"
    hint_text = "↑↓ branch · ⏎ go to · m mark for comparison · X hidden ones · q closes"

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self._driver = driver
        self._rows = BranchRows(driver.explorer)
        self._cursor = 0

    def body(self) -> ComposeResult:
        yield BranchList(focusable=True)

    def on_mount(self) -> None:
        """Stand on the branch in view."""
        self._rows.update(self._driver.stream_leaf)
        self._cursor = self._rows.current
        self.query_one(BranchList).focus()
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        self._rows.update(self._driver.stream_leaf)
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        self.query_one(BranchList).show(self._rows, self._cursor, self._rows.depths)

    def on_branch_list_highlighted(self, event: BranchList.Highlighted) -> None:
        """The list's own keys move the cursor."""
        self._cursor = self._rows.index_of(event.number)
        self._show()

    def on_branch_list_chosen(self, event: BranchList.Chosen) -> None:
        """Enter goes to a branch."""
        self.dismiss(event.number)

    def action_mark(self) -> None:
        """Mark the branch under the cursor, or take the mark off."""
        if len(self._rows):
            self._driver.explorer.mark(self._rows.number(self._cursor))
            self._show()

    def action_show_hidden(self) -> None:
        """List hidden branches, or not."""
        explorer = self._driver.explorer
        explorer.show_hidden = not explorer.show_hidden
        self._show()
