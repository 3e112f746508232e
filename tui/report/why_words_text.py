"""Which words of a path did it, in words and tables."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.display import counted, safe_text, visible
from tokexplore.models.interpret.agreement import Agreement, agreements, nested
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.models.interpret.units import Unit
from tokexplore.tui.report.diff_text import small
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.tui.report.why_layers_text import signed
from tokexplore.tui.report.why_values import Asked, Worded
from tokexplore.widgets.bars import from_middle
from tokexplore.widgets.numbers import logprob_text, percent

BAR = 21
LONGEST = 48
"""Cells of a stretch's text."""
ATTENTION = "attention"


class Row(NamedTuple):
    """A stretch that was hidden, for a table in reading order."""

    occluded: Occluded
    depth: int
    name: str
    """What it is and its text, on one line."""
    figures: tuple[str, ...]


def words_lines(asked: Asked, found: Worded, top: int) -> Iterator[str]:
    """The strongest of the finest stretches, and all of them in reading order."""
    pieces = asked.pieces
    yield words_title(asked)
    yield from estimate_lines(found)
    if found.occluded:
        yield f"Nothing hidden: {_base(asked, found)}"
        yield ""
        yield "Strongest of the finest stretches:"
        for each in strongest(found, top):
            yield f"  {signed(each.effect)} nats  {unit_name(asked, pieces, each.unit)}"
        yield ""
        yield f"In reading order ({direction(asked)}):"
        yield from _table(asked, found)
    yield from words_notes(found)


def words_title(asked: Asked) -> str:
    """What is asked."""
    return f"Which words did it: {target_words(asked)}, each stretch hidden by itself"


def target_words(asked: Asked) -> str:
    """What effects are effects on: `logprob of ␣king`."""
    show = asked.vocabulary.show
    more = f" less that of {show(asked.against.token)}" if asked.against else ""
    return f"logprob of {show(asked.token.token)}{more}"


def direction(asked: Asked) -> str:
    """What the sign of an effect means."""
    return f"nats; + pushed towards {asked.vocabulary.show(asked.token.token)}, − against it"


def strongest(found: Worded, top: int) -> list[Occluded]:
    """The `top` stretches with the largest effects, of those in which no finer one was hidden."""
    finest = [each.occluded for each in nested(found.occluded) if each.finest]
    return sorted(finest, key=lambda each: (-abs(each.effect), each.unit.start))[:top]


def columns(asked: Asked, found: Worded) -> tuple[str, ...]:
    """Heads of the figures of a stretch."""
    hidden = (f"P({cut(asked.vocabulary.show(t.token), 12)}) hidden" for t in asked.named)
    made = [each.method for each in found.estimates]
    return ("effect", *hidden, *made, *([ATTENTION] if found.weights else []), "tokens")


def rows(asked: Asked, found: Worded) -> Iterator[Row]:
    """All stretches in reading order, the coarse ones before those that lie in them."""
    pieces = asked.pieces
    for each, depth, _ in nested(found.occluded):
        unit = each.unit
        estimates = (found.estimate(made.method, unit) or 0.0 for made in found.estimates)
        attended = found.attended(unit)
        figures = (
            signed(each.effect),
            *(percent(math.exp(logprob)) for logprob in each.logprobs),
            *(signed(score) for score in estimates),
            *(["" if attended is None else percent(attended)] if found.weights else []),
            _places(unit),
        )
        yield Row(each, depth, unit_name(asked, pieces, unit), figures)


def largest_effect(found: Worded) -> float:
    """Of one stretch, without its sign; 0 where none has a finite one."""
    sizes = (abs(each.effect) for each in found.occluded)
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def unit_name(asked: Asked, pieces: list[str], unit: Unit) -> str:
    """What a stretch is, whose, and its text."""
    whose = f" of {unit.role}" if unit.role and unit.kind in ("turn", "template") else ""
    return f"{safe_text(unit.kind + whose)} “{cut(unit_text(asked, pieces, unit), LONGEST)}”"


def unit_text(asked: Asked, pieces: list[str], unit: Unit) -> str:
    """The text of a stretch on one line, safe to show; its bytes where it is but the beginning of
    a character."""
    text = "".join(pieces[unit.start : unit.end]).encode()
    return visible(text or asked.bytes_of(unit))


def estimate_lines(found: Worded) -> Iterator[str]:
    """What estimates and attention are worth."""
    for made in found.estimates:
        yield from _estimate(made, agreements(found.occluded, made.scores))
    if found.attention is not None and found.weights:
        first, last = found.weights[0], found.weights[-1]
        kernel = found.attention.kernel
        whose = "" if found.attention.own_kernel else f", of one more pass with kernel {kernel}"
        rest = math.fsum(found.weights[1:-1])
        yield (
            f"Attention of the last token, averaged over {len(found.attention.layers)} layers and "
            f"{counted(found.attention.heads, 'head')}{whose}: {percent(first)} to the first token "
            f"(often a sink), {percent(rest)} to the others, {percent(last)} to itself. It says "
            "where was looked, not what that did."
        )


def words_notes(found: Worded) -> Iterator[str]:
    """What effects do not show."""
    if not found.occluded:
        return
    yield (
        "Each stretch was hidden by itself, from all later tokens, positions unchanged: two that "
        "say the same cover for each other, and both then seem to do little."
    )
    yield "The last token is never hidden: the prediction is made at its place."


def _estimate(made: Attributions, agreed: list[Agreement]) -> Iterator[str]:
    words = "; ".join(
        f"{small(each.correlation)} over {counted(each.units, each.kind)}" for each in agreed
    )
    yield (
        f"{made.method}: an estimate of {counted(made.points, 'gradient')}; completeness error "
        f"{small(made.completeness_error)} of {small(abs(made.value - made.baseline))} nats"
        + (f"; rank correlation with effects: {words}" if words else "")
    )


def _base(asked: Asked, found: Worded) -> str:
    show = asked.vocabulary.show
    return ", ".join(
        f"{show(each.token)} {logprob_text(logprob)} ({percent(math.exp(logprob))})"
        for each, logprob in zip(asked.named, found.logprobs, strict=True)
    )


def _table(asked: Asked, found: Worded) -> Iterator[str]:
    largest = largest_effect(found)
    head = columns(asked, found)
    table = [(head[0], "", *head[1:], "stretch")]
    for row in rows(asked, found):
        bar = from_middle(_share(row.occluded.effect, largest), BAR)
        table.append((row.figures[0], bar, *row.figures[1:], "  " * row.depth + row.name))
    yield from aligned(table, "><" + ">" * (len(head) - 1) + "<")


def _share(effect: float, largest: float) -> float:
    if not math.isfinite(effect):
        return math.copysign(1.0, effect)
    return effect / largest if largest else 0.0


def _places(unit: Unit) -> str:
    """Where it stands: `4`, `4–9`."""
    last = unit.end - 1
    return str(unit.start) if last == unit.start else f"{unit.start}–{last}"
