"""What sampling settings make of one step, asked for as they are wanted."""

from collections.abc import Callable, Sequence

from tokexplore.models.api.questions import Draw, FindEffects
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.controller import Controller


class StepEffects:
    """The effects and the draws that are known of the cursor's step.

    Args:
        changed: called when there is something new to show.
    """

    def __init__(self, controller: Controller, changed: Callable[[], None]) -> None:
        self._controller, self._changed = controller, changed
        explorer = controller.explorer
        self.ids = explorer.tree.ids(explorer.before)
        self.prompt_length = explorer.tree.prompt_length(explorer.before)
        self.effects: dict[SamplingSettings, Effect] = {}
        self.draws: dict[SamplingSettings, Draws] = {}
        self._asking = False

    def ask(self, settings: Sequence[SamplingSettings]) -> None:
        """Ask for the effects that are not known yet, in one question at a time."""
        wanted = [s for s in settings if s not in self.effects]
        if wanted and self._controller.link.can("whole_rows") and not self._asking:
            self._asking = True
            self._controller.jobs.run(self._ask(wanted))

    async def _ask(self, wanted: Sequence[SamplingSettings]) -> None:
        client = self._controller.link.client
        try:
            found = await client.ask(FindEffects(self.ids, wanted, self.prompt_length))
            self.effects.update(zip(wanted, found, strict=True))
        finally:
            self._asking = False
        self._changed()

    def draw(self, settings: SamplingSettings, count: int) -> None:
        """Draw many times and count."""
        self._controller.jobs.run(self._draw(settings, count))

    async def _draw(self, settings: SamplingSettings, count: int) -> None:
        question = Draw(self.ids, settings, count, self.prompt_length)
        self.draws[settings] = await self._controller.link.client.ask(question)
        self._changed()
