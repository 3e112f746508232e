"""The sampler: what a path changes, temperature, the filters, then one token by inverse CDF.

The filters are transformers' own (`generation/logits_process.py`), on the full vocabulary in f32
and in the order of `generate`. Only the nucleus is computed here, because sorting values is thirty
times faster than sorting ids; where its border falls between equal logits, which a sort of ids
decides, transformers' class decides too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from tokexplore.models.engine.forward.logits_row import Floats, Row
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.logit_edits import NO_CHANGES, LogitEdit, LogitEdits
from tokexplore.models.sampling.sampler_view import Cut, SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stage import Stage

Weights = np.ndarray[tuple[int], np.dtype[np.float64]]
Kept = np.ndarray[tuple[int], np.dtype[np.bool_]]

_NO_IDS = torch.zeros(1, 1, dtype=torch.long)


@dataclass(frozen=True)
class Reshaped:
    """A row as the sampler sees it, token by token."""

    view: SamplerView
    changed: Floats
    """The logits after the changes by the path: f32, shape [V]."""
    kept: Kept
    """Shape [V]."""


def reshape(row: Row, settings: SamplingSettings, changes: LogitEdits = NO_CHANGES) -> Reshaped:
    """What the sampler keeps of a row, and what each stage cut.

    Raises:
        UsageError: when every token is banned.
    """
    changed, cuts = _changed(row, changes)
    top = float(changed.max())
    if top == -math.inf:
        raise UsageError("every token is banned here: nothing is left to take.")
    if settings.greedy:
        chosen = int(changed.argmax())
        kept = np.zeros(len(changed), np.bool_)
        kept[chosen] = True
        return Reshaped(SamplerView(settings, 1, 0.0, tuple(cuts), chosen=chosen), changed, kept)
    temperature = temperature_of(settings, changed)
    weights = weights_of(changed, temperature)
    scores = torch.from_numpy(changed) / temperature  # f32 [V]
    kept = torch.isfinite(scores).numpy()
    for stage in filters_on(settings):
        value = getattr(settings, stage.field)
        after = _filtered(stage.field, value, scores)
        left = torch.isfinite(after).numpy()
        if (cut := _cut(stage.name, value, scores.numpy(), kept, left, weights)) is not None:
            cuts.append(cut)
        scores, kept = after, left
    log_norm = top / temperature + math.log(float(weights[kept].sum()))
    dynamic = temperature if settings.dynamic_range else None
    count = int(np.count_nonzero(kept))
    return Reshaped(SamplerView(settings, count, log_norm, tuple(cuts), dynamic), changed, kept)


def draw(reshaped: Reshaped, numbers: Weights) -> list[int]:
    """The tokens that uniform numbers in [0, 1), shape [n], fall on.

    Inverse of the cumulative sum over the kept tokens, most probable first and equal ones by id,
    in f64.
    """
    view = reshaped.view
    if view.chosen is not None:
        return [view.chosen] * len(numbers)
    ids = np.flatnonzero(reshaped.kept)
    logits = reshaped.changed[ids]
    falling = np.sort(logits)[::-1]
    cumulative = np.cumsum(weights_of(falling, view.temperature))  # f64 [kept]
    places = np.searchsorted(cumulative, numbers * cumulative[-1], side="right")
    return [_token_at(ids, logits, falling, min(int(place), len(ids) - 1)) for place in places]


def _token_at(ids: np.ndarray, logits: Floats, falling: Floats, place: int) -> int:
    """The id at a place of the falling order, equal logits by id, without sorting ids."""
    logit = falling[place]
    larger = len(falling) - int(np.searchsorted(falling[::-1], logit, side="right"))
    return int(ids[np.flatnonzero(logits == logit)[place - larger]])


def temperature_of(settings: SamplingSettings, changed: Floats) -> float:
    """The temperature in force; a dynamic one follows the entropy over its largest, log V."""
    if not settings.dynamic_range:
        return settings.temperature
    share = entropy_of(weights_of(changed, 1.0)) / math.log(max(2, len(changed)))
    low = settings.temperature - settings.dynamic_range
    return low + 2 * settings.dynamic_range * min(1.0, share)


def entropy_of(weights: Weights) -> float:
    """Entropy (nats) of unnormalised probabilities, any of which may be 0."""
    positive = weights[weights > 0]
    total = float(positive.sum())
    return max(0.0, math.log(total) - float((positive * np.log(positive)).sum()) / total)


def weights_of(logits: Floats, temperature: float) -> Weights:
    """exp((logit - largest) / T) in f64, in the order of `logits`."""
    weights = logits.astype(np.float64)
    weights -= weights.max()
    weights /= temperature
    return np.exp(weights, out=weights)


FILTERS: dict[str, Callable[[Any], LogitsProcessor]] = {
    "top_h": TopHLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "typical_p": TypicalLogitsWarper,
    "epsilon_cutoff": EpsilonLogitsWarper,
    "eta_cutoff": EtaLogitsWarper,
}
"""By field, the formula of every stage that is a filter; their order is the table's."""


