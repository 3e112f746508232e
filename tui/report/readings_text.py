"""What runs read of two tokens, in words and lines: the sides of a fork, and the closest calls."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tokexplore.models.display import counted
from tokexplore.models.lab.conditions import Knob
from tokexplore.models.lab.flips import SIGMAS, could_flip
from tokexplore.models.lab.sides import Place, Sides, Spread, sides_of, spread_of, tried, untried
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import CloseCall, CloseCalls, Study
from tokexplore.tui.report.tables import aligned, cut

TOKEN = 12
"""Cells that a token may take in these tables."""
DOTS = 21
"""Cells of the axis that margins are shown on."""
CONDITION = 48
"""Cells of a condition that a table shows."""
COULD_FLIP, TIE = "▲ could flip", "exact tie: to the lower id"
NO_NOISE = "the noise was not measured: that takes 8 steps at least"


class Columns(NamedTuple):
    """A table of what was read: its heads, and a row of cells for each different reading."""

    tokens: tuple[str, ...]
    """Head above the figures of each of the two."""
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    dots: tuple[str, ...]
    """The margin of each row on one axis; empty where there is none."""


def columns_of(place: Place, vocabulary: Vocabulary, dots: int = DOTS) -> Columns:
    """What was read of the first two tokens of a place: logits, logprobs and margins (nats)."""
    sides = sides_of(place)
    first, second = (token_text(vocabulary, token) for token in place.tokens[:2])
    margins, spread = [s.margin for s in sides], spread_of(sides)
    # A server tells logprobs, which are kept as logits with a log-sum-exp of 0.
    told = [s.logits if s.logits != s.logprobs else (None, None) for s in sides]
    cells = [
        figures([logits[0] for logits in told]),
        figures([s.logprobs[0] for s in sides]),
        figures([logits[1] for logits in told]),
        figures([s.logprobs[1] for s in sides]),
        figures(margins, "+"),
        [", ".join(token_text(vocabulary, token) for token in s.taken) for s in sides],
    ]
    counts = [f"×{len(s.runs)}" for s in sides]
    return Columns(
        (first, second),
        ("runs", "logit", "logprob", "logit", "logprob", "margin", "took"),
        tuple(zip(counts, *cells, strict=True)),
        tuple(_dot(margin, spread, dots) for margin in margins),
    )


def figures(values: Sequence[float | None], sign: str = "") -> list[str]:
    """Numbers with as many decimals as tell them apart, and from 0; ? for one not known."""
    there = {value for value in values if value is not None}
    for decimals in range(4, 10):
        texts = {f"{value:.{decimals}f}" for value in there}
        if len(texts) == len(there) and all(abs(v) >= 0.5 * 10**-decimals for v in there if v):
            break
    return ["?" if v is None else f"{v + 0.0:{sign if v else ''}.{decimals}f}" for v in values]


def _dot(margin: float | None, spread: Spread | None, cells: int) -> str:
    """Where a margin lies between the lowest and the highest, with zero (a tie) on the axis."""
    if margin is None or spread is None:
        return ""
    low, high = min(0.0, spread.lowest), max(0.0, spread.highest)
    span = high - low or 1.0
    if not math.isfinite(span):
        return ""
    axis = ["·"] * cells
    axis[round((0.0 - low) / span * (cells - 1))] = "│"
    axis[round((margin - low) / span * (cells - 1))] = "●"
    return "".join(axis)


def token_text(vocabulary: Vocabulary, token: int) -> str:
    """A token between quotation marks, cut where it is long."""
    return f"“{cut(vocabulary.show(token), TOKEN)}”"


def spread_text(place: Place, vocabulary: Vocabulary) -> str:
    """How the margins of all runs lie, in a sentence."""
    first, second = (token_text(vocabulary, token) for token in place.tokens[:2])
    spread = spread_of(sides_of(place))
    if spread is None:
        return f"{first} − {second}: no run kept both"
    low, middle, high = figures([spread.lowest, spread.median, spread.highest], "+")
    runs = counted(spread.runs, "run")
    if spread.lowest == spread.highest:
        return f"{first} − {second}: {middle} nats in all of {runs}, bit for bit"
    return (
        f"{first} − {second}: {low} to {high} nats in {runs}, median {middle}, "
        f"spread {spread.width:.4g}"
    )


def readings_lines(study: Study, place: Place, vocabulary: Vocabulary) -> Iterator[str]:
    """The spread of the margins, and a line for each different reading."""
    shown, words = columns_of(place, vocabulary), {run.number: run.condition for run in study.runs}
    yield spread_text(place, vocabulary)
    first, second = shown.tokens
    rows: list[Sequence[str]] = [
        ("", first, "", second, "", f"{first} − {second}", "", "", ""),
        (*shown.heads, "│ is a tie" if any(shown.dots) else "", "such as"),
    ]
    for cells, dots, sides in zip(shown.rows, shown.dots, sides_of(place), strict=True):
        rows.append((*cells, dots, cut(words[sides.runs[0]], CONDITION)))
    yield from aligned(rows, "<>>>>><<<")


def call_rows(calls: CloseCalls, vocabulary: Vocabulary) -> list[tuple[str, ...]]:
    """A table of the closest calls with its head; margins in nats."""
    shown = calls.calls
    lowest = [min(map(abs, _known(sides_of(call)))) for call in shown]
    margins = figures([*(call.margin for call in shown), *lowest, *(c.noise for c in shown)])
    parts = [margins[at : at + len(shown)] for at in range(0, 3 * len(shown), len(shown) or 1)]
    rows: list[tuple[str, ...]] = [
        ("step", "first", "second", "margin", "smallest", "spread", "margin/σ", "")
    ]
    for call, *numbers in zip(shown, *parts, strict=True) if shown else ():
        pair = (token_text(vocabulary, token) for token in call.tokens)
        mark = COULD_FLIP if flips(calls, call) else "" if call.margin else TIE
        rows.append((str(call.step), *pair, *numbers, _in_sigmas(calls, call), mark))
    return rows


def _known(sides: Iterable[Sides]) -> list[float]:
    return [s.margin for s in sides if s.margin is not None] or [0.0]


def _in_sigmas(calls: CloseCalls, call: CloseCall) -> str:
    return f"{call.margin / calls.sigma:.3g}" if calls.sigma else "–"


def flips(calls: CloseCalls, call: CloseCall) -> bool:
    """Whether the noise that was measured could flip a step."""
    return calls.decisive and calls.sigma is not None and could_flip(call.margin, calls.sigma)


def call_lines(calls: CloseCalls, vocabulary: Vocabulary) -> Iterator[str]:
    """The closest calls, and what the noise that was measured could do to them."""
    yield from aligned(call_rows(calls, vocabulary), "><<>>>><")
    yield noise_text(calls)


def noise_text(calls: CloseCalls) -> str:
    """The noise of a gap beside the margins, in a sentence."""
    if calls.sigma is None:
        return NO_NOISE
    if not calls.sigma:
        return "noise: none; every run read those of run 0, bit for bit"
    text = f"noise σ {calls.sigma:.4g} nats (run {calls.noisiest})"
    if not calls.decisive:
        return f"{text}; raw margins alone do not decide here"
    count = sum(flips(calls, call) for call in calls.calls)
    these = f"{count or 'none'} of these"
    if count == len(calls.calls):
        these = "all of these, and perhaps more"
    return f"{text}; up to {SIGMAS:g} σ could flip: {these}"


def tried_text(study: Study, others: Sequence[Study]) -> str:
    """What was varied so far, and what it gave."""
    parts = [
        f"{', '.join(varied) or 'nothing'}: {counted(unique, 'text')}"
        for varied, unique in tried(study, others).items()
    ]
    return " · ".join(parts) or "no experiment was finished"


def next_knobs(study: Study, others: Sequence[Study]) -> tuple[str, ...]:
    """What to vary next, the first nine."""
    return untried(study, others)[:9]


def elsewhere_text(model: str) -> str:
    """What can vary on the command line alone."""
    loaded: tuple[Knob, ...] = ("dtype", "device")
    return f"{' and '.join(loaded)}: tokexplore lab repeat {model} --vary {loaded[0]}"
