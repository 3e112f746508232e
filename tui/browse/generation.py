"""Streaming, and taking tokens."""

from tokexplore.models.grow.budget import TOKENS, Budget
from tokexplore.models.grow.growth import By
from tokexplore.models.tree.undo import Step
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.prompts import PromptActions
from tokexplore.tui.browse.step_panel import StepPanel
from tokexplore.tui.explore.futures import MOST, USUAL, Choice, Futures, asked_choice
from tokexplore.tui.explore.growing import asked_growth
from tokexplore.tui.explore.undo_text import MADE_AGAIN, NOTHING, TOOK_BACK, words_of
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.presenters.characters import bytes_near

PAUSED = "Paused at the step you saw"
"""How a notice begins that says so."""


class GenerationActions(Actions):
    """What makes the tree grow by a token."""

    def __init__(self, screen: BrowseBase, step: StepPanel, prompts: PromptActions) -> None:
        super().__init__(screen)
        self._step, self._prompts = step, prompts

    def action_take(self) -> None:
        """Take the candidate under the cursor; on a live stream, pin first."""
        self.action_take_nth(self.explorer.row + 1)

    def action_take_nth(self, number: int) -> None:
        """Take a candidate by its row; on a live stream, pin first."""
        if self.screen.pin():
            self.screen.tell(f"{PAUSED}: press again to take.")
            return
        shown = self._step.candidate(number - 1)
        if shown is None:
            self.screen.nothing(f"candidate in row {number}")
            return
        self.controller.jobs.change(self.controller.take(*shown))

    async def action_play(self) -> None:
        """Pause or go on; start a lost engine again."""
        controller = self.controller
        if controller.replay is not None:
            controller.replay.toggle()
        elif controller.state == "lost":
            self._prompts.restart()
        elif controller.streaming:
            if not self.screen.pin():
                controller.jobs.change(controller.pause())
        elif controller.state == "asking":
            await self._prompts.action_prompt()
        else:
            controller.jobs.change(controller.go_on())
        self.screen.changed()

    def action_one(self) -> None:
        """Generate one token; of a replay, live the next one again."""
        if self.controller.replay is not None:
            self.controller.replay.step()
        else:
            self.controller.jobs.change(self.controller.go_on(1))

    def action_choose_row(self) -> None:
        """Choose the row under the cursor for the futures, or no longer; on a live stream, pin
        first."""
        if self.screen.pin():
            self.screen.tell(f"{PAUSED}: press again to choose.")
            return
        shown = self._step.candidate(self.explorer.row)
        if shown is None:
            self.screen.nothing("candidate in this row")
            return
        token, node = shown
        tokens = self._step.chosen.setdefault(node, [])
        if token in tokens:
            tokens.remove(token)
        elif len(tokens) == MOST:
            self.screen.tell(f"{MOST} rows are chosen: more futures are not possible at once.")
            return
        else:
            tokens.append(token)
        names = ", ".join(self.explorer.vocabulary.show(each) for each in tokens)
        words = rebinding_of(self.screen.app).words("{act.futures:F} opens them")
        self.screen.changed()
        self.screen.tell(f"Chosen for futures: {names}; {words}." if tokens else "None is chosen.")

    async def action_futures(self) -> None:
        """Many continuations of this step at once."""
        from tokexplore.tui.screens.dialog import Ask
        from tokexplore.tui.screens.futures import ASKED

        self.screen.pin()
        if self.controller.link.absent:
            self.screen.tell(self.controller.link.absence, 3)
        elif self.controller.queries.distribution() is None:
            self.screen.nothing("candidates here yet")
        elif self._step.chosen.get(self.explorer.before):
            self.controller.jobs.change(self._open_chosen(self.explorer.before))
        else:
            futures = Futures(self.controller)

            async def begin(text: str) -> None:
                await futures.begin(asked_choice(text))

            def show(text: str | None) -> None:
                if text:
                    self.controller.jobs.change(self._show_futures(futures))

            dialog = Ask(ASKED, str(USUAL), replaced=True, take=begin)
            await self.screen.open(dialog, show)

    async def _open_chosen(self, node: int) -> None:
        """The futures of the rows that were chosen at a step."""
        futures = Futures(self.controller)
        await futures.begin(Choice("rows", tokens=tuple(self._step.chosen[node])))
        del self._step.chosen[node]
        await self._show_futures(futures)

    async def _show_futures(self, futures: Futures) -> None:
        from tokexplore.tui.screens.futures import FuturesScreen

        await self.screen.app.push_screen(FuturesScreen(self.controller, futures))

    async def action_grow(self) -> None:
        """A tree that grows by probability from this step on."""
        from tokexplore.tui.screens.dialog import Ask
        from tokexplore.tui.screens.grow import ASKED

        self.screen.pin()
        if self.controller.link.absent:
            self.screen.tell(self.controller.link.absence, 3)
        else:
            dialog = Ask(ASKED, Budget(TOKENS).words(), replaced=True, take=_check_growth)
            await self.screen.open(dialog, self._asked_growth)

    def _asked_growth(self, text: str | None) -> None:
        if text:
            self.controller.jobs.change(self._open_growth(*asked_growth(text)))

    async def _open_growth(self, budget: Budget, by: By | None) -> None:
        from tokexplore.tui.screens.grow import GrowScreen

        await self.screen.app.push_screen(GrowScreen(self.controller, budget, by or "model"))

    def action_draw_again(self) -> None:
        """Draw this step once more."""
        self.screen.pin()
        self.controller.jobs.change(self.controller.draw_again())

    def action_answer_again(self) -> None:
        """Generate the answer of this turn once more."""
        self.controller.jobs.change(self.controller.answer_again())

    def action_single_step(self) -> None:
        """One token at a time, or not."""
        self.controller.streams.single_step = not self.controller.streams.single_step
        self.screen.changed()

    async def action_find(self) -> None:
        """Search the vocabulary at this step, and take what is found."""
        from tokexplore.tui.screens.find import HITS, FindToken

        explorer, controller = self.explorer, self.controller
        self.screen.pin()
        distribution = controller.queries.distribution()
        if distribution is None:
            self.screen.nothing("candidates here yet")
            return
        node = explorer.before

        def taken(token: int | None) -> None:
            if token is not None:
                controller.jobs.change(controller.take(token, node))

        await self.screen.open(
            FindToken(
                explorer.vocabulary,
                bytes_near(explorer, node),
                distribution.logprob(0),
                lambda text: controller.queries.search(node, text, HITS),
            ),
            taken,
        )

    def action_adopt(self) -> None:
        """Take the model's own sampling settings."""
        if self.controller.link.suggested is None:
            self.screen.nothing("sampling settings that this model suggests")
            return
        streams, settings = self.controller.streams, self.explorer.settings
        streams.configure(self.controller.link.suggestion(settings), streams.max_new_tokens)
        self.screen.tell(f"Sampling: {self.explorer.settings.short()}.")

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

    def _tell_change(self, done: str, step: Step | None, nothing: str) -> None:
        notice = f"{done}: {words_of(self.explorer, step)}" if step else nothing
        self.host.say(f"{notice}.")


async def _check_growth(text: str) -> None:
    """Refuse what is no budget.

    Raises:
        UsageError: see `asked_growth`.
    """
    asked_growth(text)
