"""Mixtures of experts: where routers send tokens, and what limited experts would leave out."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from tokexplore.models.api.instruments import Capacity, Routing
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.errors import UsageError

_NAMES = ("gate", "router")
"""What routers are called beside `experts` in transformers."""
_ROUNDING = 1e-5
"""Scores that are closer than this may be ordered otherwise on another device."""


class Router(NamedTuple):
    """A layer's router and its experts."""

    layer: int
    """From 1."""
    router: nn.Module
    """Gives the logits [T, E], the weights [T, k] and the experts [T, k] of T tokens."""
    experts: nn.Module


def routers_of(model: nn.Module, name: str) -> list[Router]:
    """The routers of a model, layer by layer.

    Raises:
        UsageError: there are none.
    """
    found = _routers(model)
    if not found:
        raise UsageError(f"{name} has no experts: give a mixture-of-experts model.")
    return found


def has_routers(model: nn.Module) -> bool:
    """Whether a model is a mixture of experts."""
    return bool(_routers(model))


def _routers(model: nn.Module) -> list[Router]:
    found: list[Router] = []
    for path, block in model.named_modules():
        experts = getattr(block, "experts", None)
        router = next((getattr(block, n) for n in _NAMES if hasattr(block, n)), None)
        if isinstance(experts, nn.Module) and isinstance(router, nn.Module):
            layer = next((int(part) for part in path.split(".") if part.isdigit()), len(found))
            found.append(Router(layer + 1, router, experts))
    return found


class Record:
    """What routers said while it listened, pass by pass."""

    def __init__(self, routers: Sequence[Router]) -> None:
        self._routers = routers
        self._passes: list[list[tuple[torch.Tensor, ...]]] = [[] for _ in routers]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear all passes."""
        with ExitStack() as stack:
            for passes, each in zip(self._passes, self._routers, strict=True):
                handle = each.router.register_forward_hook(_collecting(passes))
                stack.callback(handle.remove)
            yield

    def routing(self, row: int | None, first: int = 0) -> Routing:
        """What was heard in one pass or more.

        Args:
            row: the one token that is told of each pass; None tells all tokens.
            first: so many tokens at the beginning are not told.
        """
        own: slice | list[int] = slice(None) if row is None else [row]
        layers = []
        for passes, each in zip(self._passes, self._routers, strict=True):
            parts = zip(*passes, strict=True)  # logits, weights, experts of all passes
            logits, weights, chosen = (torch.cat([p[own] for p in part])[first:] for part in parts)
            layers.append(_layer(_standing(each.router, logits), weights, chosen))
        steps = range(len(layers[0]))
        return Routing(
            layers=tuple(each.layer for each in self._routers),
            experts=self._passes[0][0][0].shape[-1],
            unit="scores" if _scores(self._routers[0].router) else "logits",
            chosen=tuple(tuple(layer[n].chosen for layer in layers) for n in steps),
            weights=tuple(tuple(layer[n].weights for layer in layers) for n in steps),
            margins=tuple(tuple(layer[n].margin for layer in layers) for n in steps),
            left_out=tuple(tuple(layer[n].left_out for layer in layers) for n in steps),
        )


def _collecting(passes: list[tuple[torch.Tensor, ...]]) -> Any:
    def collect(_module: nn.Module, _inputs: object, output: Any) -> None:
        if not isinstance(output, tuple) or len(output) != 3 or output[2].is_floating_point():
            raise UsageError(
                "this model's routers are of an unknown kind: nothing is told of them."
            )
        logits, weights, chosen = (part.detach().to("cpu") for part in output)
        passes.append((logits.float(), weights.float(), chosen))

    return collect


def _scores(router: nn.Module) -> bool:
    """Whether a router chooses as DeepSeek-V3's does, by more than its logits."""
    return hasattr(router, "e_score_correction_bias") and hasattr(router, "topk_group")


