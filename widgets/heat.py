"""How unlikely a token was, as one of six levels of one ramp, and the legend of that ramp.

Level 0 is transparent. Each level's label is the value at which the level begins, so that a legend
drawn from `legend` names exactly what the colours mean.

What two models say of a token diverges both ways from level 0: where the second is less sure of it,
in levels 6 to 8, and where it is more so, in levels 9 to 11.
"""

import math
from bisect import bisect_right
from typing import Literal, NamedTuple

Colouring = Literal["surprisal", "probability", "entropy", "delta", "share"]
"""`delta`: a second model's logprob of the token less the first one's; `share`: a probability, the
hotter the larger."""
COLOURINGS: tuple[Colouring, ...] = ("surprisal", "probability", "entropy")
"""Those of one model."""

LEVELS = 6
DIVERGING = 3
"""Levels either way."""
SHADES = LEVELS + 2 * DIVERGING
"""Colours in all."""
NONE = -1
"""The level of a token whose value is not known."""

UNITS: dict[Colouring, str] = {
    "surprisal": "nats",
    "probability": "of the top",
    "entropy": "nats",
    "delta": "nats",
    "share": "",
}
TITLES: dict[Colouring, str] = {"delta": "Δlogprob", "share": "probability"}
"""What a colouring is called where its word is not its name."""

_SURPRISAL = (0.5, 1.0, 2.0, 4.0, 6.0)
_ENTROPY = (0.5, 1.0, 2.0, 3.0, 5.0)
_DELTA = (0.25, 1.0, 3.0)
_EFFECT = (0.1, 0.35, 0.7)
"""Of the largest."""
_SHARE = (0.05, 0.2, 0.5, 0.8, 0.95)
_RATIO = (0.01, 0.05, 0.2, 0.5, 1.0)

_LEGENDS: dict[Colouring, tuple[str, ...]] = {
    "surprisal": ("0", ".5", "1", "2", "4", "6+"),
    "probability": ("1", ".5", ".2", ".05", ".01", "0"),
    "entropy": ("0", ".5", "1", "2", "3", "5+"),
    "delta": ("−3", "−1", "−.25", "0", "+.25", "+1", "+3"),
    "share": ("0", ".05", ".2", ".5", ".8", ".95"),
}
_DELTA_LEVELS = (8, 7, 6, 0, 9, 10, 11)


class Ramp(NamedTuple):
    """The colours of the levels on one kind of background (as CSS has them, SHADES of each)."""

    backgrounds: tuple[str, ...]
    texts: tuple[str, ...]
    """A colour that is readable (contrast ≥ 4.5) on the background of the same level."""


DARK_RAMP = Ramp(
    (
        "#0e1118", "#1a2138", "#262d5a", "#43317c", "#752f7e", "#b32e5c",
        "#35191f", "#6a2130", "#b02a3c", "#14283d", "#1a466f", "#1f6cb5",
    ),
    (
        "#e6e6e6", "#e6e6e6", "#e9e9ee", "#efedf4", "#f6eef6", "#ffffff",
        "#f0e3e5", "#f6e6e9", "#ffffff", "#e3eaf2", "#e6eff8", "#ffffff",
    ),
)  # fmt: skip
LIGHT_RAMP = Ramp(
    (
        "#fbfaf7", "#e8edf8", "#cfdaf4", "#c8bdf0", "#e4a5d0", "#b3275a",
        "#f8e3e2", "#efb9b9", "#b0252f", "#dfeaf6", "#adcdee", "#1f5fa8",
    ),
    (
        "#1c2129", "#1c2129", "#1a2030", "#1a1730", "#2a1024", "#ffffff",
        "#2a1214", "#2a0e12", "#ffffff", "#10202f", "#0c1d30", "#ffffff",
    ),
)  # fmt: skip

ANSI_RAMP = Ramp(
    (
        *["ansi_default"] * 5, "ansi_red",
        "ansi_default", "ansi_default", "ansi_red", "ansi_default", "ansi_default", "ansi_blue",
    ),
    (
        "ansi_default", "ansi_cyan", "ansi_green", "ansi_magenta", "ansi_red", "ansi_bright_white",
        "ansi_magenta", "ansi_red", "ansi_bright_white",
        "ansi_cyan", "ansi_blue", "ansi_bright_white",
    ),
)  # fmt: skip
"""For a terminal's own palette: colours of the text, which loud backgrounds would drown."""


def level(colouring: Colouring, value: float) -> int:
    """The level of a value; NONE where it is NaN.

    Args:
        colouring: what the value is.
        value: in nats; `probability` as p / p of the top option, so that a token as likely as any
            other is at level 0 whatever its absolute chance.
    """
    if math.isnan(value):
        return NONE
    if colouring == "delta":
        return _diverging(bisect_right(_DELTA, abs(value)), value)
    if colouring == "share":
        return bisect_right(_SHARE, value)
    if colouring == "probability":
        return LEVELS - 1 - bisect_right(_RATIO, value)
    return bisect_right(_ENTROPY if colouring == "entropy" else _SURPRISAL, value)


def effect_level(effect: float, largest: float) -> int:
    """The level of what something pushed towards, or against (below 0), by its share of the largest
    such effect."""
    return _diverging(bisect_right(_EFFECT, abs(effect) / largest) if largest else 0, effect)


def effect_legend(largest: float) -> list[tuple[str, int]]:
    """Labels and levels of `effect_level`, from against to towards (nats)."""
    ends = [f"{share * largest:.2g}" for share in _EFFECT]
    labels = [*(f"−{end}" for end in reversed(ends)), "0", *(f"+{end}" for end in ends)]
    return list(zip(labels, _DELTA_LEVELS, strict=True))


def _diverging(far: int, value: float) -> int:
    return far and LEVELS - 1 + far + DIVERGING * (value > 0)


def legend(colouring: Colouring) -> list[tuple[str, int]]:
    """Labels and their levels, from the coolest to the hottest, or from one end to the other."""
    if colouring == "delta":
        return list(zip(_LEGENDS[colouring], _DELTA_LEVELS, strict=True))
    return [(label, step) for step, label in enumerate(_LEGENDS[colouring])]
