"""How things are shown, and the program itself."""

from collections.abc import Callable

from textual.screen import Screen

from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.step_panel import StepPanel
from tokexplore.tui.browse.story_panel import StoryPanel
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.presenters.status import lens_title
from tokexplore.tui.theme import ANSI, DARK, LIGHT

TWICE = 5.0
"""Seconds within which the second `q` quits."""


class DisplayActions(Actions):
    """Colours, columns, dialogs, models, help, leaving."""

    def __init__(
        self,
        screen: BrowseBase,
        story: StoryPanel,
        step: StepPanel,
        watch_changed: Callable[[], None],
    ) -> None:
        super().__init__(screen)
        self._story, self._step, self._watch_changed = story, step, watch_changed

    def action_colouring(self) -> None:
        """Colour by the next quantity."""
        self._story.recolour()
        self.screen.changed()

    def action_columns(self) -> None:
        """Other columns."""
        self._step.table.cycle_columns()

    def action_unit(self) -> None:
        """Nats or bits."""
        table = self._step.table
        table.bits = not table.bits
        self.screen.changed()

    def action_fold(self) -> None:
        """Fold long prompts and hide what a chat template wrote, or show all."""
        story = self._story.transcript
        story.folded = not story.folded

    def action_fold_reasoning(self) -> None:
        """Hide what was thought before an answer, or show it."""
        parts = (part for turn in self._story.path_view.turns for part in turn.stretches)
        if any(part.kind == "reasoning" for part in parts):
            story = self._story.transcript
            story.reasoning_folded = not story.reasoning_folded
        else:
            self.screen.nothing("reasoning on this path")

    def action_boundaries(self) -> None:
        """Show where tokens begin, or not."""
        story = self._story.transcript
        story.boundaries = not story.boundaries
        self.screen.changed()

    async def action_inspect(self) -> None:
        """Token and model in detail."""
        from tokexplore.tui.screens.inspect import inspect_sheet, inspected

        controller, host = self.controller, self.host
        if controller.link.info is None and not self.explorer.nodes:
            self.screen.nothing("model yet")
            return
        told = controller, host.sessions.path, host.frames.figures, host.notices.past
        sheet = inspect_sheet(*told)

        async def tell_kept() -> None:
            sheet.show(inspected(*told, await controller.queries.held()))

        await self.screen.open(sheet)
        if controller.queries.knows_held:
            controller.jobs.run(tell_kept())

    async def action_settings(self) -> None:
        """The sampling lens at this step: sampling and length."""
        from tokexplore.tui.explore.knob_editor import Setup
        from tokexplore.tui.screens.sampler_lens import SamplerLensScreen

        controller = self.controller

        def chosen(setup: Setup | None) -> None:
            if setup is None:
                return
            controller.streams.configure(setup.sampling, setup.max_new_tokens)
            if not controller.streaming:
                words = "From the next token on: {act.play:space} goes on, {act.draw:r} draws here."
                self.screen.tell(rebinding_of(self.screen.app).words(words))

        await self.screen.open(
            SamplerLensScreen(controller, lens_title(self.explorer, self.screen.size.width // 2)),
            chosen,
        )

    def action_ladder(self) -> None:
        """This step under several temperatures, and continuations of each."""
        from tokexplore.tui.screens.temperatures import TemperaturesScreen

        if self.controller.link.absent:
            self.screen.tell(self.controller.link.absence, 3)
        elif self.controller.queries.distribution() is None:
            self.screen.nothing("distribution at this step")
        else:
            self.controller.jobs.change(self._open_paused(TemperaturesScreen))

    def why_not(self, action: str) -> str:
        """The lab runs in several ways, what it has found can be read with any engine; a model's
        inside is seen here alone."""
        if action == "why":
            return self.controller.link.why_not("why", "inside")
        if action == "lab" and not self.explorer.tree.studies:
            return self.controller.link.why_not("the lab", "repeats")
        return ""

    def action_lab(self) -> None:
        """The same request again and again: where its texts part, and why."""
        from tokexplore.tui.screens.lab import LabScreen

        tree, leaf = self.explorer.tree, self.explorer.leaf
        if not tree.prompt_length(leaf):
            self.screen.nothing("prompt yet")
        elif self.controller.link.absent and not tree.studies:
            self.screen.tell(self.controller.link.absence, 3)
        else:
            self.controller.jobs.change(self._open_paused(LabScreen))

    def action_why(self) -> None:
        """Why this step came out as it did."""
        from tokexplore.tui.screens.why import WhyScreen

        if self.controller.link.absent:
            self.screen.tell(self.controller.link.absence, 3)
        elif not self.explorer.nodes:
            self.screen.nothing("step yet")
        else:
            self.controller.jobs.change(self._open_paused(WhyScreen))

    async def action_map(self) -> None:
        """The map of the tree."""
        from tokexplore.tui.screens.map import MapScreen

        if not self.explorer.nodes:
            self.screen.nothing("step yet")
        else:
            await self._push(MapScreen(self.controller, bits=self._step.table.bits))

    async def _open_paused(self, make: Callable[[Controller], Screen[None]]) -> None:
        """Open a screen on a path that nothing changes meanwhile."""
        await self.controller.while_paused(lambda: self._push(make(self.controller)))

    async def _push(self, screen: Screen[None]) -> None:
        await self.screen.app.push_screen(screen)

    async def action_watch(self) -> None:
        """Follow a token at every step, or no longer."""
        from tokexplore.tui.screens.dialog import Ask

        candidate = self._step.candidate(self.explorer.row)
        await self.screen.open(
            Ask(
                "Watch a token at every step: its text, or its id (id 850); again leaves it out",
                value=f"id {candidate[0]}" if candidate else "",
                replaced=True,
                take=self._watch,
            )
        )

    async def _watch(self, text: str) -> None:
        self.controller.watchlist.toggle(await self.controller.watchlist.token_named(text))
        self._watch_changed()

    def action_theme(self) -> None:
        """The next of dark, light and the terminal's own."""
        following = {DARK.name: LIGHT.name, LIGHT.name: ANSI.name}
        self.screen.app.theme = following.get(self.screen.app.theme, DARK.name)

    async def action_models(self) -> None:
        """Pick another model."""
        from tokexplore.models.catalog.choices import Choice
        from tokexplore.tui.browse.model_choices import choices_of
        from tokexplore.tui.screens.models import ModelPicker

        load, choices = self.controller.options.load, choices_of(self.controller)

        def chosen(choice: Choice | None) -> None:
            if choice is not None:
                self.host.sessions.open_model(choices.opening(choice, load))

        await self.screen.open(ModelPicker(choices, load.model), chosen)

    def action_palette(self) -> None:
        """All commands by name."""
        self.screen.app.action_command_palette()

    def action_redraw(self) -> None:
        """Paint everything again."""
        self.host.paint_anew()
        self.screen.refresh(layout=True)

    async def action_quit_twice(self) -> None:
        """Quit when pressed twice."""
        if self.host.ending.again("q", self.host.clock(), TWICE):
            await self.host.ending.leave(0)
            return
        words = rebinding_of(self.screen.app).words("{program.quit:q} again quits.")
        self.screen.tell(words, TWICE)
