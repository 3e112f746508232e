"""`s`: the sampling lens. Turn a knob and see what it does to this step, before it is applied."""

from collections.abc import Sequence
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import bounded_view
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.knob_editor import KnobEditor, Setup
from tokexplore.tui.explore.step_effects import StepEffects
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.screens import sampler_lines
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.parts import has_parts
from tokexplore.tui.screens.sampler_keys import LENS_BINDINGS, lens_hints
from tokexplore.tui.screens.sampler_lines import Column
from tokexplore.tui.screens.sampler_plot import LensPicture
from tokexplore.widgets.keybar import KeyBar

DRAWS = 1000
_WIDE, _TALL = 100, 34
_PINS = (("A", "$special"), ("B", "$close"), ("C", "$error"))
"""Names and colours of the settings that can be pinned."""


class SamplerLensScreen(Dialog[Setup | None]):
    """Knobs by the arrows, a typed number sets one; the figures and pictures follow at once."""

    DEFAULT_CSS = """
    SamplerLensScreen {
        layout: vertical; background: $background;
        & > Horizontal { height: 1fr; }
        & #lens-top { height: 16; }
        & #lens-title { height: 1; padding: 0 1; margin-bottom: 0; text-wrap: nowrap; }
        & Static { text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; }
        & #knobs, & #figures, & #candidates { width: 1fr; height: 100%; }
        & #picture { width: 1fr; }
        &.-narrow #picture, &.-narrow.-picture #candidates { display: none; }
        &.-narrow.-picture #picture { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = list(LENS_BINDINGS)
    AUTO_FOCUS = ""

    def __init__(self, controller: Controller, title: str) -> None:
        super().__init__()
        self._controller, self.title_text = controller, title
        explorer = controller.explorer
        self._node, taken = explorer.before, explorer.taken
        self._taken = None if taken is None else explorer.tree.token[taken]
        self._distribution = controller.queries.distribution()
        self._uniform = controller.queries.uniform_at_cursor()
        """The number that the token in view was drawn with, where it was drawn."""
        self._step = StepEffects(controller, self._follow)
        self._before = explorer.settings
        self._editor = KnobEditor(Setup(explorer.settings, controller.streams.max_new_tokens))
        self._pins: list[SamplingSettings] = []
        self._cumulative = False

    def compose(self) -> ComposeResult:
        yield Static(id="lens-title", classes="dialog--title")
        with Horizontal(id="lens-top"):
            yield Static(id="knobs")
            yield Static(id="figures")
        with Horizontal():
            yield Static(id="candidates")
            with Vertical(id="picture"):
                yield LensPicture()
        yield KeyBar()

    async def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A click on a hint is its key."""
        if event.hint.action:
            await self.run_action(event.hint.action)

    def on_mount(self) -> None:
        """Where the whole step can be had, its figures are exact."""
        if self._controller.queries.can_complete(self._node):
            self._controller.jobs.run(self._complete())

    def on_resize(self) -> None:
        """A small screen has room for the candidates or the picture."""
        small = self.size.width < _WIDE or self.size.height < _TALL
        self.set_class(small, "-narrow")
        self.call_after_refresh(self._follow)

    # The settings in hand

    def _now(self) -> SamplingSettings | None:
        """Those that the knobs make, None where they are not possible together."""
        return None if self._why_no_settings() else self._editor.settings()

    def _why_no_settings(self) -> str:
        try:
            self._editor.settings()
        except UsageError as error:
            return str(error)
        return ""

    def _columns(self) -> list[Column]:
        named = [("before", self._before, "$muted")]
        named += [(name, pin, style) for (name, style), pin in zip(_PINS, self._pins, strict=False)]
        if (now := self._now()) is not None:
            named.append(("now", now, "$sampler"))
        return [self._column(name, settings, style) for name, settings, style in named]

    def _column(self, name: str, settings: SamplingSettings, style: str) -> Column:
        bounds = None
        if self._bounded and self._distribution is not None:
            bounds = bounded_view(self._distribution, settings)
        changes = changes_of(settings, self._step.ids, self._step.prompt_length)
        effect = self._step.effects.get(settings)
        return Column(name, settings, style, changes, effect, bounds, self._bounded)

    @property
    def _bounded(self) -> bool:
        """Whether only bounds can be had: there is no model, or it lists the first candidates."""
        distribution, link = self._distribution, self._controller.link
        return not link.can("whole_rows") or (
            distribution is not None and not distribution.complete
        )

    @property
    def _completes(self) -> bool:
        """Whether the candidates that were not listed are on their way."""
        return self._controller.queries.completes(self._node)

    async def _complete(self) -> None:
        """Ask for the candidates that were not listed."""
        await self._controller.queries.complete(self._node)
        self._distribution = self._controller.queries.distribution()
        self._follow()

    @property
    def _why_no_draws(self) -> str:
        return self._controller.link.why_not("drawing", "whole_rows")

    def _follow(self) -> None:
        """Show what is known of the settings in hand, and ask for what is not."""
        if has_parts(self):
            columns = self._draw()
            if self._distribution is not None and not self._bounded:
                self._step.ask([column.settings for column in columns])

    # Drawing

    def _draw(self) -> list[Column]:
        """Draw all of it; the columns that were drawn."""
        columns = self._columns()
        top = self.query_one("#knobs", Static)
        own = rebinding_of(self.app)
        self.query_one(KeyBar).show(*own.hints(*lens_hints(self._editor, self._why_no_draws)))
        lines = sampler_lines.knob_lines(self._editor, top.content_size.width)
        top.update(Content("\n").join(lines))
        self._draw_figures(columns)
        self.query_one(LensPicture).visible = self._distribution is not None
        if self._distribution is not None:
            self._draw_candidates(columns, self._distribution, self._vocabulary)
            self.query_one(LensPicture).show(
                columns, self._distribution, cumulative=self._cumulative, uniform=self._uniform
            )
        return columns

    @property
    def _vocabulary(self) -> Vocabulary:
        return self._controller.explorer.vocabulary

    def _draw_figures(self, columns: Sequence[Column]) -> None:
        shown = self.query_one("#figures", Static)
        room = shown.content_size.width
        lines = sampler_lines.figure_lines(columns, self._distribution, room)
        lines += [Content(""), *sampler_lines.stage_lines(columns[-1], room)]
        notices = [line for text in self._notices(columns) for line in wrap(text, max(1, room))]
        lines += [Content.styled(text, "$text-muted") for text in notices]
        shown.update(Content("\n").join(lines))

    def _notices(self, columns: Sequence[Column]) -> list[str]:
        """What has to be known about the figures."""
        if self._distribution is None:
            return ["no distribution is known at this step: knobs only"]
        notices = [f"{c.name}: {c.settings.short()}" for c in columns[1 : len(self._pins) + 1]]
        if why := self._why_no_settings():
            notices.append(f"now: {why}")
        if self._controller.link.absent:
            notices.append(
                "without the model: bounds from what is recorded; ? needs the whole tail"
            )
        elif self._bounded:
            listed = len(self._distribution)
            more = "the whole tail is asked for" if self._completes else "? needs the whole tail"
            notices.append(f"bounds of the first {listed} candidates; {more}")
        effect = columns[-1].effect
        recorded = self._distribution.entropy
        if effect and recorded is not None and abs(effect.model_entropy - recorded) > 1e-6:
            notices.append(
                f"entropy as recorded {recorded:.4f}, as run now {effect.model_entropy:.4f}"
            )
        if self._controller.link.suggested is not None:
            notices.append(
                f"m: what the model's makers suggest, {self._controller.link.suggested.short()}"
            )
        if self._uniform is not None:
            notices.append(f"this step was drawn with u = {self._uniform:.6f}")
        return notices

    def _draw_candidates(
        self, columns: Sequence[Column], distribution: Distribution, vocabulary: Vocabulary
    ) -> None:
        shown = self.query_one("#candidates", Static)
        size = shown.content_size
        draws = self._step.draws.get(columns[-1].settings)
        lines = sampler_lines.candidate_lines(
            columns, distribution, vocabulary, draws, self._taken, size.height, size.width
        )
        shown.update(Content("\n").join(lines))

    # Keys

    def action_type(self, character: str) -> None:
        """One more character of a number."""
        self._editor.typed += character
        self._draw()

    def _settle(self) -> bool:
        """Take a typed number over; False when that is not possible: then it stays typed."""
        try:
            self._editor.settle()
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return False
        finally:
            self._follow()
        return True

    def action_select(self, direction: int) -> None:
        """To another knob."""
        if self._settle():
            self._editor.select(direction)
            self._draw()

    def action_turn(self, direction: int, coarse: bool = False) -> None:
        """Turn the knob by a step."""
        if self._settle():
            self._editor.turn(direction, coarse=coarse)
            self._follow()

    def action_neutral(self) -> None:
        """The knob to where it does nothing."""
        self._editor.neutral()
        self._follow()

    def action_suggested(self) -> None:
        """Take the model's own suggestions."""
        suggested, now = self._controller.link.suggested, self._now()
        if suggested is None or now is None:
            self.app.notify("This model suggests no sampling settings.", markup=False)
            return
        self._editor.adopt(self._controller.link.suggestion(now))
        self._follow()

    def action_pin(self) -> None:
        """Keep these settings in view beside those in hand."""
        if not self._settle() or (now := self._now()) is None:
            return
        if len(self._pins) == len(_PINS):
            self.app.notify(f"{len(_PINS)} are pinned: u takes the last one off.", markup=False)
        elif now == self._before or now in self._pins:
            self.app.notify("These settings are in view already.", markup=False, timeout=2)
        else:
            self._pins.append(now)
            self._follow()

    def action_unpin(self) -> None:
        """Take the last pinned settings off."""
        if self._pins:
            self._pins.pop()
            self._follow()

    def action_draw(self) -> None:
        """Draw many times under the settings in hand."""
        if not self._settle() or (now := self._now()) is None or self._distribution is None:
            return
        if self._controller.link.absent:
            self.app.notify("Drawing needs the model: space loads it.", markup=False)
            return
        if self._bounded:
            why = self._why_no_draws or "Drawing needs the whole vocabulary."
            self.app.notify(why, markup=False)
            return
        self._step.draw(now, DRAWS)

    def action_picture(self) -> None:
        """Probabilities or their running sum; on a small screen also back to the candidates."""
        if self.has_class("-narrow"):
            if not self.has_class("-picture"):
                self.add_class("-picture")
            elif not self._cumulative:
                self._cumulative = True
            else:
                self._cumulative = False
                self.remove_class("-picture")
        else:
            self._cumulative = not self._cumulative
        self.call_after_refresh(self._draw)

    def action_rub_out(self) -> None:
        """Take the last typed digit back; close when there is none."""
        if not self._editor.typed:
            self.action_cancel()
            return
        self._editor.typed = self._editor.typed[:-1]
        self._draw()

    def action_apply(self) -> None:
        """Take a number that is being typed; without one, hand the settings over and close."""
        if self._editor.typed:
            self._settle()
            return
        try:
            self.dismiss(self._editor.setup())
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)
