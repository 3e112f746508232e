"""The sampler: temperature, top-k, top-p, min-p, then one token by inverse CDF.

The kept set is that of transformers' processors (`generation/logits_process.py`) on the full
vocabulary in f32. All four stages are monotone in the logit, so sorted values are enough; a cut
inside a tie, which transformers leaves to an unstable sort, is decided by candidate order.
"""

import math

import numpy as np
import torch

from tokexplore.models.engine.summary import Floats, Row
from tokexplore.models.sampling import Cut, SamplerView, SamplingSettings


def reshape(row: Row, settings: SamplingSettings) -> SamplerView:
    """What the sampler keeps of a row, and what each stage cut."""
    if settings.greedy:
        return SamplerView(settings, 1, 0.0)
    ascending = torch.from_numpy(row.ascending)  # [V]
    scaled = ascending / settings.temperature  # [V]
    kept = int(torch.isfinite(scaled).sum())
    cuts = []
    weights = _weights(row.ascending, settings.temperature)  # f64 [V], candidate order
    for stage, value in _stages(settings):
        if stage == "min-p":
            keep = min(kept, _min_p(_unsorted(row, settings.temperature, scaled, kept), value))
        else:
            keep = min(kept, _KEEP[stage](scaled, value))
        if keep < kept:
            mass = float(weights[keep:kept].sum() / weights[:kept].sum())
            tie = bool(row.ascending[-keep] == row.ascending[-keep - 1])
            cuts.append(Cut(stage, float(value), keep, mass, tie))
            scaled[: len(scaled) - keep] = -math.inf
            kept = keep
    top = float(row.ascending[-1]) / settings.temperature
    log_norm = top + math.log(float(weights[:kept].sum()))
    return SamplerView(settings, kept, log_norm, tuple(cuts))


def draw(row: Row, view: SamplerView, number: float) -> tuple[int, int]:
    """The candidate that a uniform number in [0, 1) falls on: its index from 0, and its id.

    Inverse of the cumulative sum over the kept candidates in candidate order, in f64.
    """
    if view.settings.greedy:
        return 0, token_at(row, 0)
    kept = row.ascending[len(row.logits) - view.kept :]
    cumulative = np.cumsum(_weights(kept, view.settings.temperature))  # f64 [kept]
    place = int(np.searchsorted(cumulative, number * cumulative[-1], side="right"))
    index = min(place, view.kept - 1)
    return index, token_at(row, index)


def token_at(row: Row, index: int) -> int:
    """The id at a place of the candidate order, without sorting ids."""
    if index == 0:
        return int(row.logits.argmax())
    logit = row.ascending[-1 - index]
    larger = len(row.logits) - int(np.searchsorted(row.ascending, logit, side="right"))
    return int(np.flatnonzero(row.logits == logit)[index - larger])


def _stages(settings: SamplingSettings) -> list[tuple[str, float]]:
    """The stages that are on, in transformers' order."""
    stages: list[tuple[str, float]] = []
    if settings.top_k:
        stages.append(("top-k", settings.top_k))
    if settings.top_p < 1:
        stages.append(("top-p", settings.top_p))
    if settings.min_p:
        stages.append(("min-p", settings.min_p))
    return stages


def _weights(ascending: Floats, temperature: float) -> np.ndarray:
    """exp((logit - largest) / T) in candidate order, f64, shape of `ascending`."""
    falling = ascending[::-1].astype(np.float64)
    falling -= falling[0]
    falling /= temperature
    return np.exp(falling, out=falling)


def _top_k(scaled: torch.Tensor, value: float) -> int:
    """All that are at least the k-th largest."""
    border = scaled[-min(int(value), len(scaled))]
    return len(scaled) - int(torch.searchsorted(scaled, border))


def _top_p(scaled: torch.Tensor, value: float) -> int:
    """All but the smallest whose cumulative probability is within 1 - p; always one."""
    cumulative = scaled.softmax(dim=-1).cumsum(dim=-1)  # [V]
    return len(scaled) - int((cumulative[:-1] <= (1 - value)).sum())


def _min_p(scores: torch.Tensor, value: float) -> int:
    """All with at least this share of the largest probability."""
    probabilities = scores.softmax(dim=-1)  # [V]
    return int((probabilities >= value * probabilities.amax()).sum())


def _unsorted(row: Row, temperature: float, scaled: torch.Tensor, kept: int) -> torch.Tensor:
    """The scaled logits by id with what was cut at -inf, shape [V].

    The order in which f32 probabilities are summed decides which are just below the border.
    """
    scores = torch.from_numpy(row.logits) / temperature
    border = scaled[len(scaled) - kept]
    excess = int((scores >= border).sum()) - kept
    scores[scores < border] = -math.inf
    if excess:
        equal = torch.nonzero(scores == border)[:, 0]
        scores[equal[len(equal) - excess :]] = -math.inf
    return scores


_KEEP = {"top-k": _top_k, "top-p": _top_p}
