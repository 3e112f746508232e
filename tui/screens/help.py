"""Help, made from the bindings that are in force."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen

from tokexplore.tui.keymap import NONE, SIGNS, Rebinding
from tokexplore.tui.keys import EVERYWHERE, GROUPS, Command, bindings
from tokexplore.tui.screens.dialog import Sheet

WORDS = (
    ("surprisal", "minus the token's logprob: 0 is certain, 7 nats is one in a thousand"),
    ("entropy H", "how open the step is, over the whole vocabulary"),
    ("perplexity", "exp of the entropy: among how many equal choices it would be as open"),
    ("KL to model", "sum q log(q/p): how far the sampler's q is from the model's p (nats)"),
    ("rank", "place by the model's logits, 1 the most probable; ties share one (2=)"),
    ("id", "the token's number in the vocabulary"),
    ("cum", "the model's probability down to this row"),
    ("branch", "a path with its number; at: the step where it left, len: tokens since"),
    ("step, position", "generated tokens from 1; all tokens of the path from 0"),
    ("open end", "after the last token: the next one is not taken yet"),
    ("ctx 58/1024", "tokens of this path, of those that the model's context holds"),
    ("kept 9 of 4,096", "how many tokens the sampler's filters leave; greedy takes the first"),
    ("26 tokens fed again", "no KV cache held them: the model read them once more for this step"),
    ("recomputed", "the logits were no longer kept: one forward pass told them again"),
    ("draw", "which time this step was drawn; r draws again, with another number"),
    ("watched", "bars of a token's logprob: full is 0 nats, empty −16 or less"),
    ("loading libraries", "PyTorch and transformers start; then files and weights are read"),
    ("checking the KV cache", "a few tokens are fed in several ways and have to give the same"),
    ("● REC", "the screen is recorded: ! stops, @ marks"),
    ("margin", "the logprob gap between the first and the second candidate"),
    ("≈ close call", "a step whose margin is small: little would have changed it"),
    ("┬ tree fork", "a step at which more than one token was taken"),
    ("model / sampler", "the raw distribution / what is left of it after temperature and filters"),
)


class KeyLine(NamedTuple):
    """One line of help."""

    id: str
    """By which the key is rebound."""
    keys: str
    """As a keyboard has them."""
    label: str
    tooltip: str


def help_for(
    screen: Screen[Any],
    everywhere: Sequence[BindingType],
    own: Rebinding,
    why_not: Callable[[str], str],
    *,
    main: bool,
) -> Sheet:
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
        return help_sheet(own.shown, {**others, "Everywhere": everywhere}, why_not=why_not)
    name = places.get(type(screen)) or getattr(screen, "title_text", "") or "This screen"
    both = [*bindings(EVERYWHERE), *everywhere]
    return help_sheet(own.shown, {name: screen.BINDINGS, "Everywhere": both}, {})


def screens(own: Rebinding = NONE) -> dict[type[Screen[Any]], str]:
    """The screens that the main one opens, with what help calls them."""
    from tokexplore.tui.screens.compare import CompareScreen
    from tokexplore.tui.screens.lab import LabScreen
    from tokexplore.tui.screens.lab_readings import ReadingsScreen
    from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
    from tokexplore.tui.screens.temperatures import TemperaturesScreen

    return {
        CompareScreen: own.words("Comparing ({branch.compare:d})"),
        SamplerLensScreen: own.words("The sampling lens ({view.settings:s})"),
        TemperaturesScreen: own.words("Temperatures ({view.ladder:C})"),
        LabScreen: own.words("The lab ({view.lab:D})"),
        ReadingsScreen: own.words("Readings in the lab ({lab.readings:i})"),
    }


def help_sheet(
    rebound: Mapping[str, str],
    others: Mapping[str, Sequence[BindingType]],
    groups: Mapping[str, Sequence[Command]] = GROUPS,
    why_not: Callable[[str], str] = lambda _action: "",
) -> Sheet:
    """All keys by group, then the words; the arguments are those of `key_lines`."""
    lines: list[Content] = []
    for place, keys_there in key_lines(rebound, others, groups, why_not).items():
        lines.append(Content.styled(place, "bold $here"))
        lines += map(_key_line, keys_there)
        lines.append(Content(""))
    lines.append(Content.styled("Words on the screen", "bold $here"))
    lines += [Content.assemble((f"  {a:<23}", "$text"), (b, "$text-muted")) for a, b in WORDS]
    return Sheet("Keys", Content("\n").join(lines))


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
    return " ".join(SIGNS.get(key, key) for key in keys.split(","))


def _key_line(line: KeyLine) -> Content:
    return Content.assemble(
        (f"  {line.keys:<8}", "bold"),
        (f"{line.label:<18}", "$text"),
        (line.tooltip, "$text-muted"),
    )
