"""Sampling settings and length, changed knob by knob."""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling import SamplingSettings
from tokexplore.tui.screens.dialog import Dialog


class Setup(NamedTuple):
    """What the dialog changes."""

    sampling: SamplingSettings
    max_new_tokens: int


class Knob(NamedTuple):
    """One value that can be turned."""

    name: str
    field: str
    fine: float
    coarse: float
    neutral: float
    meaning: str


KNOBS = (
    Knob("temperature", "temperature", 0.05, 0.5, 0.0, "0 is greedy; higher is flatter"),
    Knob("top-k", "top_k", 1, 10, 0, "keep the k most probable; 0 is off"),
    Knob("top-p", "top_p", 0.01, 0.1, 1.0, "nucleus of this probability; 1 is off"),
    Knob("min-p", "min_p", 0.01, 0.1, 0.0, "least share of the top one; 0 is off"),
    Knob("seed", "seed", 1, 100, 0, "same seed, same path: same token"),
    Knob("length", "max_new_tokens", 1, 64, 256, "tokens a stream may add"),
)


def _number(typed: str) -> float | None:
    """A whole number exactly, any other as a float; None for what is no finite number."""
    try:
        value = int(typed) if typed.lstrip("-").isdigit() else float(typed)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class SettingsDialog(Dialog[Setup | None]):
    """Knobs by the arrows; a typed number sets one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "select(-1)", "knob", id="settings.up"),
        Binding("down,j", "select(1)", "knob", id="settings.down"),
        Binding("left,h", "turn(-1)", "fine", id="settings.less"),
        Binding("right,l", "turn(1)", "fine", id="settings.more"),
        Binding("H", "turn(-1, True)", "coarse", id="settings.coarse_less"),
        Binding("L", "turn(1, True)", "coarse", id="settings.coarse_more"),
        Binding("n", "neutral", "neutral", id="settings.neutral"),
        Binding("m", "suggested", "the model's own", id="settings.suggested"),
        Binding("backspace", "rub_out", "rub out", id="settings.rub_out"),
        Binding("enter", "apply", "apply", id="settings.apply", priority=True),
        Binding("q", "cancel", "discard", id="settings.discard", priority=True),
    ]
    title_text = "Sampling, from the next token on"
    hint_text = "↑↓ knob · ←→ H L turn · 0.8 types · n neutral · ⏎ apply · q discard"

    def __init__(
        self,
        setup: Setup,
        suggested: SamplingSettings | None,
        adopt: Callable[[SamplingSettings], SamplingSettings],
    ) -> None:
        super().__init__()
        self._values = {k.field: self._read(setup, k.field) for k in KNOBS}
        self._suggested, self._adopt = suggested, adopt
        self._index, self._typed = 0, ""

    @staticmethod
    def _read(setup: Setup, field: str) -> float:
        owner: object = setup if field == "max_new_tokens" else setup.sampling
        return getattr(owner, field)

    def body(self) -> ComposeResult:
        yield Static(id="knobs")

    def on_mount(self) -> None:
        """Draw the knobs."""
        self._draw()

    def _draw(self) -> None:
        lines = [self._line(i, knob) for i, knob in enumerate(KNOBS)]
        if self._suggested is not None:
            said = self._suggested.short()
            lines.append(
                Content.styled(
                    f"\n  m adopts what the model's makers suggest: {said}", "$text-muted"
                )
            )
        self.query_one("#knobs", Static).update(Content("\n").join(lines))

    def _line(self, index: int, knob: Knob) -> Content:
        here = index == self._index
        known = self._values[knob.field]
        shown = str(known) if isinstance(known, int) else f"{known:g}"
        value = f"{self._typed}▌" if here and self._typed else shown
        return Content.assemble(
            ("› " if here else "  ", "bold $here"),
            (f"{knob.name:<13}", "bold" if here else ""),
            (f"{value:>8}", "bold $here" if here else "$sampler"),
            (f"   {knob.meaning}", "$text-muted"),
        )

    def on_key(self, event: object) -> None:
        """Digits, a point and `e-` make a number."""
        character = getattr(event, "character", None)
        if character and character in "0123456789.-e":
            self._typed += character
            self._draw()

    def _settle(self) -> bool:
        """Take a typed number over; False when it is none."""
        if self._typed:
            typed, self._typed = self._typed, ""
            value = _number(typed)
            if value is None:
                self.app.notify(f"{typed!r} is not a number.", severity="error", markup=False)
                self._draw()
                return False
            self._values[KNOBS[self._index].field] = value
        return True

    def action_select(self, direction: int) -> None:
        """To another knob."""
        self._settle()
        self._index = (self._index + direction) % len(KNOBS)
        self._draw()

    def action_turn(self, direction: int, coarse: bool = False) -> None:
        """Turn the knob by a step."""
        self._settle()
        knob = KNOBS[self._index]
        value = self._values[knob.field] + direction * (knob.coarse if coarse else knob.fine)
        low, high = 0.0, 1.0 if knob.field in ("top_p", "min_p") else float("inf")
        if knob.field in ("top_p", "max_new_tokens"):
            low = knob.fine
        value = min(high, max(low, value))
        self._values[knob.field] = int(value) if knob.fine == 1 else round(value, 6)
        self._draw()

    def action_neutral(self) -> None:
        """The knob to where it does nothing."""
        self._typed = ""
        self._values[KNOBS[self._index].field] = KNOBS[self._index].neutral
        self._draw()

    def action_suggested(self) -> None:
        """Take the model's own suggestions."""
        if self._suggested is None:
            self.app.notify("This model suggests no sampling settings.", markup=False)
            return
        adopted = self._adopt(self._sampling())
        self._values |= msgspec.structs.asdict(adopted)
        self._draw()

    def action_rub_out(self) -> None:
        """Take the last typed digit back; close when there is none."""
        if not self._typed:
            self.action_cancel()
            return
        self._typed = self._typed[:-1]
        self._draw()

    def _whole(self, field: str) -> int:
        value = self._values[field]
        if value != int(value):
            raise UsageError(f"{field.replace('_', '-')} {value:g} is not a whole number.")
        return int(value)

    def _sampling(self) -> SamplingSettings:
        v = self._values
        return SamplingSettings(
            v["temperature"], self._whole("top_k"), v["top_p"], v["min_p"], self._whole("seed")
        ).checked()

    def action_apply(self) -> None:
        """Check and hand over."""
        if not self._settle():
            return
        try:
            length = self._whole("max_new_tokens")
            if length < 1:
                raise UsageError(f"length {length} is not possible: give 1 or more.")
            self.dismiss(Setup(self._sampling(), length))
        except UsageError as error:
            self.app.notify(str(error), severity="error", markup=False)
