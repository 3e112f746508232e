"""Several rows in one pass of one token each, on caches that may share their beginnings.

What several rows share is read once: the queries of all of them go against its keys in one product,
and against its values in another (Hydragen, arXiv 2402.05099; here on a tree of shared parts). The
scores of all parts of a row lie side by side, so that one softmax is over all of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.masking_utils import sdpa_mask

from tokexplore.models.engine.forward.growing_layer import GrowingLayer, Segment

KERNEL = "tokexplore_rows"
"""The name that transformers knows this attention by."""
_ROWS = "_tokexplore_rows"


class Piece(NamedTuple):
    """Positions `start` to `end`, which rows `first` to `last` of a batch hold in one memory."""

    first: int
    last: int
    start: int
    end: int
    segment: Segment
    offset: int
    """Position `start` is this one of the segment."""

    @property
    def keys(self) -> torch.Tensor:
        """[heads, n, head_dim]."""
        return self.segment.keys(self.offset, self.offset + self.end - self.start)[0]

    @property
    def values(self) -> torch.Tensor:
        """[heads, n, head_dim]."""
        return self.segment.values(self.offset, self.offset + self.end - self.start)[0]

    def since(self, position: int) -> "Piece":
        """The part that begins at a position or later."""
        cut = max(0, position - self.start)
        return self._replace(start=self.start + cut, offset=self.offset + cut)


def in_order(caches: Sequence[DynamicCache]) -> list[int]:
    """The places of caches in an order in which those that share memory are neighbours."""
    layers = [_first(cache).segments for cache in caches]
    return sorted(range(len(caches)), key=lambda at: [(id(b), n) for b, n in layers[at]])


class RowsCache(DynamicCache):
    """A cache of one row for each of several caches, which it extends, for passes of one token."""

    def __init__(self, caches: Sequence[DynamicCache]) -> None:
        super().__init__()
        lengths = [_first(cache).get_seq_length() for cache in caches]
        self.longest = max(lengths)
        self.pads = tuple(self.longest - length for length in lengths)
        """How many of each row's first places hold nothing, where all rows end at one place."""
        masks = Masks(self.pads)
        self.layers = [
            RowsLayer(rows, masks) if isinstance(rows[0], GrowingLayer) else rows[0]
            for rows in zip(*(cache.layers for cache in caches), strict=True)
        ]


def _first(cache: DynamicCache) -> GrowingLayer:
    """The first layer that holds anything."""
    layers = (layer for layer in cache.layers if isinstance(layer, GrowingLayer))
    return next(layer for layer in layers if layer.get_seq_length())


class Masks:
    """What the masks of a pass leave of each row, by the rows' own positions.

    Args:
        pads: how many of each row's first places hold nothing.
    """

    def __init__(self, pads: Sequence[int]) -> None:
        self._pads = pads
        self._known: list[tuple[torch.Tensor, int, torch.Tensor | None]] = []

    def read(self, mask: torch.Tensor | None) -> tuple[int, torch.Tensor | None]:
        """The first position that any row attends to, and what is added to scores from there on.

        Args:
            mask: the model's own over places, [B or 1, 1, 1, places]: bool, or added to scores.

        Returns:
            A position, and [B, 1, n] or None where nothing is to be added.
        """
        if mask is None:
            return 0, None
        for known, first, bias in self._known:
            if known is mask:
                return first, bias
        first, bias = self._read(mask)
        self._known.append((mask, first, bias))
        return first, bias

    def _read(self, mask: torch.Tensor) -> tuple[int, torch.Tensor | None]:
        if mask.ndim != 4 or mask.shape[1:3] != (1, 1):
            raise ValueError(f"a mask of shape {tuple(mask.shape)}")
        places = mask.shape[-1]
        pads = torch.tensor(self._pads, device=mask.device)[:, None]  # [B, 1]
        # Behind a row's end stands what its last place has, which is always open.
        at = (torch.arange(places, device=mask.device) + pads).clamp(max=places - 1)
        mask = mask[:, 0, 0].expand(len(self._pads), -1).gather(1, at)
        if mask.dtype == torch.bool:
            none = torch.zeros((), device=mask.device)
            mask = torch.where(mask, none, float("-inf"))  # [B, places]
        else:
            mask = mask.float()
        is_open = mask > torch.finfo(mask.dtype).min / 2
        first = int(is_open.any(0).int().argmax())
        bias = mask[:, None, first:]
        return first, bias if bias.any() else None


