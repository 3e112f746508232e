"""The sampling lens: what each stage does to a row, and what comes of many draws."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from tokexplore.models.engine import sampler
from tokexplore.models.engine.forward.logits_row import Floats, Row, distribution, summarise
from tokexplore.models.engine.sampler import Kept, Reshaped, Weights, entropy_of, weights_of
from tokexplore.models.lab.lens import Lens, exact
from tokexplore.models.sampling.effects import SHOWN, Draws, Effect, StageEffect
from tokexplore.models.sampling.logit_edits import NO_CHANGES, LogitEdits
from tokexplore.models.sampling.randomness import path_key, uniform
from tokexplore.models.sampling.sampler_view import Cut
from tokexplore.models.sampling.settings import SamplingSettings


def effect(row: Row, settings: SamplingSettings, changes: LogitEdits = NO_CHANGES) -> Effect:
    """What settings make of a row.

    Raises:
        UsageError: when every token is banned.
    """
    found = sampler.reshape(row, settings, changes)
    p = _normal(weights_of(row.logits, 1.0))  # f64 [V]
    q, stages = _walk(row, found, changes, p)
    here = found.kept & (q > 0)
    ratio = np.log(q[here]) - (row.logits[here].astype(np.float64) - row.lse)
    ids = np.flatnonzero(here)
    if len(ids) > 4 * SHOWN:
        ids = ids[np.argpartition(-q[ids], SHOWN)[: 2 * SHOWN]]
    first = ids[np.lexsort((ids, -q[ids]))][:SHOWN]
    return Effect(
        view=found.view,
        model_entropy=row.entropy,
        entropy=entropy_of(q),
        kl=max(0.0, float((q[here] * ratio).sum())),
        removed=float(p[~found.kept].sum()),
        stages=tuple(stages),
        ids=first.astype(np.uint32).tobytes(),
        probabilities=q[first].tobytes(),
    )


def draws(
    row: Row,
    settings: SamplingSettings,
    ids: Sequence[int],
    count: int,
    changes: LogitEdits = NO_CHANGES,
) -> Draws:
    """The tokens of the first `count` draws after a path: those that drawing again would give."""
    found = sampler.reshape(row, settings, changes)
    key = path_key(settings.seed, ids)
    numbers = np.fromiter((uniform(key, number) for number in range(count)), "f8", count)
    tokens, counts = np.unique(sampler.draw(found, numbers), return_counts=True)
    order = np.lexsort((tokens, -counts))
    return Draws(
        count, tokens[order].astype(np.uint32).tobytes(), counts[order].astype(np.uint32).tobytes()
    )


def lens_of(logits: Sequence[float], settings: Sequence[SamplingSettings], count: int = 0) -> Lens:
    """What settings make of logits without a model, shape [V]; ids are places in them.

    Args:
        count: draws to count.
    """
    row = summarise(torch.tensor(logits, dtype=torch.float32), "given")
    found = [effect(row, chosen) for chosen in settings]
    counted = [draws(row, chosen, (), count) for chosen in settings] if count else []
    return exact(distribution(row, len(logits)), len(logits), found, counted=counted)


def _walk(
    row: Row, found: Reshaped, changes: LogitEdits, p: Weights
) -> tuple[Weights, list[StageEffect]]:
    """The distribution after each stage that is on; the last one, f64 [V]."""
    settings, stages = found.view.settings, []
    q, logits = p, row.logits
    for step in changes.steps:
        logits = sampler.after_step(step, logits)
        before, q = q, _normal(weights_of(logits, 1.0))
        removed = int(((q == 0) & (before > 0)).sum()) if step.bans else 0
        stages.append(_effect(step.stage, step.value, before, q, removed))
    if settings.greedy:
        before, q = q, np.where(found.kept, 1.0, 0.0)
        stages.append(_effect("greedy", 0.0, before, q, int((before > 0).sum()) - 1))
        return q, stages
    temperature = found.view.temperature
    if temperature != 1:
        before, q = q, _normal(weights_of(logits, temperature))
        name = "temperature" if found.view.dynamic is None else "dynamic temperature"
        stages.append(_effect(name, temperature, before, q, 0))
    kept, cuts = np.isfinite(logits), {cut.stage: cut for cut in found.view.cuts}
    scaled = logits / np.float32(temperature)
    for stage in sampler.filters_on(settings):
        before, cut = q, cuts.get(stage.name)
        if cut is not None:
            left = kept & _keeps(cut, scaled)
            q = _normal(np.where(left, q, 0.0))
            removed, kept = int((kept & ~left).sum()), left
        value = getattr(settings, stage.field)
        stages.append(_effect(stage.name, value, before, q, 0 if cut is None else removed))
    return q, stages


def _keeps(cut: Cut, scaled: Floats) -> Kept:
    """Which tokens a filter leaves of all those that came to it, shape [V]."""
    left = scaled >= np.float32(-math.inf if cut.low is None else cut.low)
    if cut.high is not None:
        left &= scaled <= np.float32(cut.high)
    if cut.tie and cut.low is not None:
        left &= scaled != np.float32(cut.low)
        left[list(cut.kept_tied)] = True
    return left


def _effect(stage: str, value: float, before: Weights, after: Weights, removed: int) -> StageEffect:
    moved = float(np.abs(after - before).sum()) / 2
    kept = int(np.count_nonzero(after))
    return StageEffect(stage, float(value), kept, removed, moved, entropy_of(after))


def _normal(weights: Weights) -> Weights:
    return weights / weights.sum()
