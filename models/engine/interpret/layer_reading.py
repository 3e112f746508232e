"""What rows of logits, one of each layer, say beside the model's own."""

from collections.abc import Sequence

import torch

from tokexplore.models.api.interpreter import LayerReading
from tokexplore.models.distribution import TokenRank
from tokexplore.models.engine.forward.logits_row import candidates
from tokexplore.models.errors import UsageError


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
    exact = logits.double()
    lse = exact.logsumexp(-1)  # [k]
    if not lse.isfinite().all():
        raise UsageError(
            "a layer's state gives logits that are no numbers: this dtype is too coarse for its "
            "lens (--dtype float32 is not)."
        )
    logprobs = exact.sub_(lse[:, None])  # [k, V]
    entropies = -(logprobs.exp() * logprobs).nansum(-1)  # [k]; 0 x -inf adds nothing
    divergences = _divergences(own, logprobs)
    first = _first(logits, top)
    wanted = [_standings(logits, lse, token) for token in tokens]
    return [
        LayerReading(
            top=tuple(_listed(logits[at], lse[at].item(), ids)),
            asked=tuple(standings[at] for standings in wanted),
            entropy=max(0.0, entropies[at].item()),
            divergence=max(0.0, divergences[at].item()),
        )
        for at, ids in enumerate(first)
    ]


def _divergences(own: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """KL(own || each), [k] nats: of logprobs f64 [V] and [k, V]."""
    possible = own > -torch.inf
    if not possible.all():
        own, logprobs = own[possible], logprobs[:, possible]
    weights = own.exp()
    return weights @ own - logprobs @ weights


def _first(logits: torch.Tensor, top: int) -> list[list[int]]:
    """The first `top` ids of each row in candidate order, finite ones only.

    One top-k of all rows settles those without ties.
    """
    values, ids = logits.topk(min(top + 1, logits.shape[1]))  # [k, top + 1]
    falling = (values[:, 1:] < values[:, :-1]).all(-1) & values[:, -1].isfinite()
    return [
        found[:top] if distinct else candidates(row.numpy(), top)[0].tolist()
        for row, found, distinct in zip(logits, ids.tolist(), falling.tolist(), strict=True)
    ]


def _listed(row: torch.Tensor, lse: float, ids: Sequence[int]) -> list[TokenRank]:
    """The first tokens of a row, from its first `ids` in candidate order."""
    values = row[list(ids)].tolist()
    ranks = [1 + sum(other > value for other in values) for value in values]
    counts = [values.count(value) for value in values]
    if values and counts[-1] == 1 and (row == values[-1]).sum() > 1:
        counts[-1] = 2  # the one it is tied with is no longer listed
    pieces = zip(ids, values, ranks, counts, strict=True)
    return [
        TokenRank(token, value, value - lse, rank, place, tied=count > 1)
        for place, (token, value, rank, count) in enumerate(pieces)
    ]


def _standings(logits: torch.Tensor, lse: torch.Tensor, token: int) -> list[TokenRank]:
    """Where a token stands in each row."""
    values = logits[:, token]  # [k]
    larger = (logits > values[:, None]).sum(-1).tolist()
    equal = logits == values[:, None]  # [k, V]
    before, alike = equal[:, :token].sum(-1).tolist(), equal.sum(-1).tolist()
    rows = zip(
        values.tolist(), (values.double() - lse).tolist(), larger, before, alike, strict=True
    )
    return [
        TokenRank(token, value, logprob, above + 1, above + earlier, tied=same > 1)
        for value, logprob, above, earlier, same in rows
    ]
