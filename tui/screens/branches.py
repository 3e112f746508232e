"""`b`: the tree as a list of branches, on the whole screen."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.presenters.branches import BranchRows
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.parts import has_parts
from tokexplore.widgets.branches import BranchList

FRAMES_PER_SECOND = 15


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
        Binding("x", "hide", "hide or show again", id="branches.hide"),
        Binding("space", "play", "hold, go on", id="branches.play", priority=True),
        Binding("X", "show_hidden", "show hidden", id="branches.hidden"),
    ]
    title_text = "Branches"
    hint_text = (
        "↑↓ branch · ⏎ go to · {branches.mark:m} mark two, then close: {branch.compare:d} compares "
        "them · {branches.hide:x} hide · "
        "{branches.hidden:X} hidden ones · {branches.play:space} hold it or let it go on · "
        "{branches.close:q} closes"
    )

    def __init__(self, controller: Controller, *, bits: bool) -> None:
        super().__init__()
        self._controller, self._bits = controller, bits
        self._rows = BranchRows(controller.explorer)
        self._followed: tuple[int, int, tuple[int, ...]] | None = None

    def body(self) -> ComposeResult:
        yield BranchList(focusable=True)

    def on_mount(self) -> None:
        """Stand on the branch in view."""
        self._rows.update(self._controller.live_leaves)
        self.query_one(BranchList).bits = self._bits
        self.query_one(BranchList).focus()
        self.query_one(BranchList).show(self._rows, self._rows.current, self._rows.depths)
        self.call_after_refresh(self._show)
        self.set_interval(1 / FRAMES_PER_SECOND, self._follow)

    def _follow(self) -> None:
        """Show what a stream, or a model that was just loaded, has brought."""
        tree = self._controller.explorer.tree
        if (now := (len(tree), tree.shape, self._controller.live_leaves)) != self._followed:
            self._followed = now
            self._show()

    def _show(self) -> None:
        if not has_parts(self):
            return
        self._rows.update(self._controller.live_leaves)
        branches = self.query_one(BranchList)
        cursor = max(0, min(branches.cursor, len(self._rows) - 1))
        branches.show(self._rows, cursor, self._rows.depths)

    def on_branch_list_highlighted(self) -> None:
        """The list's own keys moved the cursor."""
        self._show()

    def on_branch_list_chosen(self, event: BranchList.Chosen) -> None:
        """Enter goes to a branch."""
        self.dismiss(event.number)

    @property
    def _chosen(self) -> int | None:
        """Number of the branch under the cursor."""
        cursor = self.query_one(BranchList).cursor
        return self._rows.number(cursor) if 0 <= cursor < len(self._rows) else None

    def action_mark(self) -> None:
        """Mark the branch under the cursor, or take the mark off."""
        if (number := self._chosen) is not None:
            self._controller.explorer.mark(number)
            self._show()

    def action_play(self) -> None:
        """Hold the branch under the cursor, or let it go on beside the path in view."""
        controller, number = self._controller, self._chosen
        if number is None:
            return
        if controller.link.absent:
            self.app.notify(controller.link.absence, timeout=3, markup=False)
            return
        controller.jobs.change(controller.toggle(controller.explorer.tree.branch(number).tip))

    def action_hide(self) -> None:
        """Hide the branch under the cursor, or show it again."""
        if (number := self._chosen) is not None:
            self._controller.jobs.change(self._hide(number))

    async def _hide(self, number: int) -> None:
        controller = self._controller
        if controller.explorer.tree.branch(number).hidden:
            await controller.unhide(number)
        elif await controller.hide(number) is None:
            self.app.notify("No branch would be left in view.", markup=False)
        self._show()

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether the list is about to change."""
        return super().keeps_waiting(event) or self._controller.changing

    def action_show_hidden(self) -> None:
        """List hidden branches, or not."""
        explorer = self._controller.explorer
        explorer.show_hidden = not explorer.show_hidden
        self._show()