def _standing(router: Any, logits: torch.Tensor) -> torch.Tensor:
    """What a router chooses by, [T, E]: its logits [T, E], or DeepSeek-V3's scores.

    Those are sigmoids and a correction that balances the load, of the experts in the groups whose
    best two add up to most (arXiv:2412.19437, section 2.1.2).
    """
    if not _scores(router):
        return logits
    scores = logits.sigmoid() + router.e_score_correction_bias.to("cpu", torch.float32)  # [T, E]
    groups = scores.unflatten(-1, (router.num_group, -1))  # [T, G, E / G]
    allowed = groups.topk(2, -1).values.sum(-1).topk(router.topk_group, -1).indices  # [T, allowed]
    closed = torch.ones(groups.shape[:2], dtype=torch.bool).scatter(-1, allowed, False)  # [T, G]
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


class _Token(NamedTuple):
    chosen: tuple[int, ...]
    weights: tuple[float, ...]
    margin: float | None
    left_out: int


def _layer(standing: torch.Tensor, weights: torch.Tensor, chosen: torch.Tensor) -> list[_Token]:
    """A layer's routing of T tokens: standing [T, E], weights [T, k], chosen [T, k].

    A router whose choice is not that of the best goes by something else, and none of its margins
    means anything.
    """
    order = weights.argsort(dim=-1, descending=True, stable=True)  # [T, k]
    weights, chosen = weights.gather(-1, order), chosen.gather(-1, order)
    last = standing.gather(-1, chosen).min(-1).values  # [T]
    best, left_out = standing.scatter(-1, chosen, -math.inf).max(-1)  # [T]
    gaps = (last - best).tolist()
    by_rank = all(gap >= -_ROUNDING for gap in gaps)
    margins = [max(gap, 0.0) if by_rank and math.isfinite(gap) else None for gap in gaps]
    rows = zip(chosen.tolist(), weights.tolist(), margins, left_out.tolist(), strict=True)
    return [_Token(tuple(c), tuple(w), m, out) for c, w, m, out in rows]


@contextmanager
def limited(routers: Sequence[Router], forward: Forward, capacity: Capacity) -> Iterator[None]:
    """Simulate experts of limited capacity: the weights of what does not fit become 0."""

    def limit(experts: int) -> Any:
        def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...], more: Any) -> Any:
            hidden, chosen, weights = inputs
            order = weights.argsort(dim=-1, descending=True, stable=True)  # [T, k]
            ranked = overflow(chosen.gather(-1, order), experts, capacity, forward.occupied)
            over = torch.zeros_like(ranked).scatter(-1, order, ranked)
            return (hidden, chosen, weights.masked_fill(over, 0.0)), more

        return hook

    with ExitStack() as stack:
        for each in routers:
            count = int(getattr(each.experts, "num_experts", 0))
            handle = each.experts.register_forward_pre_hook(limit(count), with_kwargs=True)
            stack.callback(handle.remove)
        yield


def overflow(
    chosen: torch.Tensor, experts: int, capacity: Capacity, occupied: torch.Tensor | None
) -> torch.Tensor:
    """Which choices of a pass do not fit: bool, shape [T, k]; see `Capacity`.

    Args:
        chosen: expert ids, [T, k], T = B * n tokens row after row, falling by weight.
        occupied: bool [B, n], False for padding, which takes no room; None for none.
    """
    count, k = chosen.shape
    device = chosen.device
    real = torch.arange(count, device=device)
    if occupied is not None:
        real = real[occupied.flatten()]
    over = torch.zeros(count, k, dtype=torch.bool, device=device)
    for group in real.split(capacity.group):
        wanted = capacity.factor * len(group) * k / experts
        room = max(1, math.ceil(min(wanted, len(group))))  # no token chooses an expert twice
        queue = chosen[group].T.flatten()  # [k * tokens]: all first choices, then all second ones
        places = nn.functional.one_hot(queue, experts).cumsum(0)  # [k * tokens, E]
        place = places.gather(1, queue[:, None])[:, 0]  # [k * tokens], from 1
        over[group] = (place > room).view(k, -1).T
    return over
