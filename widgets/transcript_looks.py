"""The styles of the transcript: where each part of it has its colours from."""

from collections.abc import Callable
from typing import NamedTuple

from rich.style import Style

from tokexplore.widgets.heat import SHADES

PARTS = (
    "text", "prompt", "picked", "typed", "special", "mark", "fork", "flip", "cursor", "live",
    "aside", "muted", "template", "reasoning", "role",
)  # fmt: skip
CLASSES = {f"transcript--{part}" for part in PARTS} | {
    f"transcript--heat-{level}" for level in range(SHADES)
}
_NOT_UNDERLINED = Style(bold=True, underline=False)
CSS = """
Transcript {
    height: 1fr;
    padding: 0 1;
    background: $background;
    & > .transcript--text { color: $foreground; }
    & > .transcript--prompt { color: $muted; text-style: italic; }
    & > .transcript--picked { color: $foreground; text-style: underline; }
    & > .transcript--typed { color: $foreground; text-style: italic underline; }
    & > .transcript--special { color: $special; }
    & > .transcript--mark { color: $muted; }
    & > .transcript--fork { color: $muted; }
    & > .transcript--flip { color: $close; }
    & > .transcript--cursor { color: $here; background: $here-text; text-style: bold reverse; }
    & > .transcript--live { color: $foreground; }
    & > .transcript--aside { color: $muted; text-style: italic; }
    & > .transcript--muted { color: $muted; }
    & > .transcript--template { color: $muted; }
    & > .transcript--reasoning { color: $foreground; text-style: italic; }
    & > .transcript--role { color: $foreground; text-style: bold; }
    & > .transcript--heat-0 { color: $heat-text-0; background: $heat-0; }
    & > .transcript--heat-1 { color: $heat-text-1; background: $heat-1; }
    & > .transcript--heat-2 { color: $heat-text-2; background: $heat-2; }
    & > .transcript--heat-3 { color: $heat-text-3; background: $heat-3; }
    & > .transcript--heat-4 { color: $heat-text-4; background: $heat-4; }
    & > .transcript--heat-5 { color: $heat-text-5; background: $heat-5; }
    & > .transcript--heat-6 { color: $heat-text-6; background: $heat-6; }
    & > .transcript--heat-7 { color: $heat-text-7; background: $heat-7; }
    & > .transcript--heat-8 { color: $heat-text-8; background: $heat-8; }
    & > .transcript--heat-9 { color: $heat-text-9; background: $heat-9; }
    & > .transcript--heat-10 { color: $heat-text-10; background: $heat-10; }
    & > .transcript--heat-11 { color: $heat-text-11; background: $heat-11; }
    &:nocolor > .transcript--heat-3 { text-style: bold; }
    &:nocolor > .transcript--heat-4 { text-style: bold; }
    &:nocolor > .transcript--heat-5 { text-style: bold italic; }
    &:nocolor > .transcript--heat-8 { text-style: bold italic; }
    &:nocolor > .transcript--heat-11 { text-style: bold; }
}
"""


class Looks(NamedTuple):
    """The styles of the parts, as resolved from the component classes of the same names."""

    text: Style
    prompt: Style
    picked: Style
    typed: Style
    special: Style
    mark: Style
    fork: Style
    flip: Style
    cursor: Style
    live: Style
    aside: Style
    muted: Style
    template: Style
    reasoning: Style
    role: Style
    heat: tuple[Style, ...]

    def with_boundaries(self) -> "Looks":
        """The same where an underline says that a token begins: picked tokens are bold instead."""
        picked, typed = self.picked + _NOT_UNDERLINED, self.typed + _NOT_UNDERLINED
        return self._replace(picked=picked, typed=typed)


def looks_of(style_of: Callable[[str], Style]) -> Looks:
    """The styles as a theme resolves them, each by the name of its component class."""
    parts = {part: style_of(f"transcript--{part}") for part in PARTS}
    heat = tuple(style_of(f"transcript--heat-{level}") for level in range(SHADES))
    return Looks(**parts, heat=heat)
