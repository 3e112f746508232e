"""A second model that reads along: which one, and where the two differ."""

import msgspec

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.diff.steps import most_different
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.step_panel import StepPanel
from tokexplore.tui.presenters.second import compared_on_path, spans_on_path


class SecondActions(Actions):
    """What a second model is asked for."""

    def __init__(self, screen: BrowseBase, step: StepPanel) -> None:
        super().__init__(screen)
        self._step = step

    async def action_against(self) -> None:
        """Pick a second model; take the one away that reads along; load a lost one again."""
        second = self.controller.second
        if self.controller.link.absent:
            self.screen.tell(self.controller.link.absence, 3)
        elif second.state == "lost" and second.load is not None:
            self.controller.jobs.run(second.open(second.load))
        elif second.state != "absent":
            self.controller.jobs.run(second.close())
            self.screen.tell(f"{second.name or 'It'} reads along no longer: its figures stay.")
        else:
            await self._pick()

    async def _pick(self) -> None:
        from tokexplore.models.catalog.choices import Choice
        from tokexplore.tui.browse.model_choices import choices_of
        from tokexplore.tui.screens.models import SecondPicker

        load, itself = self.controller.options.load, self._itself
        choices = choices_of(self.controller, beside=True)

        def chosen(choice: Choice | None) -> None:
            if choice is not None:
                again = itself if choice.model == load.model else None
                self.open(again or choices.opening(choice, load))

        opened = "" if itself else load.model
        await self.screen.open(SecondPicker(choices, opened), chosen)

    @property
    def _itself(self) -> LoadOptions | None:
        """How the model that is open is held against itself: as it was before, or without what was
        put on it; None where it would be the same."""
        load, before = self.controller.options.load, self.controller.second.load
        if before is not None and before.model == load.model:
            return before
        plain = msgspec.structs.replace(load, adapters=(), quantize="")
        return None if plain == load else plain

    def open(self, load: LoadOptions) -> None:
        """Load a second model beside the first."""
        self.controller.jobs.run(self.controller.second.open(load))

    def action_lead(self) -> None:
        """Let the second model choose, or the first one again."""
        self.controller.jobs.change(self._lead())

    async def _lead(self) -> None:
        second = self.controller.second
        await self.controller.lead(second=not second.leads)
        by = second.name if second.leads else "the model itself"
        self.screen.tell(f"What is generated from here on is chosen by {by}.", 4)

    def action_disagreement(self, direction: int) -> None:
        """To the step where the greedy choices differ and the models are furthest apart, or to the
        span that costs them most unlike; again, to the one that comes after it, or before."""
        places = self._disagreements()
        if not places and self.controller.second.state == "loading":
            self.screen.tell("The second model is still loading.", 3)
            return
        if not places:
            tree = self.explorer.tree
            what = "other first choice on this path" if tree.compared else ""
            what = "span on this path that costs them unlike" if tree.spans else what
            self.screen.nothing(what or "second model: & loads one")
            return
        here = self.explorer.cursor
        following = places.index(here) + direction if here in places else 0
        if not 0 <= following < len(places):
            self.screen.tell(f"There are {len(places)}, and this is the last one this way.", 3)
            return
        self.explorer.place(places[following], jump=True)
        self.screen.changed()

    def _disagreements(self) -> list[int]:
        """Indices, that of the largest difference first."""
        if self.controller.second.has_other_tokens:
            unlike = [placed for placed in spans_on_path(self.explorer) if placed.span.delta]
            unlike.sort(key=lambda placed: (-abs(placed.span.delta), placed.start))
            return [placed.start for placed in unlike]
        parted = [step for step in compared_on_path(self.explorer) if step.parts]
        return [step.position for step in most_different(parted, len(parted))]

    def action_second_row(self) -> None:
        """To the row of the second model's most probable token."""
        explorer, second = self.explorer, self.controller.second
        if second.has_other_tokens:
            self.screen.tell(
                f"{second.name} has other tokens: none of these is a choice of its own."
            )
            return
        told = second.beside(explorer.before, ())
        step = None if explorer.taken is None else explorer.tree.compared.get(explorer.taken)
        greedy = told.greedy if told else step.second.greedy if step else None
        if greedy is None:
            self.screen.nothing("choice of a second model here yet")
            return
        row = self._step.row_of(greedy)
        if row is None:
            shown = explorer.vocabulary.show(greedy)
            self.screen.tell(f"It would take {shown}, which is far down here: / finds it.")
            return
        explorer.row = row
        self.screen.changed()
