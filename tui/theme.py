"""The themes, dark, light and the terminal's own, and the colours that widgets ask for by name.

| variable | role |
|---|---|
| `here` | the one accent: where the user stands; `here-text` is readable on it |
| `here-row` | background of the row or token under a cursor |
| `muted` | secondary text: labels, units, what was left |
| `rule` | lines between the parts of the screen (not text) |
| `model-bar` | bars of the model's probabilities |
| `sampler` | the sampler's numbers, and what the sampler does |
| `cut`, `cut-text` | bar and text of a candidate that the sampler cut |
| `special` | special tokens, control pictures |
| `close`, `close-bar` | close calls ≈, and the bars of their entropy |
| `heat-0` ... `heat-5` | the ramp, as backgrounds; `heat-text-0` ... are readable on them |
| `heat-6` ... `heat-11` | the ramps of two models' difference, less sure and more |
| `less`, `more` | bars of what a second model holds less probable, and more |
"""

from typing import TypeVar

from textual.app import App
from textual.theme import BUILTIN_THEMES, Theme

from tokexplore.widgets.heat import ANSI_RAMP, DARK_RAMP, LIGHT_RAMP, Ramp

ReturnType = TypeVar("ReturnType")

TEXT_ROLES = ("foreground", "muted", "here", "sampler", "cut-text", "special", "close")
"""Colours that text is written in, on `background`, `surface`, `panel` and `here-row`."""


def _heat(ramp: Ramp) -> dict[str, str]:
    backgrounds = {f"heat-{n}": colour for n, colour in enumerate(ramp.backgrounds)}
    return backgrounds | {f"heat-text-{n}": colour for n, colour in enumerate(ramp.texts)}


def _textual_colours(muted: str, rule: str, background: str) -> dict[str, str]:
    """Textual's own parts in our colours: text, scrollbars."""
    return {
        "muted": muted,
        "text-muted": muted,
        "rule": rule,
        "scrollbar": rule,
        "scrollbar-hover": muted,
        "scrollbar-active": muted,
        "scrollbar-background": background,
        "scrollbar-background-hover": background,
        "scrollbar-background-active": background,
        "scrollbar-corner-color": background,
    }


DARK = Theme(
    name="tokexplore-dark",
    dark=True,
    primary="#4fa3d1",
    secondary="#8fd694",
    accent="#ffb454",
    foreground="#e6e6e6",
    background="#0e1118",
    surface="#141a24",
    panel="#1a222e",
    warning="#e5c07b",
    error="#ff7b72",
    success="#8fd694",
    variables={
        "here": "#ffb454",
        "here-text": "#14100a",
        "here-row": "#1c2733",
        "model-bar": "#4fa3d1",
        "sampler": "#8fd694",
        "cut": "#5d6674",
        "cut-text": "#8b93a1",
        "special": "#79c0c9",
        "close": "#a5d8f6",
        "close-bar": "#80c1e8",
        "less": "#e0606e",
        "more": "#5aa2e8",
        **_textual_colours("#98a0ae", "#333d4b", "#0e1118"),
        **_heat(DARK_RAMP),
    },
)

LIGHT = Theme(
    name="tokexplore-light",
    dark=False,
    primary="#1f6f9f",
    secondary="#1d6b35",
    accent="#9a4500",
    foreground="#1c2129",
    background="#fbfaf7",
    surface="#f3f2ee",
    panel="#e9e8e3",
    warning="#7a5a00",
    error="#b3261e",
    success="#1d6b35",
    variables={
        "here": "#9a4500",
        "here-text": "#ffffff",
        "here-row": "#e3e8ee",
        "model-bar": "#3d8fbf",
        "sampler": "#1d6b35",
        "cut": "#a9adb5",
        "cut-text": "#5b6270",
        "special": "#0f6470",
        "close": "#0b4f7d",
        "close-bar": "#2678a8",
        "less": "#b0252f",
        "more": "#1f5fa8",
        **_textual_colours("#59606d", "#c9c8c2", "#fbfaf7"),
        **_heat(LIGHT_RAMP),
    },
)

ANSI = Theme(
    name="tokexplore-ansi",
    dark=True,
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_green",
    accent="ansi_yellow",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "here": "ansi_yellow",
        "here-text": "ansi_black",
        "here-row": "ansi_default",
        "model-bar": "ansi_blue",
        "sampler": "ansi_green",
        "cut": "ansi_bright_black",
        "cut-text": "ansi_default",
        "special": "ansi_cyan",
        "close": "ansi_cyan",
        "close-bar": "ansi_cyan",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_yellow",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-background": "ansi_yellow",
        "less": "ansi_red",
        "more": "ansi_blue",
        **_textual_colours("ansi_default", "ansi_bright_black", "ansi_default"),
        **_heat(ANSI_RAMP),
    },
)
"""Nobody knows what is on which side of the terminal's palette, so text is in colours that are
readable on dark and light ones, and nothing but the heat and the accent has a background."""


class ThemedApp(App[ReturnType]):
    """An app that knows our themes; under any other theme our colours fall back by its darkness."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.register_theme(ANSI)
        self.theme = DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our variables for a theme that does not define them."""
        return (DARK if self.current_theme.dark else LIGHT).variables
