"""Where runs of one request part, and why: the sampler's draw, or arithmetic."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, zip_longest
from statistics import fmean
from typing import Protocol

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.repeat import Plan, Run
from tokexplore.models.numerics import grid_step
from tokexplore.models.tree.study import Fork, Reading, Verdict

SHOWN = 4
"""Candidates of a fork that are told besides those that were taken."""


class Ran(Protocol):
    """What is counted of a run."""

    @property
    def number(self) -> int: ...
    @property
    def ids(self) -> tuple[int, ...]: ...
    @property
    def ended(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class Text(msgspec.Struct, frozen=True):
    """One of the different texts."""

    ids: tuple[int, ...]
    runs: tuple[int, ...]
    """Numbers of the runs that said it."""


class Summary(msgspec.Struct, frozen=True):
    """All runs of one plan in figures."""

    runs: int
    unique: int
    texts: tuple[Text, ...]
    """The most frequent first."""
    curve: tuple[int, ...]
    """How many different beginnings of t tokens there are, for t = 1, 2, ..."""
    first_fork: int | None
    """Number of the first step at which any two runs differ."""
    divergences: tuple[tuple[int, int], ...]
    """Steps at which runs leave the first run, and how many do."""
    shared: float
    """Mean share of two texts that their common beginning is, over all pairs of runs."""
    ended: tuple[tuple[str, int], ...]
    seconds: float
    """Of a run, the mean."""


def texts(runs: Sequence[Ran]) -> tuple[Text, ...]:
    """The different texts of some runs, the most frequent first."""
    by: dict[tuple[int, ...], list[int]] = {}
    for run in runs:
        by.setdefault(run.ids, []).append(run.number)
    found = [Text(ids, tuple(numbers)) for ids, numbers in by.items()]
    return tuple(sorted(found, key=lambda text: (-len(text.runs), text.runs)))


def summarise(runs: Sequence[Ran]) -> Summary:
    """The figures of one run or more."""
    found = texts(runs)
    ordered = sorted(found, key=lambda text: text.ids)
    common = [parting(a.ids, b.ids) or 0 for a, b in pairwise(ordered)]
    longest, ends = max(len(text.ids) for text in found), sorted(common)
    left = [parting(run.ids, runs[0].ids) for run in runs]
    return Summary(
        runs=len(runs),
        unique=len(found),
        texts=found,
        curve=tuple(1 + bisect_left(ends, t) for t in range(1, longest + 1)),
        first_fork=min(common) + 1 if common else None,
        divergences=tuple(sorted(Counter(at + 1 for at in left if at is not None).items())),
        shared=_shared(ordered, common),
        ended=tuple(Counter(run.ended for run in runs).most_common()),
        seconds=fmean(run.seconds for run in runs),
    )


def _shared(ordered: Sequence[Text], common: Sequence[int]) -> float:
    """See `Summary`; what two texts share is the least that neighbours between them do.

    Args:
        ordered: the texts by their ids.
        common: how many tokens each shares with the next one.
    """
    count = shared = 0.0
    for place, text in enumerate(ordered):
        alike = len(text.runs) * (len(text.runs) - 1) / 2
        count, shared, least = count + alike, shared + alike, math.inf
        for other, with_next in zip(ordered[place + 1 :], common[place:], strict=True):
            least = min(least, with_next)
            weight = len(text.runs) * len(other.runs)
            count += weight
            shared += weight * least / max(len(text.ids), len(other.ids))
    return shared / count if count else 1.0


def parting(a: Sequence[int], b: Sequence[int]) -> int | None:
    """How many tokens two texts share before they differ; None where they are the same."""
    if a == b:
        return None
    pairs = zip_longest(a, b, fillvalue=-1)
    return next((at for at, (x, y) in enumerate(pairs) if x != y), None)


class Segment(msgspec.Struct, frozen=True):
    """A part of the prefix trie of some runs: what they say alike, then where they part."""

    start: int
    """Steps before it."""
    ids: tuple[int, ...]
    runs: tuple[int, ...]
    children: tuple["Segment", ...] = ()
    """Where they part, the most frequent first."""

    def walk(self) -> Iterator["Segment"]:
        """This part and all below it, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()


