"""A sweep: one prompt under many settings, the next token of each and sampled continuations."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import (
    Continuation,
    Control,
    DrawnToken,
    EndReason,
    Engine,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.sampling.settings import SamplingSettings

MOST_SETTINGS = 1000
"""Combinations that a sweep runs at most."""


class Plan(NamedTuple):
    """What is to be run."""

    prompt: tuple[int, ...]
    settings: tuple[SamplingSettings, ...]
    runs: int
    """Continuations of each setting: run r has the seed of the settings + r."""
    request: StreamRequest
    """How far each one goes and where it ends; its path and settings are the plan's."""
    batch: int = 1
    """Continuations that run at once; 1 gives what the app streams."""

    @property
    def total(self) -> int:
        """Continuations in all."""
        return sum(runs_of(chosen, self.runs) for chosen in self.settings)


class Outcome(NamedTuple):
    """One setting's."""

    settings: SamplingSettings
    distribution: Distribution
    """The model's, after the prompt."""
    effect: Effect | None
    """What the settings make of it; None where only the first candidates are known."""
    runs: tuple[Continuation, ...]
    """Fewer than planned where it was stopped."""


def combinations(
    base: SamplingSettings, values: Mapping[str, Sequence[float]]
) -> tuple[SamplingSettings, ...]:
    """Settings with every combination of some values, those of the last field changing fastest.

    Args:
        values: by field; the other fields are those of `base`.

    Raises:
        UsageError: for a value outside its range, and for more of them than can be shown.
    """
    if (count := math.prod(map(len, values.values()))) > MOST_SETTINGS:
        raise UsageError(f"{count:,} settings are too many: give {MOST_SETTINGS:,} at most.")
    return tuple(
        msgspec.structs.replace(base, **dict(zip(values, chosen, strict=True))).checked()
        for chosen in product(*values.values())
    )


def runs_of(settings: SamplingSettings, runs: int) -> int:
    """Continuations that are worth running: greedy gives the same one each time."""
    return min(runs, 1) if settings.greedy else runs


def sweep(
    engine: Engine, plan: Plan, control: Control, report: Callable[[int], None]
) -> Iterator[Outcome]:
    """Run a plan; each setting as it is done. When cancelled, what is done of the last one.

    Args:
        report: told how many continuations are done.
    """
    whole = engine.info.capabilities.whole_rows
    distribution = engine.describe(plan.prompt, whole=whole)
    effects: Sequence[Effect | None] = [None] * len(plan.settings)
    if whole:
        effects = engine.effects(plan.prompt, plan.settings, len(plan.prompt))
    done = 0
    for settings, effect in zip(plan.settings, effects, strict=True):
        runs: list[Continuation] = []
        count = runs_of(settings, plan.runs)
        for first in range(0, count, plan.batch):
            runs += _continued(engine, plan, settings, range(first, count)[: plan.batch], control)
            if control.cancelled:
                break
            report(done + len(runs))
        done += len(runs)
        yield Outcome(settings, distribution, effect, tuple(runs))
        if control.cancelled:
            return


def _continued(
    engine: Engine, plan: Plan, settings: SamplingSettings, numbers: Sequence[int], control: Control
) -> list[Continuation]:
    """Some of the continuations, in one batch; those that were interrupted are left out."""
    seeds = [seed_after(settings.seed, number) for number in numbers]
    request = msgspec.structs.replace(plan.request, ids=plan.prompt, settings=settings)
    if len(seeds) > 1:
        return engine.continuations(request, seeds, control)
    run = _streamed(engine, request, seeds[0], control)
    return [] if control.cancelled else [run]


def _streamed(engine: Engine, request: StreamRequest, seed: int, control: Control) -> Continuation:
    """One continuation: what the app streams under the same settings and this seed."""
    settings = msgspec.structs.replace(request.settings, seed=seed)
    ids, logprobs, entropies = [], [], list[float | None]()
    ended: EndReason = "interrupted"
    for event in engine.stream(msgspec.structs.replace(request, settings=settings), control):
        if isinstance(event, DrawnToken):
            ids.append(event.standing.token)
            logprobs.append(event.standing.logprob)
            entropies.append(event.distribution.entropy)
        elif isinstance(event, StreamEnded):
            ended = event.reason
    return Continuation(seed, tuple(ids), tuple(logprobs), tuple(entropies), ended)