def filters_on(settings: SamplingSettings) -> list[Stage]:
    """The filters that are on, in transformers' order."""
    return [stage for stage in settings.in_force() if stage.kind == "filter"]


def _filtered(field: str, value: float, scores: torch.Tensor) -> torch.Tensor:
    """Scaled logits (f32, shape [V]) after a filter: what it removes is -inf."""
    if field == "top_p" and (border := _nucleus(scores, value)) is not None:
        return scores.masked_fill(scores < border, -math.inf)
    return FILTERS[field](value)(_NO_IDS, scores[None])[0]


def _nucleus(scores: torch.Tensor, value: float) -> float | None:
    """The smallest scaled logit of the nucleus; None where equal ones lie on both sides."""
    rising = torch.from_numpy(np.sort(scores.numpy()))  # sorted values are those of any sort
    cumulative = rising.softmax(dim=-1).cumsum(dim=-1)  # [V]
    removed = int((cumulative[:-1] <= (1 - value)).sum())
    border = float(rising[removed])
    return None if removed and float(rising[removed - 1]) == border else border


def _cut(
    name: str, value: float, scaled: Floats, before: Kept, after: Kept, weights: Weights
) -> Cut | None:
    """What a filter removed of the tokens that came to it; None where that is nothing."""
    gone = before & ~after
    if not gone.any():
        return None
    kept, removed = scaled[after], scaled[gone]
    low, high = float(kept.min()), float(kept.max())
    tie = bool((removed == np.float32(low)).any())
    at_border = after & (scaled == np.float32(low)) if tie else np.zeros(0, np.bool_)
    return Cut(
        name,
        float(value),
        len(kept),
        float(weights[gone].sum() / weights[before].sum()),
        tie,
        low,
        high if bool((removed > np.float32(high)).any()) else None,
        tuple(np.flatnonzero(at_border).tolist()),
    )


def after_step(step: LogitEdit, logits: Floats) -> Floats:
    """The logits (f32, shape [V]) after one stage of the changes: a copy."""
    logits = logits.copy()
    for token in step.amounts:
        if token < len(logits):
            logits[token] = step.apply(token, float(logits[token]))
    return logits


def _changed(row: Row, changes: LogitEdits) -> tuple[Floats, list[Cut]]:
    """The logits after the changes by the path, and what its bans removed."""
    logits, cuts = row.logits, []
    for step in changes.steps:
        before, logits = logits, after_step(step, logits)
        if step.bans:
            gone = np.isfinite(before) & ~np.isfinite(logits)
            if gone.any():
                weights = weights_of(before, 1.0)
                mass = float(weights[gone].sum() / weights.sum())
                cuts.append(Cut(step.stage, step.value, int(np.isfinite(logits).sum()), mass))
    return logits, cuts