def trie(runs: Sequence[Ran], start: int = 0) -> Segment:
    """The prefix trie of runs that are alike in their first `start` tokens."""
    first = runs[0].ids
    at = min((p for run in runs if (p := parting(run.ids, first)) is not None), default=len(first))
    parts: dict[int, list[Ran]] = {}
    for run in runs:
        if len(run.ids) > at:  # one that was cut short ends here
            parts.setdefault(run.ids[at], []).append(run)
    ordered = sorted(parts.values(), key=lambda part: (-len(part), part[0].number))
    return Segment(
        start,
        first[start:at],
        tuple(run.number for run in runs),
        tuple(trie(part, at) for part in ordered),
    )


def forks(plan: Plan, runs: Sequence[Run], engine: Engine) -> list[Fork]:
    """Every place where runs part, the earlier ones first.

    Args:
        engine: asked what the plain computation draws there with the runs' own seeds.
    """
    by = {run.number: run for run in runs}
    found = []
    for segment in trie(runs).walk():
        if len(segment.children) > 1:
            parts = [[by[number] for number in child.runs] for child in segment.children]
            found.append(_fork(plan, segment.start + len(segment.ids), parts, engine))
    return sorted(found, key=lambda fork: (fork.step, -sum(len(runs) for _, runs in fork.choices)))


def _fork(plan: Plan, step: int, parts: Sequence[Sequence[Run]], engine: Engine) -> Fork:
    chosen = [part[0].steps[step].token for part in parts]
    runs = sorted((run for part in parts for run in part), key=lambda run: run.number)
    listed = runs[0].steps[step].distribution.id_view
    others = islice((token for token in listed if token not in chosen), SHOWN)
    tokens = (*chosen, *others)
    found = readings(runs, step, tokens)
    gaps = [
        reading.logits[0] - reading.logits[1]
        for reading in found
        if reading.logits[0] is not None and reading.logits[1] is not None
    ]
    margin, noise = (abs(gaps[0]), max(gaps) - min(gaps)) if gaps else (None, None)
    top = found[0].logits[0]
    return Fork(
        step=step + 1,
        before=runs[0].ids[:step],
        choices=tuple(
            (token, tuple(run.number for run in part))
            for token, part in zip(chosen, parts, strict=True)
        ),
        tokens=tokens,
        readings=found,
        margin=margin,
        noise=noise,
        grid=None if top is None else grid_step(top, engine.info.dtype),
        verdict=_verdict(plan, step, parts, _explained(plan, margin, noise), engine),
    )


def readings(runs: Sequence[Run], step: int, tokens: Sequence[int]) -> tuple[Reading, ...]:
    """What runs alike so far read of some tokens at a step (from 0): most frequent first."""
    by: dict[tuple[float | None, ...], list[Run]] = {}
    for run in runs:
        by.setdefault(_logits(run.steps[step].distribution, tokens), []).append(run)
    found = [
        Reading(
            tuple(run.number for run in part),
            logits,
            tuple(dict.fromkeys(run.steps[step].token for run in part)),
            tuple(run.steps[step].distribution.lse for run in part),
        )
        for logits, part in by.items()
    ]
    return tuple(sorted(found, key=lambda reading: (-len(reading.runs), reading.runs)))


def _logits(distribution: Distribution, tokens: Sequence[int]) -> tuple[float | None, ...]:
    places = [distribution.index_of(token) for token in tokens]
    return tuple(None if at is None else distribution.logit_view[at] for at in places)


def _explained(plan: Plan, margin: float | None, noise: float | None) -> bool:
    """Whether the noise that was measured can part runs: for a draw, any that there is."""
    if margin is None or noise is None:
        return True
    return noise >= margin if plan.request.settings.greedy else noise > 0


def _verdict(
    plan: Plan, step: int, parts: Sequence[Sequence[Run]], explained: bool, engine: Engine
) -> Verdict:
    """The draw, where the plain computation takes the same two tokens with the runs' own seeds."""
    first, second = parts[0][0], parts[1][0]
    settings = plan.request.settings
    if settings.greedy:
        return Verdict("arithmetic", None, explained)
    path = (*plan.request.ids, *first.ids[:step])
    logprob = second.steps[step].sampler_logprob
    probability = None if logprob is None else math.exp(logprob)
    seeds = [{run.seed for run in part} for part in parts[:2]]
    if not seeds[0] & seeds[1]:
        if probability is None:
            return Verdict("untold", None, explained)
        drawn = []
        for run in (first, second):
            own = msgspec.structs.replace(settings, seed=run.seed)
            draws = engine.draws(path, own, 1, plan.request.prompt_length)
            drawn.append(draws.of(run.steps[step].token) == 1)
        if all(drawn):
            return Verdict("sampler", probability)
    return Verdict("arithmetic", probability, explained)
