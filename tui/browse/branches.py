"""Branches: switching, naming, hiding, comparing."""

from collections.abc import Callable

from tokexplore.models.errors import UsageError
from tokexplore.models.tree.events import Named
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.step_panel import StepPanel


class BranchActions(Actions):
    """What changes which branches are in view."""

    def __init__(self, screen: BrowseBase, step: StepPanel) -> None:
        super().__init__(screen)
        self._step = step

    def switch(self, number: int) -> None:
        """Bring a branch into view; its live stream, if another has it, stops at its leaf.

        Raises:
            UsageError: there is none of that number, or it is not in the list.
        """
        if not 1 <= number <= (count := len(self.explorer.tree.branches)):
            raise UsageError(f"There is no branch {number}: give a number from 1 to {count}.")
        if self.explorer.row_of(number) is None:
            raise UsageError(
                f"Branch {number} is not in the list: it was taken back (U makes the last one "
                "again), or is hidden or on one that is (X lists those)."
            )
        self.controller.jobs.change(self._switch(lambda: number))

    async def _switch(self, wanted: Callable[[], int | None], missing: str = "") -> None:
        """Bring a branch into view that is looked for once it is this change's turn."""
        if await self.controller.switch(wanted) is None:
            self.screen.nothing(missing)

    def action_neighbour(self, direction: int) -> None:
        """To the next or previous branch in the list."""
        neighbour = self.explorer.neighbour
        self.controller.jobs.change(self._switch(lambda: neighbour(direction), "more branches"))

    def action_other(self) -> None:
        """To the branch that was left last."""
        self.controller.jobs.change(self._switch(self._left_last, "other branch was visited"))

    def _left_last(self) -> int | None:
        tree, left = self.explorer.tree, self.explorer.left
        leaf = next((leaf for leaf in reversed(left) if not is_out_of_sight(tree, leaf)), None)
        return None if leaf is None else tree.branch_of[leaf]

    async def action_branches(self) -> None:
        """The list of branches on a screen of its own."""
        from tokexplore.tui.screens.branches import BranchesDialog

        def chosen(number: int | None) -> None:
            if number is not None:
                self.switch(number)

        dialog = BranchesDialog(self.controller, bits=self._step.table.bits)
        await self.screen.open(dialog, chosen)

    async def action_name(self) -> None:
        """Name this branch."""
        from tokexplore.tui.screens.dialog import Ask

        branch = self.explorer.branch
        if branch is None:
            return

        def named(name: str | None) -> None:
            if name is not None:
                self.explorer.tree.history.change(Named(branch.number, name.strip()))
                self.screen.changed()

        await self.screen.open(Ask(f"Name of branch {branch.number}", branch.name), named)

    def action_hide(self) -> None:
        """Hide this branch."""
        self.controller.jobs.change(self._hide())

    async def _hide(self) -> None:
        number = await self.controller.hide()
        if number is None:
            self.screen.warn(
                "No branch would be left in view: hide those that leave this one first."
            )
        else:
            self.screen.tell(f"Branch {number} is hidden; u brings it back.")

    def action_show_hidden(self) -> None:
        """List hidden branches, or not."""
        self.explorer.show_hidden = not self.explorer.show_hidden
        self.screen.changed()

    def action_mark(self) -> None:
        """Mark this branch for comparison, or take the mark off."""
        branch, marked = self.explorer.branch, self.explorer.marked
        if branch is None:
            return
        self.explorer.mark(branch.number)
        self.screen.app.notify(
            f"Marked for comparison: {', '.join(map(str, marked)) or 'none'}.", markup=False
        )
        self.screen.changed()

    async def action_compare(self) -> None:
        """Align the marked branches, or this one with the one that was left last."""
        from tokexplore.tui.screens.compare import CompareScreen

        if len(self.explorer.listed()) < 2:
            self.screen.nothing("second branch yet: take another candidate first")
            return
        await self.screen.app.push_screen(CompareScreen(self.controller))
