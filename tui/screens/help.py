"""Help, made from the bindings that are in force."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen

from tokexplore.tui.keymap import NONE, Rebinding, shown_key
from tokexplore.tui.keys import EVERYWHERE, GROUPS, Command, bindings
from tokexplore.tui.presenters.terms import TERMS
from tokexplore.tui.screens.search_sheet import SearchSheet, SheetLine
from tokexplore.tui.screens.terms import term_line

_NAMES, _KEYS = 30, 9
"""Cells of keys with what they are called, and of the keys alone: longer ones push on the name."""


class KeyLine(NamedTuple):
    """One line of help."""

    id: str
    """By which the key is rebound."""
    keys: str
    """As a keyboard has them."""
    label: str
    tooltip: str


class HelpSheet(SearchSheet):
    """The keys of a screen, and all terms."""


def help_for(
    screen: Screen[Any],
    everywhere: Sequence[BindingType],
    own: Rebinding,
    why_not: Callable[[str], str],
    *,
    main: bool,
) -> HelpSheet:
    """The keys of a screen: of the main one with those of the screens that it opens.

    Args:
        everywhere: the app's own bindings.
        own: the user's keys.
        why_not: why the engine cannot do an action of the main screen; empty where it can.
        main: whether it is the main screen.
    """
    places = screens(own)
    if main:
        others = {name: kind.BINDINGS for kind, name in places.items()}
        return help_sheet(own, {**others, "Everywhere": everywhere}, why_not=why_not)
    name = places.get(type(screen)) or getattr(screen, "title_text", "") or "This screen"
    both = [*bindings(EVERYWHERE), *everywhere]
    return help_sheet(own, {name: screen.BINDINGS, "Everywhere": both}, {})


def screens(own: Rebinding = NONE) -> dict[type[Screen[Any]], str]:
    """The screens that the main one opens, with what help calls them."""
    from tokexplore.tui.screens.compare import CompareScreen
    from tokexplore.tui.screens.futures import FuturesScreen
    from tokexplore.tui.screens.grow import GrowScreen
    from tokexplore.tui.screens.lab import LabScreen
    from tokexplore.tui.screens.lab_readings import ReadingsScreen
    from tokexplore.tui.screens.map import MapScreen
    from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
    from tokexplore.tui.screens.temperatures import TemperaturesScreen
    from tokexplore.tui.screens.why import WhyScreen

    return {
        CompareScreen: own.words("Comparing ({branch.compare:d})"),
        SamplerLensScreen: own.words("The sampling lens ({view.settings:s})"),
        TemperaturesScreen: own.words("Temperatures ({view.ladder:C})"),
        FuturesScreen: own.words("Futures ({act.futures:F})"),
        GrowScreen: own.words("Growing a tree ({act.grow:G})"),
        WhyScreen: own.words("Why this token ({view.why:Y})"),
        MapScreen: own.words("The map ({view.map:I})"),
        LabScreen: own.words("The lab ({view.lab:D})"),
        ReadingsScreen: own.words("Readings in the lab ({lab.readings:i})"),
    }


def help_sheet(
    own: Rebinding,
    others: Mapping[str, Sequence[BindingType]],
    groups: Mapping[str, Sequence[Command]] = GROUPS,
    why_not: Callable[[str], str] = lambda _action: "",
) -> HelpSheet:
    """All keys by group, then the terms; the arguments are those of `key_lines`, for `own` keys."""
    keys = key_lines(own.shown, others, groups, why_not)
    sections = {place: [_key_line(line) for line in lines] for place, lines in keys.items()}
    terms = [term_line(term, own) for terms in TERMS.values() for term in terms]
    return HelpSheet("Keys", {**sections, "Words on the screen": terms})


def key_lines(
    rebound: Mapping[str, str],
    others: Mapping[str, Sequence[BindingType]],
    groups: Mapping[str, Sequence[Command]] = GROUPS,
    why_not: Callable[[str], str] = lambda _action: "",
) -> dict[str, list[KeyLine]]:
    """What each key does, by group and place.

    Args:
        rebound: the user's own keys by id.
        others: bindings of other places than the main screen, by the place's name.
        groups: commands of the main screen.
        why_not: why one of them cannot be done; empty where it can.
    """
    lines: dict[str, list[KeyLine]] = {}
    for group, commands in groups.items():
        lines[group] = []
        for command in commands:
            nth = command.action.startswith("take_nth") and command.id not in rebound
            if nth and command.id != "act.take1":
                continue
            keys = rebound.get(command.id, command.shown)
            tooltip = why_not(command.action) or command.tooltip
            line = KeyLine(command.id, keys, command.label, tooltip)
            if nth:
                line = KeyLine(
                    "act.take1 … act.take9", "1 … 9", "take by number",
                    "Take the candidate in that row.",
                )  # fmt: skip
            lines[group].append(line)
    for place, bound in others.items():
        lines[place] = [
            KeyLine(
                b.id or "",
                rebound.get(b.id or "", b.key_display or _shown(b.key)),
                b.description,
                b.tooltip,
            )
            for b in bound
            if isinstance(b, Binding) and b.description
        ]
    return lines


def _shown(keys: str) -> str:
    """Keys as a keyboard has them: `↑ k`."""
    return " ".join(shown_key(key) for key in keys.split(","))


def _key_line(line: KeyLine) -> SheetLine:
    keys = (f"  {line.keys:<{_KEYS}} ", "bold")
    name = Content.assemble(keys, (f"{line.label} ", "$text"))
    return SheetLine(name, _NAMES, line.tooltip, tuple(line.keys.split()))
