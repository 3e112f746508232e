"""Walking along the path and among the candidates."""

import re

from tokexplore.models.errors import UsageError
from tokexplore.models.tree.conversation import conversation
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.branches import BranchActions
from tokexplore.tui.browse.step_panel import StepPanel
from tokexplore.tui.browse.story_panel import StoryPanel

PLACE = re.compile(
    r"\s*(?:(?:#|branch\s+)(?P<branch>[0-9]{1,9})|(?P<back>-[0-9]{1,9})|(?P<step>[0-9]{1,9}))\s*"
)


class NavigationActions(Actions):
    """Steps, candidate rows and jumps."""

    def __init__(
        self, screen: BrowseBase, story: StoryPanel, step: StepPanel, branches: BranchActions
    ) -> None:
        super().__init__(screen)
        self._story, self._step, self._branches = story, step, branches
        self.pages_story = False
        """Whether pgup and pgdn move the story's view instead of the candidate cursor."""

    def action_pane(self) -> None:
        """Let pgup and pgdn move the other part of the screen."""
        self.pages_story = not self.pages_story
        part = "the story" if self.pages_story else "the candidates"
        self.screen.tell(f"pgup and pgdn: {part}.", 3)

    def action_step(self, by: int) -> None:
        """Walk along the path; back from the open end is the last token."""
        self.explorer.place(self.explorer.cursor + by)
        self.screen.changed()

    def action_line(self, direction: int) -> None:
        """To the line before or after."""
        if not self.explorer.jump(direction, self.explorer.ends_line):
            self.screen.nothing("more lines")
        self.screen.changed()

    def action_turn_start(self, direction: int) -> None:
        """To the first word of the turn before or after; one that is only opened is the end."""
        told = [turn for turn in conversation(self.explorer.path) if turn.role]
        if told and not told[-1].words:
            told.pop()
        starts = [turn.first_word for turn in told]
        if not self.explorer.jump(direction, starts.__contains__):
            self.screen.nothing("more turns")
        self.screen.changed()

    def action_first(self) -> None:
        """To the first generated token."""
        self.explorer.place(self.explorer.first_step, jump=True)
        self.screen.changed()

    def action_follow(self) -> None:
        """Stay with the newest token."""
        self.explorer.follow()
        self.screen.changed()

    async def action_goto(self) -> None:
        """Ask for a place and go there."""
        from tokexplore.tui.screens.dialog import Ask

        await self.screen.open(
            Ask("Go to step 123, -40 from the end, branch 3, a name or a note", take=self._go)
        )

    async def _go(self, text: str) -> None:
        match = PLACE.fullmatch(text)
        explorer = self.explorer
        if match is None:
            self._go_to_named(text.strip())
        elif match["branch"]:
            self._branches.switch(int(match["branch"]))
        elif match["back"]:
            explorer.place(len(explorer.nodes) + int(match["back"]), jump=True)
        else:
            self._go_to_step(int(match["step"]))
        self.screen.changed()

    def _go_to_named(self, text: str) -> None:
        """To a branch or a step with this name, else one whose name holds it, else a note."""
        tree, sought = self.explorer.tree, text.casefold()
        named = [b for b in tree.branches if sought in b.name.casefold()]
        named.sort(key=lambda b: b.name.casefold() != sought)
        steps = sorted(n for n, name in tree.labels.items() if sought in name.casefold())
        steps.sort(key=lambda n: tree.labels[n].casefold() != sought)
        exact = bool(steps) and tree.labels[steps[0]].casefold() == sought
        noted = sorted(n for n, note in tree.notes.items() if sought in note.casefold())
        if named and (named[0].name.casefold() == sought or not exact):
            self._branches.switch(named[0].number)
        elif steps:
            self.go_to_node(steps[0])
        elif noted:
            self.go_to_node(noted[0])
        else:
            raise UsageError(
                f"No place, name or note is {text!r}: type a step (123), -40 from the end or "
                "branch 3; f finds text in the tree."
            )

    def _go_to_step(self, step: int) -> None:
        explorer = self.explorer
        index = explorer.index_of_step(step)
        if index is None:
            last = explorer.step(len(explorer.nodes) - 1)
            raise UsageError(f"Step {step} is not on this path: it has {last} steps.")
        explorer.place(index, jump=True)

    def action_back(self) -> None:
        """Back to where the last jump came from."""
        self.controller.jobs.change(self._back())

    async def _back(self) -> None:
        if not await self.controller.back():
            self.screen.nothing("earlier places")

    def action_row(self, by: int) -> None:
        """Move the candidate cursor."""
        self._move_row(by)

    def action_page(self, by: int) -> None:
        """Move the candidate cursor by a page, or the story's view."""
        if self.pages_story:
            self._story.transcript.scroll_page(by)
            return
        self._move_row(by * self._step.table.visible_rows)

    def _move_row(self, by: int) -> None:
        seen = self.screen.seen.row
        row = (seen if self.screen.pin() else self.explorer.row) + by
        self.explorer.row = max(0, min(row, self._step.loaded_rows))
        if by > 0 and row >= self._step.loaded_rows:
            self._step.ask_all()
        self.screen.changed()
        if row + self._step.table.visible_rows > self._step.loaded_rows:
            self.screen.paint()  # which asks for more rows

    def action_taken_row(self) -> None:
        """To the taken row."""
        self.explorer.to_taken()
        self.screen.changed()

    def action_close_call(self, direction: int) -> None:
        """To the next or previous close call."""
        if not self.explorer.jump(direction, self.explorer.is_close_call):
            self.screen.nothing(
                f"close call (margin under {self.explorer.close_call:g} nats) this way"
            )
        self.screen.changed()

    def action_fork(self, direction: int) -> None:
        """To the next or previous tree fork."""
        if not self.explorer.jump(direction, self.explorer.is_fork):
            self.screen.nothing("tree fork this way")
        self.screen.changed()

    def go_to_node(self, node: int, *, through: int | None = None) -> None:
        """Stand on a node: on the path in view where it lies there, else on its branch.

        Args:
            through: a later node that the path has to hold too.
        """
        self.controller.jobs.change(
            self.controller.go_to(node, node if through is None else through)
        )
