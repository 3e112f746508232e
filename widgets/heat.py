"""How unlikely a token was, as one of six levels of one ramp, and the legend of that ramp.

Level 0 is transparent. Each level's label is the value at which the level begins, so that a legend
drawn from `legend` names exactly what the colours mean.
"""

import math
from bisect import bisect_right
from typing import Literal, NamedTuple

Colouring = Literal["surprisal", "probability", "entropy"]
COLOURINGS: tuple[Colouring, ...] = ("surprisal", "probability", "entropy")

LEVELS = 6
NONE = -1
"""The level of a token whose value is not known."""

UNITS: dict[Colouring, str] = {
    "surprisal": "nats",
    "probability": "of the top",
    "entropy": "nats",
}

_SURPRISAL = (0.5, 1.0, 2.0, 4.0, 6.0)
_ENTROPY = (0.5, 1.0, 2.0, 3.0, 5.0)
_RATIO = (0.01, 0.05, 0.2, 0.5, 1.0)

_LEGENDS: dict[Colouring, tuple[str, ...]] = {
    "surprisal": ("0", ".5", "1", "2", "4", "6+"),
    "probability": ("1", ".5", ".2", ".05", ".01", "0"),
    "entropy": ("0", ".5", "1", "2", "3", "5+"),
}


class Ramp(NamedTuple):
    """The colours of the levels on one kind of background (as CSS has them, LEVELS of each)."""

    backgrounds: tuple[str, ...]
    texts: tuple[str, ...]
    """A colour that is readable (contrast ≥ 4.5) on the background of the same level."""


DARK_RAMP = Ramp(
    ("#0e1118", "#1a2138", "#262d5a", "#43317c", "#752f7e", "#b32e5c"),
    ("#e6e6e6", "#e6e6e6", "#e9e9ee", "#efedf4", "#f6eef6", "#ffffff"),
)
LIGHT_RAMP = Ramp(
    ("#fbfaf7", "#e8edf8", "#cfdaf4", "#c8bdf0", "#e4a5d0", "#b3275a"),
    ("#1c2129", "#1c2129", "#1a2030", "#1a1730", "#2a1024", "#ffffff"),
)

ANSI_RAMP = Ramp(
    (*["ansi_default"] * 5, "ansi_red"),
    (
        "ansi_default", "ansi_cyan", "ansi_green", "ansi_magenta", "ansi_red", "ansi_bright_white",
    ),
)  # fmt: skip
"""For a terminal's own palette: colours of the text, which loud backgrounds would drown."""


def level(colouring: Colouring, value: float) -> int:
    """The level (0 to LEVELS - 1) of a value; NONE where it is NaN.

    Args:
        colouring: what the value is.
        value: `surprisal` and `entropy` in nats; `probability` as p / p of the top option, so
            that a token as likely as any other is at level 0 whatever its absolute chance.
    """
    if math.isnan(value):
        return NONE
    if colouring == "probability":
        return LEVELS - 1 - bisect_right(_RATIO, value)
    return bisect_right(_ENTROPY if colouring == "entropy" else _SURPRISAL, value)


def legend(colouring: Colouring) -> list[tuple[str, int]]:
    """Labels and their levels, from the coolest to the hottest."""
    return [(label, step) for step, label in enumerate(_LEGENDS[colouring])]
