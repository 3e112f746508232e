"""What is said of one stage of the sampler. The stages themselves are `settings.STAGES`."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from tokexplore.models.sampling.bounded_chain import BoundStep
from tokexplore.models.untrusted import brief

Kind = Literal["path", "temperature", "scale", "filter", "draw"]
"""What a stage is: a change of logits by the path (`logit_edits`), the temperature, a change of it,
a removal of tokens (`engine/sampler`), or the draw among those left. Greedy heeds neither a filter
nor a change of the temperature."""


class Turns(msgspec.Struct, frozen=True):
    """How the number of a stage is turned as a knob."""

    fine: float
    coarse: float
    low: float
    high: float


class Rule(msgspec.Struct, frozen=True):
    """What a stage's value has to be."""

    wanted: str
    """In an error's words: `give ...`."""
    holds: Callable[[Any, float], bool]
    """Whether a value keeps the rule, under a temperature."""
    name: str = ""
    """What the error calls the value, where it is not the stage's name."""
    wrong: str = "is not possible"
    part: Callable[[Any], Any] | None = None
    """The part of a list's item that the rule is about; None is all of it."""


class Common(msgspec.Struct, frozen=True):
    """A setting that many use: it comes first in --help, and stands in every line of settings."""

    metavar: str
    help: str


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. What a row leaves out is the careful answer: no bounds are known."""

    field: str
    """Of `SamplingSettings`; its default is where the stage does nothing."""
    name: str
    """In cuts, effects and errors. Cuts are stored in sessions, so it is for ever."""
    short: str
    """In the header: `p .75`, `2 banned`."""
    rules: tuple[Rule, ...]
    """Of its number, or of each item of its list."""
    kind: Kind = "filter"
    turns: Turns | None = None
    """None of a list, which is no knob."""
    meaning: str = ""
    """In a few words, with the value at which it is off."""
    elsewhere: str = ""
    """Whose formula it is, where transformers has none."""
    common: Common | None = None
    suggested_as: str = ""
    """Its name in a model's generation_config.json; empty where none can suggest it."""
    label: str = ""
    """In a candidate's row, where it is not `short`."""
    cut_words: str = "{kept} kept"
    """Why a candidate is cut, with `{value}` and `{kept}`."""
    bound: BoundStep | None = None
    """What it leaves, where only the first candidates are stored; None: nothing is known."""

    @property
    def option(self) -> str:
        """As options and commands spell it."""
        return self.field.replace("_", "-")

    @property
    def inert_in_greedy(self) -> bool:
        """Whether it does nothing at temperature 0."""
        return self.kind in ("scale", "filter")

    @property
    def whole(self) -> bool:
        """Whether its number is whole, or counts the items of a list."""
        return self.turns is None or self.turns.fine == 1

    def number(self, value: Any) -> float:
        """The value as one number: of a list, how many items it has."""
        number: float = len(value) if isinstance(value, tuple) else value
        return number

    def header(self, value: Any) -> str:
        """The value in a few characters."""
        if isinstance(value, tuple):
            return f"{len(value)} {self.short}"
        return f"{self.short} {short_value(value)}"

    def complaints(self, value: Any, temperature: float) -> Iterator[str]:
        """A sentence for each rule that a value breaks."""
        for item in value if isinstance(value, tuple) else (value,):
            for rule in self.rules:
                part = item if rule.part is None else rule.part(item)
                if not rule.holds(part, temperature):
                    shown = f"{part:g}" if isinstance(part, float) else brief(str(part))
                    name = rule.name or self.name
                    yield f"{name} {shown} {rule.wrong}: give {rule.wanted}."


def short_value(value: float) -> str:
    """A setting's value in a few characters: `.80`, `1.50`, `.125`, `40`."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.2f}" if round(value, 2) == value else f"{value:g}"
    return text[1:] if text.startswith("0.") else text