class RowsLayer(DynamicLayer):
    """One layer of several rows' caches."""

    def __init__(self, rows: Sequence[GrowingLayer], masks: Masks) -> None:
        super().__init__()
        self._rows, self._masks = rows, masks

    def get_seq_length(self) -> int:
        """Positions that the longest row holds."""
        return max(row.get_seq_length() for row in self._rows)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append a token's states to each row, [B, heads, 1, head_dim]."""
        for row, keys, values in zip(
            self._rows, key_states.split(1), value_states.split(1), strict=True
        ):
            row.append(keys, values)
        setattr(key_states, _ROWS, self)
        return key_states, value_states

    def attended(
        self,
        query: torch.Tensor,
        mask: torch.Tensor | None,
        scaling: float,
        softcap: float | None,
        sinks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What each row's query gets of its own keys and values, [B, 1, heads, head_dim].

        And of one row alone its weights [1, heads, 1, n], as the eager kernel of transformers.

        Args:
            query: of one token, [B, heads, 1, head_dim].
            mask: see `Masks.read`.
            softcap: scores are bent to stay below it (Gemma 2).
            sinks: a score for each head that takes part in the softmax and has no value (GPT-OSS).
        """
        rows, heads, _, size = query.shape
        first, bias = self._masks.read(mask)
        pieces = [piece.since(first) for piece in self._pieces() if piece.end > first]
        shared = pieces[0].keys.shape[0]  # heads of keys and values
        group, width = heads // shared, max(piece.end for piece in pieces) - first
        grouped = query.reshape(rows, shared, group, size).transpose(0, 1).reshape(shared, -1, size)
        scores = query.new_full((shared, rows * group, width + (sinks is not None)), float("-inf"))
        for piece in pieces:
            part = _part(scores, piece, group, first)
            queries = grouped.narrow(1, piece.first * group, part.shape[1])
            part.baddbmm_(queries, piece.keys.transpose(1, 2), beta=0, alpha=scaling)
            if softcap is not None:
                part.div_(softcap).tanh_().mul_(softcap)
        by_row = scores.view(shared, rows, group, -1)
        if bias is not None:
            by_row[..., :width] += bias
        if sinks is not None:
            by_row[..., width] = sinks.view(shared, 1, group)
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(query.dtype)
        found = query.new_zeros((shared, rows * group, pieces[0].values.shape[-1]))
        for piece in pieces:
            part = _part(weights, piece, group, first)
            found.narrow(1, piece.first * group, part.shape[1]).baddbmm_(part, piece.values)
        found = found.view(shared, rows, group, -1).transpose(0, 1)
        found = found.reshape(rows, 1, heads, -1)
        if rows > 1:
            return found, None
        own = weights[..., :width]
        return found, (pad(own, (first, 0)) if first else own).reshape(1, heads, 1, -1)

    def _pieces(self) -> list[Piece]:
        return list(_pieces([row.segments for row in self._rows], 0, len(self._rows)))


def _part(scores: torch.Tensor, piece: Piece, group: int, first: int) -> torch.Tensor:
    """What belongs to a piece of scores (or weights) [heads, B * group, n] from `first` on."""
    rows = scores.narrow(1, piece.first * group, (piece.last - piece.first) * group)
    return rows.narrow(2, piece.start - first, piece.end - piece.start)


def _pieces(
    rows: Sequence[tuple[Segment, ...]], first: int, last: int, depth: int = 0, start: int = 0
) -> Iterator[Piece]:
    """The pieces of the rows `first` to `last` from their segment number `depth` on.

    Rows that have a segment's memory in common are neighbours, the shorter ones first; where they
    are not, the pieces are smaller and the numbers the same.
    """
    while first < last:
        if depth == len(rows[first]):
            first += 1
            continue
        done, end = 0, first + 1
        while end < last and _continues(rows[end - 1], rows[end], depth):
            end += 1
        while first < end:
            segment = rows[first][depth]
            over = first + 1
            while over < end and rows[over][depth].length == segment.length:
                over += 1
            if segment.length > done:
                yield Piece(first, end, start + done, start + segment.length, segment, done)
                done = segment.length
            yield from _pieces(rows, first, over, depth + 1, start + segment.length)
            first = over


def _continues(row: tuple[Segment, ...], other: tuple[Segment, ...], depth: int) -> bool:
    """Whether another row holds at least as much of the same memory."""
    if depth == len(other) or other[depth].buffer is not row[depth].buffer:
        return False
    return other[depth].length >= row[depth].length


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
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """An attention function of transformers, for passes on a `RowsCache`."""
    layer: RowsLayer | None = getattr(key, _ROWS, None)
    if layer is None:
        raise ValueError("its attention does not take the keys that its cache gives")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return layer.attended(query, attention_mask, scale, softcap, s_aux)


AttentionInterface.register(KERNEL, _attention)
AttentionMaskInterface.register(KERNEL, sdpa_mask)
