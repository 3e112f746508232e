"""The numbers of the sampling settings as knobs: names, ranges and steps, in the chain's order."""

from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import OFF, SamplingSettings


class Knob(NamedTuple):
    """One value that can be turned."""

    name: str
    """As options and commands spell it."""
    field: str
    fine: float
    coarse: float
    low: float
    high: float
    meaning: str
    elsewhere: str = ""
    """Whose formula it is, where transformers has none."""

    @property
    def whole(self) -> bool:
        return self.fine == 1

    @property
    def neutral(self) -> float:
        """Where it does nothing; greedy for the temperature."""
        value: float = OFF[self.field]
        return value

    def turned(self, value: float, by: float) -> float:
        """A value moved by so much, within the range."""
        value = min(self.high, max(self.low, value + by))
        return int(value) if self.whole else round(float(value), 6)


_MANY = 2**64 - 1

KNOBS = (
    Knob(
        "repetition-penalty", "repetition_penalty", 0.05, 0.5, 0.05, 10,
        "weaker once said; 1 off",
    ),
    Knob("no-repeat-ngram", "no_repeat_ngram", 1, 2, 0, 100, "no N tokens twice; 0 off"),
    Knob(
        "presence-penalty", "presence_penalty", 0.1, 0.5, -10, 10,
        "weaker once said; 0 off", "OpenAI's",
    ),
    Knob(
        "frequency-penalty", "frequency_penalty", 0.1, 0.5, -10, 10,
        "and for each time; 0 off", "OpenAI's",
    ),
    Knob("temperature", "temperature", 0.05, 0.5, 0, 1e6, "0 greedy; higher flatter"),
    Knob(
        "dynamic-range", "dynamic_range", 0.05, 0.2, 0, 1e6,
        "T ± this, by H; 0 off", "llama.cpp's",
    ),
    Knob("top-h", "top_h", 0.05, 0.1, 0, 1, "this share of H; 0 off"),
    Knob("top-k", "top_k", 1, 10, 0, _MANY, "K most probable; 0 off"),
    Knob("top-p", "top_p", 0.01, 0.1, 0.01, 1, "nucleus mass; 1 off"),
    Knob("min-p", "min_p", 0.01, 0.1, 0, 1, "least share of top; 0 off"),
    Knob("typical-p", "typical_p", 0.01, 0.1, 0.01, 1, "nearest to H; 1 off"),
    Knob("epsilon-cutoff", "epsilon_cutoff", 0.001, 0.01, 0, 0.999, "least probability; 0 off"),
    Knob("eta-cutoff", "eta_cutoff", 0.001, 0.01, 0, 0.999, "less at high H; 0 off"),
    Knob("seed", "seed", 1, 100, 0, _MANY, "same path: same token"),
)  # fmt: skip
"""In transformers' order, as far as transformers has them."""

BY_NAME = {knob.name: knob for knob in KNOBS}


def exact(knob: Knob, value: float) -> float:
    """A value as the settings have it.

    Raises:
        UsageError: for a part of a whole number.
    """
    if not knob.whole:
        return float(value)
    if value != int(value):
        raise UsageError(f"{knob.name} {value:g} is not a whole number.")
    return int(value)


def with_value(settings: SamplingSettings, knob: Knob, value: float) -> SamplingSettings:
    """The settings with one value changed.

    Raises:
        UsageError: for a value outside its range.
    """
    return msgspec.structs.replace(settings, **{knob.field: exact(knob, value)}).checked()
