"""The hand on the knobs: values that are turned or typed, and the settings that they make."""

from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.knobs import KNOBS, Knob, exact
from tokexplore.models.sampling.settings import BY_FIELD, SamplingSettings
from tokexplore.models.untrusted import LARGEST_COUNT, brief, number_of
from tokexplore.tui.explore.options import MAX_NEW_TOKENS

LENGTH = Knob(
    "length", "max_new_tokens", 1, 64, 1, LARGEST_COUNT, "tokens a stream may add",
    f"1 to {LARGEST_COUNT}",
)  # fmt: skip
DIALS = (*KNOBS, LENGTH)
"""All that can be turned: the sampler's knobs, and how far a stream goes."""


class Setup(NamedTuple):
    """What is changed by turning."""

    sampling: SamplingSettings
    max_new_tokens: int


class KnobEditor:
    """One knob in hand at a time, the temperature first."""

    def __init__(self, setup: Setup) -> None:
        self._start = setup.sampling
        self.values: dict[str, float] = {}
        self.adopt(setup.sampling)
        self.values[LENGTH.field] = setup.max_new_tokens
        self.index = next(i for i, knob in enumerate(DIALS) if knob.field == "temperature")
        self.typed = ""
        """A number that is being typed."""

    @property
    def knob(self) -> Knob:
        """The knob in hand."""
        return DIALS[self.index]

    def adopt(self, settings: SamplingSettings) -> None:
        """Turn every knob of the sampler to where these settings have it."""
        self.values |= {knob.field: getattr(settings, knob.field) for knob in KNOBS}

    def select(self, by: int) -> None:
        """Take another knob."""
        self.index = (self.index + by) % len(DIALS)

    def turn(self, direction: int, *, coarse: bool) -> None:
        """Turn the knob in hand by a step, within its range."""
        knob = self.knob
        by = direction * (knob.coarse if coarse else knob.fine)
        self.values[knob.field] = knob.turned(self.values[knob.field], by)

    def neutral(self) -> None:
        """Turn the knob in hand to where it does nothing."""
        self.typed = ""
        knob = self.knob
        self.values[knob.field] = MAX_NEW_TOKENS if knob is LENGTH else knob.neutral

    def typed_value(self) -> float:
        """The number that is being typed, as the knob in hand has it.

        Raises:
            UsageError: it is no number, or none that the knob can have under the present
                temperature.
        """
        knob = self.knob
        try:
            value = exact(knob, number_of(self.typed))
        except ValueError:
            raise UsageError(
                f"{brief(self.typed)!r} is not a number that {knob.name} can have: "
                f"give {knob.wanted}."
            ) from None
        if knob is LENGTH:
            _check_length(value)
            return value
        for sentence in BY_FIELD[knob.field].complaints(value, self.values["temperature"]):
            raise UsageError(sentence)
        return value

    def settle(self) -> None:
        """Take a typed number over, whatever other knobs make of it.

        Raises:
            UsageError: see `typed_value`; it then stays typed.
        """
        if self.typed:
            self.values[self.knob.field] = self.typed_value()
            self.typed = ""

    def settings(self) -> SamplingSettings:
        """The knobs as settings; what cannot be turned stays as it was.

        Raises:
            UsageError: for a value outside its range.
        """
        values = {knob.field: exact(knob, self.values[knob.field]) for knob in KNOBS}
        return msgspec.structs.replace(self._start, **values).checked()

    def setup(self) -> Setup:
        """The settings and the length.

        Raises:
            UsageError: for a value outside its range.
        """
        length = exact(LENGTH, self.values[LENGTH.field])
        _check_length(length)
        return Setup(self.settings(), int(length))


def _check_length(length: float) -> None:
    if not LENGTH.low <= length <= LENGTH.high:
        raise UsageError(f"length {length:g} is not possible: give {LENGTH.wanted}.")
