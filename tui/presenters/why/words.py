"""Which words did it: what hiding each stretch of a path took from the token, and estimates of it
by gradients."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.display import NEWLINE, SPACE, counted, safe_text
from tokexplore.models.interpret.agreement import agreements, nested, total
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.models.interpret.units import Unit
from tokexplore.widgets.bars import from_middle
from tokexplore.widgets.cell_text import cut, fit, width
from tokexplore.widgets.heat import effect_level
from tokexplore.widgets.numbers import percent
from tokexplore.widgets.role_lines import Piece, Role, Row, heat_role

_KIND, _FIGURE, _SHARE = 10, 9, 9
_LEAST_TEXT = 14
SHORT = {"gradient x input": "grad·x", "integrated gradients": "int. grad"}
"""Names of estimates over their columns."""


class Told(NamedTuple):
    """What is known of the stretches of a path."""

    pieces: Sequence[str]
    """Text of each token of the path."""
    names: Sequence[str]
    """What each token is called by itself."""
    occluded: Sequence[Occluded]
    estimates: Mapping[str, Attributions]

    @property
    def largest(self) -> float:
        """The largest effect of any of the finest stretches, nats."""
        return max((abs(each.effect) for each in self.finest), default=0.0)

    @property
    def finest(self) -> list[Occluded]:
        """The stretches that were not looked into further, in the order of the text."""
        return [each.occluded for each in nested(self.occluded) if each.finest]


def listed(told: Told, *, by_size: bool) -> list[Occluded]:
    """The stretches in the order of their effects, the finest alone; or all of them in the order of
    the text, each round under the one that it looked into."""
    if by_size:
        return sorted(told.finest, key=lambda each: -abs(each.effect))
    return [each.occluded for each in nested(told.occluded)]


def text_roles(told: Told, chosen: Unit | None) -> list[Role]:
    """The role of each token: by the effect of the finest stretch that holds it."""
    roles: list[Role] = ["text"] * len(told.pieces)
    finest, largest = told.finest, told.largest
    for each in finest:
        role = heat_role(effect_level(each.effect, largest))
        for at in each.unit.tokens:
            roles[at] = role
    for at in chosen.tokens if chosen else ():
        roles[at] = "chosen"
    return roles


def words_head(told: Told, columns: int) -> list[Row]:
    """The names of the columns of `words_rows`."""
    text, bar, estimates = _sizes(told, columns)
    names = f"{'nats':>{_FIGURE}}"
    names += f"  {'pushed':^{bar}}  {'hidden: p':>{_SHARE}}" if bar else ""
    more = "".join(f"{SHORT[method]:>{_FIGURE + 1}}" for method in [*told.estimates][:estimates])
    return [[Piece(fit("stretch", _KIND + text), "muted"), Piece(names, "muted"),
             Piece(more, "muted")]]  # fmt: skip


def words_rows(rows: Sequence[Occluded], told: Told, columns: int, *, indented: bool) -> list[Row]:
    """A row for each stretch: its text, what hiding it took from the token's logprob, and the
    probability of the token then."""
    text, bar, estimates = _sizes(told, columns)
    largest = max((abs(each.effect) for each in rows), default=0.0) or 1.0
    found = list[Row]()
    for each in rows:
        unit = each.unit
        kind = f"{unit.role or 'template'}" if unit.kind in ("turn", "template") else unit.kind
        inset = {"sentence": 1, "word": 2, "token": 3}.get(unit.kind, 0) if indented else 0
        shown = _middle(" " * inset + _unit_text(told, unit), text - 1)
        line = [
            Piece(fit(cut(kind, _KIND - 1), _KIND), "muted"),
            Piece(fit(shown, text)),
            Piece(f"{each.effect:>+{_FIGURE}.3f}"),
        ]
        if bar:
            role: Role = "more" if each.effect > 0 else "less"
            line += [
                Piece("  " + from_middle(each.effect / largest, bar), role),
                Piece(f"  {percent(math.exp(each.logprobs[0])):>{_SHARE}}", "muted"),
            ]
        for estimate in [*told.estimates.values()][:estimates]:
            score = total(unit, estimate.scores)
            line.append(Piece(f"{score:>+{_FIGURE + 1}.3f}", "muted"))
        found.append(line)
    return found


def estimates_words(told: Told) -> list[str]:
    """Of each estimate: how far it agrees with occlusion over the most stretches of one kind, and
    what it leaves out."""
    words = []
    for method, estimate in told.estimates.items():
        agreed = agreements(told.occluded, estimate.scores)
        most = max(agreed, key=lambda each: each.units, default=None)
        agrees = "too few stretches to rank"
        if most is not None and most.correlation is not None:
            agrees = (
                f"rank correlation {most.correlation:+.2f} over {counted(most.units, most.kind)}"
            )
        words.append(
            f"{SHORT[method]} (estimate): {agrees} with occlusion, completeness error "
            f"{estimate.completeness_error:.2g} nats"
        )
    return words


def _unit_text(told: Told, unit: Unit) -> str:
    """The text of a stretch on one line; its bytes where it is but the beginning of a character."""
    words = safe_text("".join(told.pieces[unit.start : unit.end]).replace("\n", NEWLINE))
    if not words:
        return "".join(told.names[unit.start : unit.end])
    return words.strip(" ") or SPACE


def _middle(text: str, cells: int) -> str:
    """The beginning and the end of a text in so many cells."""
    if width(text) <= cells:
        return text
    half = (cells - 1) // 2
    head = cut(text, half + 1)
    tail = text[len(text) - half :]
    while width(head) + width(tail) > cells:
        tail = tail[1:]
    return head + tail


def _sizes(told: Told, columns: int) -> tuple[int, int, int]:
    """Cells of the text and of the bar, and how many estimates there is room for: where there is
    little, a column is left out whole."""
    room = columns - _KIND - _FIGURE
    estimates = min(len(told.estimates), max(0, room - _LEAST_TEXT) // (_FIGURE + 1))
    room -= estimates * (_FIGURE + 1)
    left = room - _SHARE - 4
    if left < _LEAST_TEXT + 5:
        return max(_LEAST_TEXT, room), 0, estimates
    bar = 21 if left >= 60 else 11 if left >= _LEAST_TEXT + 11 else 5
    return left - bar, bar, estimates
