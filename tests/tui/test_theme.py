"""Every text colour is readable on everything that it is written on, in both themes."""

from itertools import pairwise

import pytest
from rich.color import EIGHT_BIT_PALETTE, ColorSystem
from rich.style import Style
from textual.color import Color
from textual.theme import Theme
from textual.widgets import Label

from tokexplore.tui.terminal.ansi import Ink
from tokexplore.tui.theme import ANSI, DARK, LIGHT, TEXT_ROLES, ThemedApp
from tokexplore.widgets.heat import LEVELS

both = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)


def ratio(a: str, b: str) -> float:
    """Contrast ratio of two colours, WCAG 2.1."""

    def luminance(text: str) -> float:
        channels = [c / 255 for c in Color.parse(text).rgb]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def colours(theme: Theme) -> dict[str, str]:
    return theme.to_color_system().generate() | theme.variables


@both
@pytest.mark.parametrize("ground", ["background", "surface", "panel", "here-row"])
@pytest.mark.parametrize("role", [*TEXT_ROLES, "error", "warning", "success"])
def test_text_is_readable(theme: Theme, ground: str, role: str) -> None:
    known = colours(theme)
    assert ratio(known[role], known[ground]) >= 4.5


@both
def test_text_on_heat_and_on_the_accent_is_readable(theme: Theme) -> None:
    known = colours(theme)
    for level in range(LEVELS):
        assert ratio(known[f"heat-text-{level}"], known[f"heat-{level}"]) >= 4.5
    assert ratio(known["here-text"], known["here"]) >= 4.5


@both
def test_each_level_of_heat_stands_out_more_than_the_one_before(theme: Theme) -> None:
    known = colours(theme)
    distance = [ratio(known[f"heat-{n}"], known["background"]) for n in range(LEVELS)]
    assert distance[0] == pytest.approx(1)
    assert all(later > 1.12 * earlier for earlier, later in pairwise(distance))


@both
def test_bars_can_be_told_from_the_background_and_from_cut_ones(theme: Theme) -> None:
    known = colours(theme)
    assert ratio(known["model-bar"], known["background"]) >= 3
    assert ratio(known["cut"], known["background"]) >= 2
    assert ratio(known["model-bar"], known["cut"]) >= 1.3


def test_the_themes_define_the_same_variables() -> None:
    assert DARK.variables.keys() == LIGHT.variables.keys()
    assert DARK.variables.keys() <= ANSI.variables.keys()


def test_the_terminal_s_own_palette_is_all_that_its_theme_uses() -> None:
    known = colours(ANSI)
    assert all(Color.parse(known[name]).ansi is not None for name in DARK.variables)
    assert len({(known[f"heat-{n}"], known[f"heat-text-{n}"]) for n in range(LEVELS)}) == LEVELS


@both
def test_in_256_colours_the_levels_of_heat_still_differ_and_are_readable(theme: Theme) -> None:
    known = colours(theme)

    def nearest(name: str) -> str:
        style = Style(color=known[name])
        parts = Ink.of(style, ColorSystem.EIGHT_BIT).foreground.split(";")
        return "#{:02x}{:02x}{:02x}".format(*EIGHT_BIT_PALETTE[int(parts[2])])

    grounds = [nearest(f"heat-{n}") for n in range(LEVELS)]
    assert len(set(grounds)) == LEVELS
    for level, ground in enumerate(grounds):
        assert ratio(nearest(f"heat-text-{level}"), ground) >= 4.5
    for role in TEXT_ROLES:
        for ground in ("background", "surface", "panel", "here-row"):
            assert ratio(nearest(role), nearest(ground)) >= 4.5


async def test_a_foreign_theme_gets_our_colours_by_its_darkness() -> None:
    class Foreign(ThemedApp[None]):
        CSS = "Label { color: $here; }"

        def compose(self):  # type: ignore[no-untyped-def]
            yield Label("x")

    app = Foreign()
    async with app.run_test() as pilot:
        for name, theme in (("nord", DARK), ("textual-light", LIGHT), (LIGHT.name, LIGHT)):
            app.theme = name
            await pilot.pause()
            assert app.query_one(Label).styles.color == Color.parse(theme.variables["here"])
