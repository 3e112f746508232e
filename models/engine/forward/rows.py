"""Several rows in one pass of one token each, on caches that may share their beginnings.

What several rows share is read once: the queries of all of them go against its keys and values
together, those of each row against its own, and what the parts gave is joined by their sums of
exponentials (Hydragen, arXiv 2402.05099; here on a tree of shared parts).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.masking_utils import sdpa_mask

from tokexplore.models.engine.forward.growing_layer import GrowingLayer, append_to_each
from tokexplore.models.engine.forward.partial_attention import Partial, joined, partial
from tokexplore.models.engine.forward.shared_parts import Part, Rows, by_level, in_order, parts

KERNEL = "tokexplore_rows"
"""The name that transformers knows this attention by."""
_ROWS = "_tokexplore_rows"


def order_of(caches: Sequence[DynamicCache]) -> list[int]:
    """The places of caches in an order in which those that share memory are neighbours."""
    return in_order([_first(cache).segments for cache in caches])


class RowsCache(DynamicCache):
    """A cache of one row for each of several caches, which it extends, for passes of one token."""

    def __init__(self, caches: Sequence[DynamicCache]) -> None:
        super().__init__()
        lengths = [_first(cache).get_seq_length() for cache in caches]
        self.longest = max(lengths)
        self.pads = tuple(self.longest - length for length in lengths)
        """How many of each row's first places hold nothing, where all rows end at one place."""
        plan = Plan(self.pads)
        self.layers = [
            RowsLayer(rows, plan) if isinstance(rows[0], GrowingLayer) else rows[0]
            for rows in zip(*(cache.layers for cache in caches), strict=True)
        ]


def _first(cache: DynamicCache) -> GrowingLayer:
    """The first layer that holds anything."""
    layers = (layer for layer in cache.layers if isinstance(layer, GrowingLayer))
    return next(layer for layer in layers if layer.get_seq_length())


class Masked(NamedTuple):
    """What a mask leaves of rows, by their own positions."""

    first: int
    """The first position that any row attends to."""
    free: int
    """From this position on every row attends to all that it holds."""
    bias: torch.Tensor
    """What is added to the scores of positions `first` to `free`: f32, [B, n]."""


class Piece(NamedTuple):
    """A part as one mask leaves it."""

    part: Part
    level: int
    bias: torch.Tensor | None
    """What is added to the scores of its rows, [rows, 1, 1, n]; None for nothing."""


class Plan:
    """What the rows of a pass read, which is the same in each layer but for its mask.

    Args:
        pads: how many of each row's first places hold nothing.
    """

    def __init__(self, pads: Sequence[int]) -> None:
        self._pads = pads
        self._parts: list[Part] = []
        self._lengths: list[tuple[int, int]] = []
        """Segments of each row that the parts are of, and how much of the last one."""
        self._known: list[tuple[torch.Tensor | None, list[Piece]]] = []

    def pieces(self, rows: Rows, mask: torch.Tensor | None) -> list[Piece]:
        """What is to be read of a layer's rows under a mask.

        Args:
            mask: the model's own over places, [B or 1, 1, 1, places]: bool, or added to scores.
        """
        lengths = [(len(row), row[-1].length) for row in rows]
        if lengths != self._lengths or not all(part.fits(rows) for part in self._parts):
            self._parts, self._lengths, self._known = parts(rows), lengths, []
        for known, pieces in self._known:
            if known is mask:
                return pieces
        pieces = _pieces(self._parts, masked(mask, self._pads) if mask is not None else None)
        self._known.append((mask, pieces))
        return pieces


def _pieces(found: Sequence[Part], mask: Masked | None) -> list[Piece]:
    if mask is None:
        return _levels(found, None, 0)
    cut = _levels([part.between(mask.first, mask.free) for part in found], mask, 0)
    behind = [part.between(mask.free, part.end) for part in found]
    return cut + _levels(behind, None, 1 + max((piece.level for piece in cut), default=-1))


def _levels(found: Sequence[Part], mask: Masked | None, first: int) -> list[Piece]:
    """Parts that are not empty in levels from `first` on, under what a mask adds to scores."""
    levels = by_level([part for part in found if part.end > part.start])
    return [
        Piece(part, number, _bias(part, mask) if mask else None)
        for number, level in enumerate(levels, first)
        for part in level
    ]


def _bias(part: Part, mask: Masked) -> torch.Tensor:
    """What is added to the scores of a part's rows: [rows, 1, 1, n]."""
    bias = mask.bias[part.first : part.last]
    return bias.narrow(1, part.start - mask.first, part.end - part.start)[:, None, None]


