"""`s`: the sampling lens. Turn a knob and see what it does to this step, before it is applied."""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static
from textual_plot import HiResMode, PlotWidget

from tokexplore.models.bounds import bounded_view
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.changes import changes_of
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.knobs import KNOBS
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui import lens_view
from tokexplore.tui.driver import Driver
from tokexplore.tui.lens_view import DIALS, LENGTH, Column
from tokexplore.tui.screens.dialog import Dialog

MOST_PINS = 3
DRAWS = 1000
POINTS = 30
"""Tokens that a picture shows."""
_WIDE, _TALL = 100, 34
_PIN_NAMES = ("A", "B", "C")
_PIN_STYLES = ("$special", "$close", "$error")


class Setup(NamedTuple):
    """What the lens changes."""

    sampling: SamplingSettings
    max_new_tokens: int


class LensScreen(Dialog[Setup | None]):
    """Knobs by the arrows, a typed number sets one; the figures and pictures follow at once."""

    DEFAULT_CSS = """
    LensScreen {
        layout: vertical; background: $background;
        & > Horizontal { height: 1fr; }
        & #lens-top { height: 16; }
        & #lens-title { color: $here; text-style: bold; height: 1; padding: 0 1; }
        & #lens-hint { color: $text-muted; height: 1; padding: 0 1; }
        & Static { text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; }
        & #knobs, & #figures, & #candidates { width: 1fr; height: 100%; }
        & #picture { width: 1fr; }
        & PlotWidget > .plot--axis { color: $rule; }
        & PlotWidget > .plot--tick { color: $muted; text-style: none; }
        & PlotWidget > .plot--label { color: $muted; text-style: none; }
        & PlotWidget #legend { border: none; background: $background; }
        &.-narrow #picture, &.-narrow.-picture #candidates { display: none; }
        &.-narrow.-picture #picture { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "select(-1)", "knob", id="lens.up", tooltip="The knob above."),
        Binding("down,j", "select(1)", "knob", id="lens.down", tooltip="The knob below."),
        Binding(
            "left,h", "turn(-1)", "less", id="lens.less", tooltip="Turn it down; H in larger steps."
        ),
        Binding(
            "right,l", "turn(1)", "more", id="lens.more", tooltip="Turn it up; L in larger steps."
        ),
        Binding(
            "H",
            "turn(-1, True)",
            "much less",
            id="lens.coarse_less",
            tooltip="Turn it down by a large step.",
        ),
        Binding(
            "L",
            "turn(1, True)",
            "much more",
            id="lens.coarse_more",
            tooltip="Turn it up by a large step.",
        ),
        Binding(
            "n",
            "neutral",
            "neutral",
            id="lens.neutral",
            tooltip="The knob to where it does nothing.",
        ),
        Binding(
            "m",
            "suggested",
            "the model's own",
            id="lens.suggested",
            tooltip="What the model's makers suggest.",
        ),
        Binding(
            "p", "pin", "pin", id="lens.pin", tooltip="Keep these settings in view, as A, B or C."
        ),
        Binding("u", "unpin", "unpin", id="lens.unpin", tooltip="Take the last of them off."),
        Binding("d", "draw", "draw 1,000", id="lens.draw", tooltip="Draw 1,000 times and count."),
        Binding(
            "v",
            "picture",
            "picture",
            id="lens.picture",
            tooltip="Probabilities, or their running sum.",
        ),
        Binding(
            "backspace", "rub_out", "rub out", id="lens.rub_out", tooltip="Take a typed digit back."
        ),
        Binding(
            "enter",
            "apply",
            "apply",
            id="lens.apply",
            priority=True,
            tooltip="From the next token on.",
        ),
        Binding(
            "q",
            "cancel",
            "discard",
            id="lens.discard",
            priority=True,
            tooltip="Throw the settings away.",
        ),
    ]
    AUTO_FOCUS = ""
    hint_text = "↑↓ ←→ HL turn · n neutral · p pin · d draw · v picture · ⏎ apply · q discard"

    def __init__(self, driver: Driver, title: str) -> None:
        super().__init__()
        self._driver, self.title_text = driver, title
        explorer = driver.explorer
        taken = explorer.taken
        self._taken = None if taken is None else explorer.tree.token[taken]
        self._node = explorer.before
        self._distribution = driver.distribution()
        self._ids = driver.ids_of(self._node)
        self._prompt_length = explorer.tree.prompt_length(self._node)
        self._before = explorer.settings
        self._values: dict[str, float] = {
            **{knob.field: getattr(explorer.settings, knob.field) for knob in KNOBS},
            LENGTH.field: driver.max_new_tokens,
        }
        self._index = next(i for i, knob in enumerate(DIALS) if knob.name == "temperature")
        self._typed = ""
        self._pins: list[SamplingSettings] = []
        self._effects: dict[SamplingSettings, Effect] = {}
        self._asking = False
        self._draws: dict[SamplingSettings, Draws] = {}
        self._cumulative = False

    def compose(self) -> ComposeResult:
        yield Static(Content(self.title_text), id="lens-title")
        with Horizontal(id="lens-top"):
            yield Static(id="knobs")
            yield Static(id="figures")
        with Horizontal():
            yield Static(id="candidates")
            with Vertical(id="picture"):
                yield PlotWidget(allow_pan_and_zoom=False)
        yield Static(Content(self.hint_text), id="lens-hint")

    def on_mount(self) -> None:
        """Nothing takes the focus: every key is the lens's."""
        plot = self.query_one(PlotWidget)
        plot.margin_top, plot.margin_bottom, plot.margin_left = 0, 3, 6

    def on_resize(self) -> None:
        """A small screen has room for the candidates or the picture."""
        small = self.size.width < _WIDE or self.size.height < _TALL
        self.set_class(small, "-narrow")
        self.call_after_refresh(self._follow)

    # The settings in hand

    def _settings(self) -> SamplingSettings:
        """The knobs as settings; what cannot be turned here stays.

        Raises:
            UsageError: for a value outside its range.
        """
        values = {}
        for knob in KNOBS:
            value = self._values[knob.field]
            if knob.whole and value != int(value):
                raise UsageError(f"{knob.name} {value:g} is not a whole number.")
            values[knob.field] = int(value) if knob.whole else value
        return msgspec.structs.replace(self._before, **values).checked()

    def _now(self) -> SamplingSettings | None:
        try:
            return self._settings()
        except UsageError:
            return None

    def _columns(self) -> list[Column]:
        named = [("before", self._before, "$muted")]
        named += [
            (name, pin, style)
            for name, pin, style in zip(_PIN_NAMES, self._pins, _PIN_STYLES, strict=False)
        ]
        if (now := self._now()) is not None:
            named.append(("now", now, "$sampler"))
        return [self._column(name, settings, style) for name, settings, style in named]

    def _column(self, name: str, settings: SamplingSettings, style: str) -> Column:
        bounds = None
        if self._driver.absent and self._distribution is not None:
            bounds = bounded_view(self._distribution, settings)
        changes = changes_of(settings, self._ids, self._prompt_length)
        effect = self._effects.get(settings)
        return Column(name, settings, style, changes, effect, bounds, self._driver.absent)

    def _follow(self) -> None:
        """Show what is known of the settings in hand, and ask for what is not."""
        self._draw()
        wanted = [c.settings for c in self._columns() if c.settings not in self._effects]
        possible = self._distribution is not None and not self._driver.absent
        if wanted and possible and not self._asking:
            self._asking = True
            self._driver.run(self._ask(wanted))

    async def _ask(self, wanted: Sequence[SamplingSettings]) -> None:
        try:
            found = await self._driver.client.effects(self._ids, wanted, self._prompt_length)
            self._effects.update(zip(wanted, found, strict=True))
        finally:
            self._asking = False
        if self.is_attached:
            self._follow()

    # Drawing

    def _draw(self) -> None:
        columns = self._columns()
        top = self.query_one("#knobs", Static)
        lines = lens_view.knob_lines(
            DIALS, self._values, self._index, self._typed, top.content_size.width
        )
        top.update(Content("\n").join(lines))
        self._draw_figures(columns)
        self.query_one(PlotWidget).visible = self._distribution is not None
        if self._distribution is not None and self._vocabulary is not None:
            self._draw_candidates(columns, self._distribution, self._vocabulary)
            self._draw_picture(columns, self._distribution)

    @property
    def _vocabulary(self) -> Vocabulary | None:
        return self._driver.explorer.vocabulary

    def _draw_figures(self, columns: Sequence[Column]) -> None:
        shown = self.query_one("#figures", Static)
        room = shown.content_size.width
        lines = lens_view.figure_lines(columns, self._distribution, room)
        lines += [Content(""), *lens_view.stage_lines(columns[-1], room)]
        lines += [Content.styled(text, "$text-muted") for text in self._said(columns)]
        shown.update(Content("\n").join(lines))

    def _said(self, columns: Sequence[Column]) -> list[str]:
        """What has to be known about the figures."""
        if self._distribution is None:
            return ["no distribution is known at this step: knobs only"]
        said = [f"{c.name}: {c.settings.short()}" for c in columns if c.name in _PIN_NAMES]
        if self._driver.absent:
            said.append("without the model: bounds from what is recorded; ? needs the whole tail")
        effect = columns[-1].effect
        recorded = self._distribution.entropy
        if effect and abs(effect.model_entropy - recorded) > 1e-6:
            said.append(
                f"entropy as recorded {recorded:.4f}, as run now {effect.model_entropy:.4f}"
            )
        if self._driver.suggested is not None:
            said.append(f"m: what the model's makers suggest, {self._driver.suggested.short()}")
        if (number := self._uniform()) is not None:
            said.append(f"this step was drawn with u = {number:.6f}")
        return said

    def _uniform(self) -> float | None:
        """The number that the token in view was drawn with, where it was drawn."""
        return self._driver.uniform_at_cursor()

    def _draw_candidates(
        self, columns: Sequence[Column], distribution: Distribution, vocabulary: Vocabulary
    ) -> None:
        shown = self.query_one("#candidates", Static)
        size = shown.content_size
        draws = self._draws.get(columns[-1].settings)
        lines = lens_view.candidate_lines(
            columns, distribution, vocabulary, draws, self._taken, size.height, size.width
        )
        shown.update(Content("\n").join(lines))

    def _draw_picture(self, columns: Sequence[Column], distribution: Distribution) -> None:
        plot = self.query_one(PlotWidget)
        plot.clear()
        known = [c for c in columns if c.effect is not None]
        points, cumulative = min(POINTS, distribution.vocabulary), self._cumulative
        model = lens_view.model_curve(distribution, points, cumulative=cumulative)
        curves = [("model", "$model-bar", model)]
        curves += [
            (c.name, c.style, lens_view.curve(c, points, cumulative=cumulative)) for c in known
        ]
        for name, style, values in curves:
            # One token alone is drawn as what it is, a peak: a single point makes no line.
            heights = [*values, *([values[0] if cumulative else 0.0] if len(values) == 1 else [])]
            ranks = [float(n) for n in range(1, len(heights) + 1)]
            plot.plot(
                ranks, heights, line_style=self._colour(style), hires_mode=HiResMode.BRAILLE,
                label=name,
            )  # fmt: skip
        if known and known[-1].name == "now":
            self._draw_cuts(plot, known[-1], points)
        number = self._uniform()
        if cumulative and number is not None:
            plot.plot(
                [1.0, float(points)], [number, number], line_style=self._colour("$here"),
                hires_mode=HiResMode.BRAILLE, label="u drawn",
            )  # fmt: skip
        top = max(max(values) for _, _, values in curves)
        plot.set_xlimits(1, points)
        plot.set_ylimits(0, 1 if cumulative else max(top, 1e-6))
        plot.set_xlabel("cumulative probability by rank" if cumulative else "probability by rank")
        plot.show_legend()

    def _draw_cuts(self, plot: PlotWidget, now: Column, points: int) -> None:
        """A line after the last rank that each stage of the settings in hand keeps."""
        assert now.effect is not None
        for cut in now.effect.view.cuts:
            if cut.kept < points:
                style = self._colour("$here")
                plot.add_v_line(
                    cut.kept + 0.5, line_style=style, label=f"{cut.stage} {cut.value:g}"
                )

    def _colour(self, role: str) -> str:
        """A colour of the theme, by Rich's name where it is one of the terminal's own."""
        return self.app.theme_variables.get(role.removeprefix("$"), "").removeprefix("ansi_")

    # Keys

    def on_key(self, event: object) -> None:
        """Digits, a point and `e-` make a number."""
        character = getattr(event, "character", None)
        if character and character in "0123456789.-e":
            self._typed += character
            self._draw()

    def _settle(self) -> bool:
        """Take a typed number over; False when it is none."""
        if not self._typed:
            return True
        typed, self._typed = self._typed, ""
        value = _number(typed)
        if value is None:
            self.app.notify(f"{typed!r} is not a number.", severity="error", markup=False)
            self._draw()
            return False
        self._values[DIALS[self._index].field] = value
        if self._now() is None:
            self._refuse()
        self._follow()
        return True

    def _refuse(self) -> None:
        try:
            self._settings()
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)

    def action_select(self, direction: int) -> None:
        """To another knob."""
        self._settle()
        self._index = (self._index + direction) % len(DIALS)
        self._draw()

    def action_turn(self, direction: int, coarse: bool = False) -> None:
        """Turn the knob by a step."""
        self._settle()
        knob = DIALS[self._index]
        by = direction * (knob.coarse if coarse else knob.fine)
        self._values[knob.field] = knob.turned(self._values[knob.field], by)
        self._follow()

    def action_neutral(self) -> None:
        """The knob to where it does nothing."""
        self._typed = ""
        knob = DIALS[self._index]
        self._values[knob.field] = 256 if knob is LENGTH else knob.neutral
        self._follow()

    def action_suggested(self) -> None:
        """Take the model's own suggestions."""
        suggested, now = self._driver.suggested, self._now()
        if suggested is None or now is None:
            self.app.notify("This model suggests no sampling settings.", markup=False)
            return
        taken = self._driver.suggestion(now)
        self._values |= {knob.field: getattr(taken, knob.field) for knob in KNOBS}
        self._follow()

    def action_pin(self) -> None:
        """Keep these settings in view beside those in hand."""
        if not self._settle() or (now := self._now()) is None:
            return
        if len(self._pins) == MOST_PINS:
            self.app.notify(f"{MOST_PINS} are pinned: u takes the last one off.", markup=False)
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
        if self._driver.absent:
            self.app.notify("Drawing needs the model: space loads it.", markup=False)
            return
        self._driver.run(self._draw_many(now))

    async def _draw_many(self, settings: SamplingSettings) -> None:
        self._draws[settings] = await self._driver.client.draws(
            self._ids, settings, DRAWS, self._prompt_length
        )
        if self.is_attached:
            self._draw()

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
        if not self._typed:
            self.action_cancel()
            return
        self._typed = self._typed[:-1]
        self._draw()

    def action_apply(self) -> None:
        """Check and hand over."""
        if not self._settle():
            return
        length = self._values[LENGTH.field]
        try:
            if length < 1 or length != int(length):
                raise UsageError(f"length {length:g} is not possible: give 1 or more.")
            self.dismiss(Setup(self._settings(), int(length)))
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)


def _number(typed: str) -> float | None:
    """A whole number exactly, any other as a float; None for what is no finite number."""
    try:
        value = int(typed) if typed.lstrip("-").isdigit() else float(typed)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
