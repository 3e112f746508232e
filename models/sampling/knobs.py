"""The numbers of the sampling settings as knobs: names, ranges and steps, in the chain's order."""

from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import OFF, STAGES, SamplingSettings


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
    wanted: str
    """What it can be, in an error's words: `give ...`."""
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


KNOBS = tuple(
    Knob(
        stage.option, stage.field, turns.fine, turns.coarse, turns.low, turns.high,
        stage.meaning, stage.rules[0].wanted, stage.elsewhere,
    )
    for stage in STAGES
    if (turns := stage.turns) is not None
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
        raise UsageError(f"{knob.name} {value:g} is not a whole number: give {knob.wanted}.")
    return int(value)


def with_value(settings: SamplingSettings, knob: Knob, value: float) -> SamplingSettings:
    """The settings with one value changed.

    Raises:
        UsageError: for a value outside its range.
    """
    return msgspec.structs.replace(settings, **{knob.field: exact(knob, value)}).checked()
