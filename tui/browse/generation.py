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
        self.driver.change(self.driver.take(*shown))

    async def action_play(self) -> None:
        """Pause or go on; start a lost engine again."""
        driver = self.driver
        if driver.replay is not None:
            driver.replay.toggle()
        elif driver.state == "lost":
            driver.state = "loading"
            driver.run(self.restart())
        elif driver.streaming:
            if not self.pin():
                driver.change(driver.pause())
        elif driver.state == "asking":
            await self.action_prompt()
        else:
            driver.change(self._go_on())
        self.changed()

    async def _go_on(self) -> None:
        """Go on, or pause what a key before this one started."""
        async with self.driver.turn:
            if self.driver.streaming:
                await self.driver.pause()
                return
            self.explorer.follow()
            self.driver.play()

    def action_one(self) -> None:
        """Generate one token; of a replay, live the next one again."""
        if self.driver.replay is not None:
            self.driver.replay.step()
        else:
            self.driver.change(self._one())

    async def _one(self) -> None:
        async with self.driver.turn:
            if self.driver.streaming:
                await self.driver.pause()
                return
            self.explorer.follow()
            self.driver.play(1)
            await self.driver.finished()

    def action_draw_again(self) -> None:
        """Draw this step once more."""
        self.pin()
        self.driver.change(self.driver.draw_again())

    def action_single_step(self) -> None:
        """One token at a time, or not."""
        self.driver.single_step = not self.driver.single_step
        self.changed()

    async def action_find(self) -> None:
        """Search the vocabulary at this step, and take what is found."""
        from tokexplore.tui.screens.find import HITS, FindToken

        explorer, driver = self.explorer, self.driver
        self.pin()
        distribution = driver.distribution()
        if distribution is None or explorer.vocabulary is None:
            self.nothing("candidates here yet")
            return
        node = explorer.before

        def taken(token: int | None) -> None:
            if token is not None:
                driver.change(driver.take(token, node))

        await self.open(
            FindToken(
                explorer.vocabulary,
                distribution.logprob(0),
                lambda text: driver.search(node, text, HITS),
            ),
            taken,
        )

    def action_adopt(self) -> None:
        """Take the model's own sampling settings."""
        if self.driver.suggested is None:
            self.nothing("sampling settings that this model suggests")
            return
        self.driver.adopt_suggested()
        self.app.notify(f"Sampling: {self.explorer.settings.short()}.", markup=False)

    def action_undo(self) -> None:
        """Take the last change back."""
        self.driver.change(self._undo())

    async def _undo(self) -> None:
        async with self.driver.turn:
            await self.driver.pause()
            self._tell_change(TOOK_BACK, self.explorer.undo(), f"{NOTHING} take back")

    def action_redo(self) -> None:
        """Make it again."""
        self.driver.change(self._redo())

    async def _redo(self) -> None:
        async with self.driver.turn:
            await self.driver.pause()
            self._tell_change(MADE_AGAIN, self.explorer.redo(), f"{NOTHING} make again")

    def _tell_change(self, done: str, change: Change | None, nothing: str) -> None:
        said = nothing if change is None else f"{done}: {words_of(self.explorer, change)}"
        self.host.say(f"{said}.")

    def candidate(self, row: int) -> tuple[int, int] | None:
        """The token of a candidate row, and the node that it comes after."""
        raise NotImplementedError

    async def restart(self) -> None:
        """Start a lost engine again."""
        raise NotImplementedError

    async def action_prompt(self) -> None:
        """Ask for a prompt."""
        raise NotImplementedError
