"""One step under several settings: its first candidates, and what the sampler makes of each."""

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tokexplore.models.api.engine import Engine
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import BoundedView, Figures, bounded_view
from tokexplore.models.sampling.effects import Draws, Effect, StageEffect
from tokexplore.models.sampling.logit_edits import NO_CHANGES, LogitEdits, changes_of
from tokexplore.models.sampling.settings import SamplingSettings


class Candidate(NamedTuple):
    """One token of the step, as the model has it."""

    token: int
    logit: float
    """Raw; the logprob where the engine tells no logits."""
    logprob: float
    """Nats."""
    rank: int
    """1 + the number of strictly larger logits."""

    @property
    def probability(self) -> float:
        return math.exp(self.logprob)


class Share(NamedTuple):
    """What the sampler makes of one candidate."""

    probability: float | None
    """None where it is not known; 0 where the candidate is cut."""
    at_most: float | None
    """A bound of what is not known exactly; None where there is none."""
    cut: str = ""
    """Why it is cut; empty where it is not, or where that is not known."""


class Column(NamedTuple):
    """One of the settings."""

    settings: SamplingSettings
    shares: tuple[Share, ...]
    """Of the candidates, in their order."""
    figures: Figures | None
    """None where they depend on candidates that are not known."""
    stages: tuple[StageEffect, ...] | None
    """Those that are on; None where it is not known what they do."""
    drawn: tuple[int, ...] = ()
    """How often each candidate was drawn; empty where nothing was."""

    @property
    def rest(self) -> float | None:
        """The sampler's probability of all tokens that are not among the candidates."""
        known = [share.probability for share in self.shares if share.probability is not None]
        if self.figures is None or len(known) < len(self.shares):
            return None
        if sum(share > 0 for share in known) == self.figures.kept:
            return 0.0
        return max(0.0, 1.0 - math.fsum(known))


class Lens(NamedTuple):
    """A step, and what each of some settings makes of it."""

    distribution: Distribution
    """The model's."""
    candidates: tuple[Candidate, ...]
    """The first ones, in the model's order."""
    columns: tuple[Column, ...]

    @property
    def rest(self) -> float:
        """The model's probability of all other tokens."""
        if len(self.candidates) == self.distribution.vocabulary:
            return 0.0
        return max(0.0, 1.0 - math.fsum(c.probability for c in self.candidates))

    def first(self, count: int) -> "Lens":
        """The same of the first so many candidates."""
        columns = tuple(
            column._replace(shares=column.shares[:count], drawn=column.drawn[:count])
            for column in self.columns
        )
        return Lens(self.distribution, self.candidates[:count], columns)


def look(
    engine: Engine,
    ids: Sequence[int],
    settings: Sequence[SamplingSettings],
    top: int,
    draws: int = 0,
) -> Lens:
    """The step after a prompt.

    Args:
        top: candidates, of those that a distribution stores.
        draws: draws to count for each of the settings.

    Raises:
        UsageError: draws of an engine that lists the first candidates only; settings that ban
            every token.
    """
    capabilities, prompt = engine.info.capabilities, len(ids)
    distribution = engine.describe(ids, whole=capabilities.whole_rows)
    if not capabilities.whole_rows:
        if draws:
            raise UsageError(capabilities.why_not("drawing", "whole_rows"))
        columns = tuple(_bounded(distribution, top, settings))
        return Lens(distribution, _first(distribution, top), columns)
    edits = [changes_of(chosen, ids, prompt) for chosen in settings]
    effects = engine.effects(ids, settings, prompt)
    counted = [engine.draws(ids, s, draws, prompt) for s in settings] if draws else []
    return exact(distribution, top, effects, edits, counted)


def exact(
    distribution: Distribution,
    top: int,
    effects: Sequence[Effect],
    edits: Sequence[LogitEdits] = (),
    counted: Sequence[Draws] = (),
) -> Lens:
    """A step whose effects are known.

    Args:
        edits: what the path does to logits, for each of the effects; none is nothing.
        counted: draws, for each of the effects; none where nothing was drawn.
    """
    candidates = _first(distribution, top)
    columns = []
    for effect, edit, draws in zip_longest(effects, edits, counted):
        shares = tuple(_share(effect, edit or NO_CHANGES, c) for c in candidates)
        figures = Figures(effect.view.kept, effect.entropy, effect.kl, effect.removed)
        drawn = _counts(draws, candidates) if draws else ()
        columns.append(Column(effect.view.settings, shares, figures, effect.stages, drawn))
    return Lens(distribution, candidates, tuple(columns))


def _bounded(
    distribution: Distribution, top: int, settings: Sequence[SamplingSettings]
) -> Iterator[Column]:
    """What can be said where only the first candidates are known."""
    count = min(top, len(distribution))
    for chosen in settings:
        view = bounded_view(distribution, chosen)
        if view is None:
            yield Column(chosen, (Share(None, None),) * count, None, None)
        else:
            shares = tuple(_bounded_share(view, index) for index in range(count))
            yield Column(chosen, shares, view.figures(distribution), None)


def _first(distribution: Distribution, top: int) -> tuple[Candidate, ...]:
    ids, logits = distribution.id_view, distribution.logit_view
    return tuple(
        Candidate(ids[i], logits[i], distribution.logprob(i), distribution.rank(i))
        for i in range(min(top, len(distribution)))
    )


def _share(effect: Effect, edits: LogitEdits, candidate: Candidate) -> Share:
    view = effect.view
    logprob, cut = view.fate(candidate.token, candidate.logit, edits)
    if view.settings.greedy and logprob == -math.inf:
        return Share(0.0, None, "greedy")
    if cut is not None:
        return Share(0.0, None, cut.words() + " (tie)" * cut.tie)
    return Share(math.exp(min(0.0, logprob)), None)


def _bounded_share(view: BoundedView, index: int) -> Share:
    if view.settings.greedy:
        return Share(0.0, None, "greedy") if index else Share(1.0, None)
    if (stage := view.cut_by(index)) is not None:
        return Share(0.0, None, f"{stage[0]} {stage[1]:g}")
    if index >= len(view.weights):
        return Share(None, None)
    low, high = view.share(index)
    return Share(low, None) if low == high else Share(None, high)


def _counts(draws: Draws, candidates: Sequence[Candidate]) -> tuple[int, ...]:
    counts = dict(
        zip(memoryview(draws.ids).cast("I"), memoryview(draws.counts).cast("I"), strict=True)
    )
    return tuple(counts.get(candidate.token, 0) for candidate in candidates)
