"""Attention over a part of what is attended to, and the joining of parts.

A softmax over all parts is had of each part's largest score and sum of exponentials (the online
softmax of Milakov and Gimelshein, arXiv 1805.02867).
"""

from typing import NamedTuple

import torch

_LEAST = -1e30
"""Stands for the largest of no scores: less than any score, and its own difference is 0."""


class Partial(NamedTuple):
    """What queries get of a part."""

    found: torch.Tensor
    """The sum of the values, each times exp(score - largest): [B, heads, q, head_dim]."""
    largest: torch.Tensor
    """The largest score: f32 [B, heads, q]."""
    total: torch.Tensor
    """The sum of exp(score - largest): f32 [B, heads, q]."""


def partial(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float,
    softcap: float | None = None,
    bias: torch.Tensor | None = None,
) -> Partial:
    """What queries get of some keys and values.

    Args:
        query: [B, heads, q, head_dim].
        keys: [B, heads, n, head_dim]; values likewise.
        softcap: scores are bent to stay below it.
        bias: added to the scores, f32 [B or 1, 1, q, n]; -inf leaves a key out.
    """
    scores = torch.matmul(query * scaling, keys.transpose(-2, -1)).float()  # [B, heads, q, n]
    if softcap is not None:
        scores.div_(softcap).tanh_().mul_(softcap)
    if bias is not None:
        scores.add_(bias)
    largest = scores.amax(-1, keepdim=True).clamp_(min=_LEAST)
    weights = scores.sub_(largest).exp_()
    total = weights.sum(-1)
    return Partial(torch.matmul(weights.to(values.dtype), values), largest[..., 0], total)


def joined(parts: Partial, sinks: torch.Tensor | None = None) -> torch.Tensor:
    """What queries get of all parts, of the shape of what they get of one.

    Args:
        parts: each with one more dimension in front, the parts.
        sinks: scores that take part and have no value, of the shape of one part's scores.
    """
    largest = parts.largest.amax(0)
    if sinks is not None:
        largest = torch.maximum(largest, sinks.float())
    weights = (parts.largest - largest).exp_()  # [parts, ...]
    total = (parts.total * weights).sum(0)
    if sinks is not None:
        total += (sinks.float() - largest).exp_()
    weights = weights.div_(total)[..., None]
    return (parts.found * weights).sum(0).to(parts.found.dtype)
