"""What rows of logits, one of each layer, say beside the model's own."""

from collections.abc import Iterator, Sequence

import torch

from tokexplore.models.api.interpreter import LayerReading
from tokexplore.models.distribution import TokenRank
from tokexplore.models.engine.forward.logits_row import Row, candidates, standing
from tokexplore.models.errors import UsageError

_ELEMENTS = 2**19
"""Logits that are summed at one time: f64 copies of so many stay near the processor."""


def readings(
    logits: torch.Tensor, own: torch.Tensor, tokens: Sequence[int], top: int
) -> list[LayerReading]:
    """The readings of k layers.

    Args:
        logits: f32 on the CPU, shape [k, V].
        own: f64, shape [V]: logprobs of the model's own distribution, nats.
        tokens: what `LayerReading.asked` tells of.
        top: how many of the most probable tokens are told.

    Raises:
        UsageError: logits that are no distribution.
    """
    rows = max(1, _ELEMENTS // logits.shape[1])
    return [one for piece in logits.split(rows) for one in _piece(piece, own, tokens, top)]


def _piece(
    logits: torch.Tensor, own: torch.Tensor, tokens: Sequence[int], top: int
) -> Iterator[LayerReading]:
    exact = logits.double()
    lse = exact.logsumexp(-1)  # [k]
    if not lse.isfinite().all():
        raise UsageError(
            "a layer's state gives logits that are no numbers: this dtype is too coarse for its "
            "lens (--dtype float32 is not)."
        )
    logprobs = exact.sub_(lse[:, None])  # [k, V]
    divergences = _divergences(own, logprobs)
    finite = logprobs.clamp_(min=torch.finfo(torch.float64).min)  # 0 x -inf would be no number
    entropies = -torch.linalg.vecdot(logprobs.exp(), finite)  # [k]
    sums = zip(logits.numpy(), lse.tolist(), entropies.tolist(), strict=True)
    rows = [Row(values, total, entropy, "lens") for values, total, entropy in sums]
    found = zip(rows, _first(logits, top), divergences.tolist(), strict=True)
    for row, listed, divergence in found:
        yield LayerReading(
            top=tuple(_listed(row, listed, top)),
            asked=tuple(standing(row, token) for token in tokens),
            entropy=max(0.0, row.entropy),
            divergence=max(0.0, divergence),
        )


def _divergences(own: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """KL(own || each), [k] nats: of logprobs f64 [V] and [k, V]."""
    weights = own.exp()
    possible = (
        weights > 0
    )  # what the model gives no probability adds nothing, whatever a layer says
    if not possible.all():
        own, weights, logprobs = own[possible], weights[possible], logprobs[:, possible]
    return weights @ own - logprobs @ weights


def _first(logits: torch.Tensor, top: int) -> list[list[int]]:
    """The first `top` ids of each row; none of a row in which logits are equal among them or at
    their border."""
    values, ids = logits.topk(min(top + 1, logits.shape[1]))  # [k, top + 1]
    falling = (values[:, 1:] < values[:, :-1]).all(-1) & values[:, -1].isfinite()
    rows = zip(ids.tolist(), falling.tolist(), strict=True)
    return [found[:top] if distinct else [] for found, distinct in rows]


def _listed(row: Row, ids: Sequence[int], top: int) -> Iterator[TokenRank]:
    """The first `top` tokens of a row; `ids` are theirs where no logits are equal there."""
    if not ids:
        yield from (standing(row, int(token)) for token in candidates(row.logits, top)[0])
    for place, token in enumerate(ids):
        logit = float(row.logits[token])
        yield TokenRank(token, logit, logit - row.lse, place + 1, place)
