"""Continuations of one prompt, and what can be counted of many of them."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import Continuation

LEAST_REPEATS = 3
"""Times that a period has to follow itself to be called a loop."""


class Loop(NamedTuple):
    """The end of a text that says the same over and over."""

    period: int
    """Tokens after which it says the same again."""
    onset: int
    """Tokens before the first time."""


def loop(ids: Sequence[int]) -> Loop | None:
    """The loop that a text ends in: the shortest period that comes three times or more."""
    for period in range(1, len(ids) // LEAST_REPEATS + 1):
        start = len(ids) - period
        while start > 0 and ids[start - 1] == ids[start - 1 + period]:
            start -= 1
        if len(ids) - start >= LEAST_REPEATS * period:
            return Loop(period, start)
    return None


def distinct(texts: Sequence[Sequence[int]], n: int) -> float | None:
    """Distinct-n: different n-grams over all n-grams of some texts (arXiv:1510.03055).

    None where no text has n tokens.
    """
    grams = [tuple(ids[at : at + n]) for ids in texts for at in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def curve(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each step over the texts that got so far."""
    longest = max(map(len, rows), default=0)
    steps = [[row[at] for row in rows if len(row) > at] for at in range(longest)]
    return [fmean(values) for values in steps]


class Summary(msgspec.Struct, frozen=True):
    """Many continuations under the same settings, in figures."""

    runs: int
    unique: float | None
    """Different continuations over all of them."""
    distinct: tuple[float | None, ...]
    """Distinct-1, distinct-2 and distinct-3 over all of them."""
    mean_logprob: float | None
    """The model's, nats a token, over all tokens."""
    surprisal_curve: tuple[float, ...]
    """The model's surprisal (nats) by step, the mean over the runs that got so far."""
    entropy_curve: tuple[float, ...]
    """The model's entropy (nats) by step, the same way, of the runs that tell it at every step."""
    loops: float | None
    """Share that ends in a loop."""
    loop_period: float | None
    """Mean period of the loops, tokens."""
    loop_onset: float | None
    """Mean number of tokens before them."""
    ended_at_eos: float | None


def summarise(runs: Sequence[Continuation]) -> Summary:
    """The figures of some continuations; None for those that none of them tells."""
    count = len(runs)
    ids = [run.ids for run in runs]
    logprobs = [value for run in runs for value in run.logprobs]
    repeats = [found for run in runs if (found := loop(run.ids)) is not None]
    return Summary(
        runs=count,
        unique=len(set(ids)) / count if count else None,
        distinct=tuple(distinct(ids, n) for n in (1, 2, 3)),
        mean_logprob=mean(logprobs),
        surprisal_curve=tuple(-value for value in curve([run.logprobs for run in runs])),
        entropy_curve=tuple(curve(_entropies(runs))),
        loops=len(repeats) / count if count else None,
        loop_period=mean([found.period for found in repeats]),
        loop_onset=mean([found.onset for found in repeats]),
        ended_at_eos=mean([run.ended in ("eos", "end of turn") for run in runs]),
    )


def _entropies(runs: Sequence[Continuation]) -> list[list[float]]:
    """The entropies of the runs that tell one at every step."""
    entropies = [[value for value in run.entropies if value is not None] for run in runs]
    return [
        values for values, run in zip(entropies, runs, strict=True) if len(values) == len(run.ids)
    ]


def mean(values: Sequence[float]) -> float | None:
    """The mean of some values; None of none."""
    return fmean(values) if values else None