def masked(mask: torch.Tensor, pads: Sequence[int]) -> Masked:
    """Read a mask; see `Plan`.

    Raises:
        ValueError: it is one of each head, or of several queries.
    """
    if mask.ndim != 4 or mask.shape[1:3] != (1, 1):
        raise ValueError(f"a mask of shape {tuple(mask.shape)}")
    places = mask.shape[-1]
    empty = torch.tensor(pads, device=mask.device)[:, None]  # [B, 1]
    # Behind a row's end stands what its last place has, which is always open.
    at = (torch.arange(places, device=mask.device) + empty).clamp(max=places - 1)
    mask = mask[:, 0, 0].expand(len(pads), -1).gather(1, at)  # [B, places]
    if mask.dtype == torch.bool:
        mask = torch.where(mask, torch.zeros((), device=mask.device), float("-inf"))
    else:
        mask = mask.float()
    is_open = mask > torch.finfo(mask.dtype).min / 2
    first = int(is_open.any(0).int().argmax())
    changed = (mask[:, first:] != 0).any(0).nonzero()
    free = first + (int(changed[-1]) + 1 if len(changed) else 0)
    return Masked(first, free, mask[:, first:free])


class RowsLayer(DynamicLayer):
    """One layer of several rows' caches."""

    def __init__(self, rows: Sequence[GrowingLayer], plan: Plan) -> None:
        super().__init__()
        self._rows, self._plan = rows, plan

    def get_seq_length(self) -> int:
        """Positions that the longest row holds."""
        return max(row.get_seq_length() for row in self._rows)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append a token's states to each row, [B, heads, 1, head_dim]."""
        append_to_each(self._rows, key_states, value_states)
        setattr(key_states, _ROWS, self)
        return key_states, value_states

    def attended(
        self,
        query: torch.Tensor,
        mask: torch.Tensor | None,
        scaling: float,
        softcap: float | None,
        sinks: torch.Tensor | None,
    ) -> torch.Tensor:
        """What each row's query gets of its own keys and values, [B, 1, heads, head_dim].

        Args:
            query: of one token, [B, heads, 1, head_dim].
            mask: see `Plan.pieces`.
            softcap: scores are bent to stay below it (Gemma 2).
            sinks: a score for each head that takes part in the softmax and has no value (GPT-OSS).
        """
        count, heads, _, size = query.shape
        rows = [row.segments for row in self._rows]
        pieces = self._plan.pieces(rows, mask)
        shape = rows[0][0].buffer.values.shape  # [1, heads of keys and values, room, head_dim]
        group, levels = heads // shape[1], pieces[-1].level + 1
        queries = query.reshape(count, shape[1], group, size)
        found = query.new_zeros((levels, *queries.shape[:3], shape[-1]))
        largest = torch.full(found.shape[:-1], float("-inf"), device=query.device)
        parts = Partial(found, largest, torch.zeros_like(largest))
        for part, level, bias in pieces:
            at = slice(part.first, part.last)
            if bias is not None and not part.each:
                bias = bias.expand(-1, 1, group, -1).flatten(0, 2)
            read = partial(_queries(queries[at], part), *part.states(rows), scaling, softcap, bias)
            for into, given in zip(parts, read, strict=True):
                into[level, at] = _by_row(given, part, group)
        if sinks is not None:
            sinks = sinks.view(1, -1, group)
        return joined(parts, sinks).reshape(count, 1, heads, -1)


def _queries(queries: torch.Tensor, part: Part) -> torch.Tensor:
    """The queries [rows, heads, group, head_dim] of a part's rows, as it takes them."""
    return queries if part.each else queries.transpose(0, 1).flatten(1, 2)[None]


def _by_row(given: torch.Tensor, part: Part, group: int) -> torch.Tensor:
    """What a part gave, by row: [rows, heads, group, ...]."""
    return given if part.each else given[0].unflatten(1, (-1, group)).transpose(0, 1)


def _attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    _value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers, for passes on a `RowsCache`."""
    layer: RowsLayer | None = getattr(key, _ROWS, None)
    if layer is None:
        raise ValueError("its attention does not take the keys that its cache gives")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return layer.attended(query, attention_mask, scale, softcap, s_aux), None


AttentionInterface.register(KERNEL, _attention)
AttentionMaskInterface.register(KERNEL, sdpa_mask)
