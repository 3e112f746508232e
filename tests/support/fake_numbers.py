"""The fake engine's arithmetic, in f64: log-sum-exp, ranks, and what a sampler keeps."""

import math
from collections.abc import Mapping

import numpy as np

from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import Distribution, Rows, TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.effects import SHOWN, Draws, Effect, StageEffect
from tokexplore.models.sampling.sampler_view import Cut, SamplerView
from tokexplore.models.sampling.settings import SamplingSettings


def sampler_view(order: np.ndarray, logits: np.ndarray, settings: SamplingSettings) -> SamplerView:
    """What a sampler keeps of raw logits (f32 [V], by id): T, top-k, top-p, min-p.

    `order` has the ids in candidate order.
    """
    if settings.greedy:
        return SamplerView(settings, 1, 0.0, chosen=int(order[0]))
    ordered = logits[order]
    scaled = ordered.astype(np.float64) / settings.temperature
    kept, cuts = int(np.sum(scaled > -np.inf)), []
    for stage, value in (
        ("top-k", settings.top_k),
        ("top-p", settings.top_p),
        ("min-p", settings.min_p),
    ):
        p = np.exp(scaled[:kept] - scaled[0])
        p /= p.sum()
        keep = _keep(stage, value, scaled[:kept], p)
        if keep < kept:
            border = ordered[keep - 1]
            tie = bool(border == ordered[keep])
            equal = order[:keep][ordered[:keep] == border].tolist() if tie else []
            low = float(border / np.float32(settings.temperature))
            mass = float(p[keep:].sum())
            cuts.append(Cut(stage, float(value), keep, mass, tie, low, None, tuple(equal)))
            kept = keep
    return SamplerView(settings, kept, log_sum_exp(scaled[:kept]), tuple(cuts))


def _keep(stage: str, value: float, scaled: np.ndarray, p: np.ndarray) -> int:
    """How many of the sorted candidates a stage keeps; all of them where it is off."""
    if stage == "top-k" and 0 < value < len(p):
        return int(np.sum(scaled >= scaled[int(value) - 1]))
    if stage == "top-p" and value < 1:
        return max(1, int(np.sum(np.cumsum(p) - p < value)))
    if stage == "min-p" and value > 0:
        return max(1, int(np.sum(p >= value * p[0])))
    return len(p)


def effect_of(order: np.ndarray, logits: np.ndarray, view: SamplerView) -> Effect:
    """What a view makes of raw logits (f32 [V], by id), told by its own logprobs."""
    values = logits.astype(np.float64)
    log_p = values - log_sum_exp(logits)
    p = np.exp(log_p)
    log_q = np.array([view.fate(t, float(x)).logprob for t, x in enumerate(logits)])
    kept = np.isfinite(log_q)
    q = np.where(kept, np.exp(log_q), 0.0)
    first = order[: min(SHOWN, view.kept)]
    entropy = max(0.0, -float(q[kept] @ log_q[kept]))
    kl = float(q[kept] @ (log_q[kept] - log_p[kept]))
    cuts = [(c.stage, c.value, c.kept, c.mass) for c in view.cuts]
    if view.settings.greedy:
        cuts.append(("greedy", 0.0, 1, float(1 - p[order[0]])))
    stages = tuple(StageEffect(*cut[:3], 1, cut[3], entropy) for cut in cuts)
    return Effect(
        view, -float(p[p > 0] @ log_p[p > 0]), entropy, kl, float(p[~kept].sum()), stages,
        first.astype(np.uint32).tobytes(), q[first].tobytes(),
    )  # fmt: skip


def drawn(counts: Mapping[int, int]) -> Draws:
    """Counts by token as an answer."""
    falling = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ids, numbers = (np.array(part, np.uint32).tobytes() for part in zip(*falling, strict=True))
    return Draws(sum(counts.values()), ids, numbers)


def drawn_place(kept: np.ndarray, settings: SamplingSettings, number: float) -> int:
    """The place that a uniform number falls on: inverse of the cumulative sum, shape [kept]."""
    p = np.exp(kept / settings.temperature - kept[0] / settings.temperature)
    total = np.cumsum(p)
    return min(int(np.searchsorted(total, number * total[-1], side="right")), len(p) - 1)


def log_sum_exp(logits: np.ndarray) -> float:
    """Log-sum-exp in f64."""
    values = logits.astype(np.float64)
    top = values.max()
    return float(top + math.log(np.exp(values - top).sum()))


def next_tokens_of(
    order: np.ndarray,
    logits: np.ndarray,
    view: SamplerView | None,
    start: int,
    count: int,
    told: Distribution | None,
) -> NextTokens:
    """`count` tokens from a place on of raw logits (f32 [V], by id), the model's own probabilities
    or those of a sampler's view."""
    if view is None:
        logprobs = logits[order].astype(np.float64) - log_sum_exp(logits)
    else:
        logprobs = np.array([view.fate(int(t), float(logits[t])).logprob for t in order])
    p = np.exp(logprobs)
    possible = order[p > 0]
    listed = slice(start, start + count)
    rest = float(p[p > 0][start + count :].sum())
    return NextTokens(
        possible[listed].astype(np.uint32).tobytes(), p[p > 0][listed].tobytes(), rest,
        start + count < len(possible), told,
    )  # fmt: skip


def standing_of(order: np.ndarray, logits: np.ndarray, token: int, lse: float) -> TokenRank:
    if not 0 <= token < len(logits):
        raise UsageError(f"token {token} is not in the vocabulary of {len(logits)}.")
    logit = logits[token]
    equal = int(np.sum(logits == logit))
    return TokenRank(
        token=token,
        logit=float(logit),
        logprob=float(logit) - lse,
        rank=1 + int(np.sum(logits > logit)),
        index=int(np.nonzero(order == token)[0][0]),
        tied=equal > 1,
    )


def rows_at(
    places: np.ndarray, order: np.ndarray, logits: np.ndarray, total: int, lse: float
) -> Rows:
    """The rows at these places of the candidate order."""
    ids = order[places]
    ascending = np.sort(logits)
    ranks = 1 + len(logits) - np.searchsorted(ascending, logits[ids], side="right")
    return Rows(
        ids.astype(np.uint32).tobytes(),
        logits[ids].tobytes(),
        places.astype(np.uint32).tobytes(),
        ranks.astype(np.uint32).tobytes(),
        total,
        lse,
    )
