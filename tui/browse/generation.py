"""Streaming, and taking tokens."""

from tokexplore.models.tree.events import Change
from tokexplore.tui.browse.base import Actions
from tokexplore.tui.explore.undo_text import MADE_AGAIN, NOTHING, TOOK_BACK, words_of


class Taking(Actions):
    """What makes the tree grow by a token."""

    def action_take(self) -> None:
        """Take the candidate under the cursor; on a live stream, pin first."""
        self.action_take_nth(self.explorer.row + 1)

    def action_take_nth(self, number: int) -> None:
        """Take a candidate by its row; on a live stream, pin first."""
        if self.pin():
            self.app.notify("Paused at the step you saw: press again to take.", markup=False)
            return
        shown = self.candidate(number - 1)
        if shown is None:
            self.nothing(f"candidate in row {number}")
            return
        self.controller.jobs.change(self.controller.take(*shown))

    async def action_play(self) -> None:
        """Pause or go on; start a lost engine again."""
        controller = self.controller
        if controller.replay is not None:
            controller.replay.toggle()
        elif controller.state == "lost":
            self.restart()
        elif controller.streaming:
            if not self.pin():
                controller.jobs.change(controller.streams.pause())
        elif controller.state == "asking":
            await self.action_prompt()
        else:
            controller.jobs.change(controller.go_on())
        self.changed()

    def action_one(self) -> None:
        """Generate one token; of a replay, live the next one again."""
        if self.controller.replay is not None:
            self.controller.replay.step()
        else:
            self.controller.jobs.change(self.controller.go_on(1))

    def action_draw_again(self) -> None:
        """Draw this step once more."""
        self.pin()
        self.controller.jobs.change(self.controller.draw_again())

    def action_single_step(self) -> None:
        """One token at a time, or not."""
        self.controller.streams.single_step = not self.controller.streams.single_step
        self.changed()

    async def action_find(self) -> None:
        """Search the vocabulary at this step, and take what is found."""
        from tokexplore.tui.screens.find import HITS, FindToken

        explorer, controller = self.explorer, self.controller
        self.pin()
        distribution = controller.queries.distribution()
        if distribution is None:
            self.nothing("candidates here yet")
            return
        node = explorer.before

        def taken(token: int | None) -> None:
            if token is not None:
                controller.jobs.change(controller.take(token, node))

        await self.open(
            FindToken(
                explorer.vocabulary,
                distribution.logprob(0),
                lambda text: controller.queries.search(node, text, HITS),
            ),
            taken,
        )

    def action_adopt(self) -> None:
        """Take the model's own sampling settings."""
        if self.controller.link.suggested is None:
            self.nothing("sampling settings that this model suggests")
            return
        self.controller.adopt_suggested()
        self.app.notify(f"Sampling: {self.explorer.settings.short()}.", markup=False)

    def action_undo(self) -> None:
        """Take the last change back."""
        self.controller.jobs.change(self._undo())

    async def _undo(self) -> None:
        self._tell_change(TOOK_BACK, await self.controller.undo(), f"{NOTHING} take back")

    def action_redo(self) -> None:
        """Make it again."""
        self.controller.jobs.change(self._redo())

    async def _redo(self) -> None:
        self._tell_change(MADE_AGAIN, await self.controller.redo(), f"{NOTHING} make again")

    def _tell_change(self, done: str, change: Change | None, nothing: str) -> None:
        said = nothing if change is None else f"{done}: {words_of(self.explorer, change)}"
        self.host.say(f"{said}.")

    def candidate(self, row: int) -> tuple[int, int] | None:
        """The token of a candidate row, and the node that it comes after."""
        raise NotImplementedError

    def restart(self) -> None:
        """Start a lost engine again."""
        raise NotImplementedError

    async def action_prompt(self) -> None:
        """Ask for a prompt."""
        raise NotImplementedError
