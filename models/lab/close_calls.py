"""Where runs that all gave one text were closest to another one, and how far apart they read it."""

from collections.abc import Sequence

from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.flips import scale
from tokexplore.models.lab.forks import readings
from tokexplore.models.lab.repeat import Plan, Run
from tokexplore.models.numerics import grid_step
from tokexplore.models.tree.study import CloseCall, CloseCalls

KEPT = 5
"""Steps that are kept: those with the smallest margins."""


def close_calls(plan: Plan, runs: Sequence[Run], dtype: str) -> CloseCalls | None:
    """The closest calls of several runs that all gave one text; None of others.

    Args:
        dtype: the model's.
    """
    first = runs[0]
    if len(runs) < 2 or any(run.ids != first.ids for run in runs):
        return None
    margins = [step.distribution.margin for step in first.steps]
    closest = sorted(range(len(margins)), key=margins.__getitem__)[:KEPT]
    calls = [_call(runs, at, dtype) for at in closest if len(first.steps[at].distribution) > 1]
    noises = [(noise, run.number) for run in runs[1:] if (noise := _noise(first, run)) is not None]
    sigma, noisiest = max(noises, key=lambda pair: (pair[0], -pair[1]), default=(None, None))
    settings = plan.request.settings
    decisive = settings.greedy and not settings.looks_back
    return CloseCalls(tuple(calls), first.number, sigma, noisiest, decisive)


def _call(runs: Sequence[Run], step: int, dtype: str) -> CloseCall:
    distribution = runs[0].steps[step].distribution
    tokens = (distribution.id_view[0], distribution.id_view[1])
    gaps = [gap for run in runs if (gap := _gap(run.steps[step].distribution, *tokens)) is not None]
    return CloseCall(
        step=step + 1,
        tokens=tokens,
        readings=readings(runs, step, tokens),
        margin=distribution.margin,
        noise=max(gaps) - min(gaps),
        grid=grid_step(distribution.logit_view[0], dtype),
    )


def _noise(first: Run, run: Run) -> float | None:
    """How far a run reads the gaps of the first run's top two from it; see `flips.scale`."""
    differences = []
    for one, other in zip(first.steps, run.steps, strict=True):
        if len(one.distribution) > 1:
            gap = _gap(other.distribution, *one.distribution.id_view[:2])
            if gap is not None:
                differences.append(gap - one.distribution.margin)
    return scale(differences)


def _gap(distribution: Distribution, first: int, second: int) -> float | None:
    """The gap of two tokens' logits (nats); None where one is not stored."""
    places = distribution.index_of(first), distribution.index_of(second)
    if places[0] is None or places[1] is None:
        return None
    return distribution.logit_view[places[0]] - distribution.logit_view[places[1]]
