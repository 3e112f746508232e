"""Streaming, and taking tokens."""

from tokexplore.tui.actions.base import Actions


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
        token = self.token_at(number - 1)
        if token is None:
            self.nothing(f"candidate in row {number}")
            return
        self.driver.run(self.driver.take(token))

    async def action_play(self) -> None:
        """Pause or go on; start a lost engine again."""
        driver = self.driver
        if driver.state == "lost":
            driver.run(driver.restart(self.host.new_client(driver.options.load)))
        elif driver.streaming:
            if not self.pin():
                driver.run(driver.pause())
        elif driver.state == "asking":
            await self.action_prompt()
        else:
            self.explorer.follow()
            driver.play()
        self.changed()

    def action_one(self) -> None:
        """Generate one token."""
        self.explorer.follow()
        self.driver.play(1)

    def action_draw_again(self) -> None:
        """Draw this step once more."""
        self.pin()
        self.driver.run(self.driver.draw_again())

    def action_single_step(self) -> None:
        """One token at a time, or not."""
        self.driver.single_step = not self.driver.single_step
        self.changed()

    async def action_find(self) -> None:
        """Search the vocabulary at this step, and take what is found."""
        from tokexplore.tui.screens.find import HITS, FindToken

        explorer, driver = self.explorer, self.driver
        distribution = driver.distribution()
        if distribution is None or explorer.vocabulary is None:
            self.nothing("candidates here yet")
            return
        self.pin()
        node = explorer.before

        def taken(token: int | None) -> None:
            if token is not None:
                driver.run(driver.take(token))

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
        self.driver.run(self._undo())

    async def _undo(self) -> None:
        await self.driver.pause()
        if not self.explorer.undo():
            self.nothing("to undo")

    def action_redo(self) -> None:
        """Make it again."""
        self.driver.run(self._redo())

    async def _redo(self) -> None:
        await self.driver.pause()
        if not self.explorer.redo():
            self.nothing("to redo")

    def token_at(self, row: int) -> int | None:
        """The token of a candidate row."""
        raise NotImplementedError

    async def action_prompt(self) -> None:
        """Ask for a prompt."""
        raise NotImplementedError
