"""KV caches forked by reference, and what it takes to go back along a path.

Keys and values of a position are never written again, so a fork is copied references and a shorter
prefix is a view. A fork that goes on writes into a buffer of its own behind what it shares, so a
tree of branches holds the keys and values of each edge once. Convolution and recurrent states are
written in place: those are cloned, and going back needs a snapshot of them.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from transformers import PreTrainedModel, cache_utils
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionCacheLayerMixin,
)

_ROOM = 32
"""A buffer has room for a multiple of so many positions."""
_EMPTY_LAYERS = tuple(filter(None, [getattr(cache_utils, "DummyLayer", None)]))
"""Classes of layers that keep nothing; transformers has one from 5.23 on."""


@dataclass(eq=False)
class Buffer:
    """Keys and values of one layer with room to grow, shared by its forks."""

    keys: torch.Tensor
    """[1, heads, room, head_dim]."""
    values: torch.Tensor
    fill: int
    """Positions that some fork has written; the fork of this length may write the next."""
    holders: "WeakSet[GrowingLayer]" = field(default_factory=WeakSet)
    """The layers that hold a part of it and are alive."""

    @property
    def room(self) -> int:
        return self.keys.shape[-2]

    def __post_init__(self) -> None:
        self.bytes = _bytes(self.keys) + _bytes(self.values)


class Segment(NamedTuple):
    """The first positions of a buffer."""

    buffer: Buffer
    length: int

    def keys(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """A view of the keys of its positions `start` to `end`, [1, heads, n, head_dim]."""
        end = self.length if end is None else end
        return self.buffer.keys.narrow(-2, start, end - start)

    def values(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """A view of the values, [1, heads, n, head_dim]."""
        end = self.length if end is None else end
        return self.buffer.values.narrow(-2, start, end - start)


class GrowingLayer(DynamicLayer):
    """Full attention that appends in place where `DynamicLayer` copies all keys for each token.

    `keys` and `values` are its tail: views of the first positions of a buffer. Of the forks that
    share a buffer the first to go on owns what follows; any other one begins a new tail, and what
    it had is one of the segments before.

    Args:
        shares: whether a fork may have segments; without, it copies what it has when it goes on.
    """

    least = 32
    """A shorter tail is copied, not shared: so many products more cost more than they save."""

    def __init__(self, shares: bool = False) -> None:
        super().__init__()
        self.shares = shares
        self.buffer: Buffer | None = None
        self.before: tuple[Segment, ...] = ()
        """What comes before the tail. Others may hold it too: it is never written."""
        self.offset = 0
        """Positions before the tail."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All that it holds, in the order of positions."""
        held = self._tail
        return (*self.before, Segment(self.buffer, held)) if self.buffer and held else self.before

    def get_seq_length(self) -> int:
        """Positions that it holds."""
        return self.offset + self._tail

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states of shape [B, heads, n, head_dim]; all keys and values, put together."""
        self.append(key_states, value_states)
        if not self.before:
            return self.keys, self.values
        keys = torch.cat([*(segment.keys() for segment in self.before), self.keys], -2)
        values = torch.cat([*(segment.values() for segment in self.before), self.values], -2)
        return keys, values  # [1, heads, length, head_dim]

    def append(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Append states of shape [B, heads, n, head_dim]; B is 1 where anything is shared."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        count = key_states.shape[-2]
        buffer = self._with_room(key_states, value_states, count)
        start, end = buffer.fill, buffer.fill + count
        buffer.keys.narrow(-2, start, count).copy_(key_states)
        buffer.values.narrow(-2, start, count).copy_(value_states)
        buffer.fill = end
        self.keys = buffer.keys.narrow(-2, 0, end)  # [1, heads, end, head_dim]
        self.values = buffer.values.narrow(-2, 0, end)

    def cropped(self, length: int) -> "GrowingLayer":
        """A fork of the first `length` positions."""
        twin = copy.copy(self)
        before, tail = list(self.before), Segment(self.buffer, self._tail) if self.buffer else None
        while before and twin.offset >= length:
            tail = before.pop()
            twin.offset -= tail.length
        twin.before = tuple(before)
        if tail:
            twin.buffer = tail.buffer
            twin.keys = tail.keys(0, length - twin.offset)
            twin.values = tail.values(0, length - twin.offset)
        elif self.get_seq_length():
            twin.keys, twin.values = (
                self.keys.narrow(-2, 0, length),
                self.values.narrow(-2, 0, length),
            )
        for segment in (*twin.before, *filter(None, [tail])):
            segment.buffer.holders.add(twin)
        return twin

    def is_split(self, more: int = 0) -> bool:
        """Whether it holds several segments, or will after `more` positions."""
        held, buffer = self._tail, self.buffer
        if self.before or buffer is None or not more:
            return bool(self.before)
        in_place = buffer.fill == held and held + more <= buffer.room
        return self.shares and held >= self.least and not in_place and len(buffer.holders) > 1

    def detached(self) -> None:
        """Share no buffer any more: the next states may be of several rows with this beginning."""
        self._let_go()
        self.buffer = None

    @property
    def _tail(self) -> int:
        return super().get_seq_length()

    def _let_go(self) -> None:
        if self.buffer is not None:
            self.buffer.holders.discard(self)

    def _with_room(
        self, key_states: torch.Tensor, value_states: torch.Tensor, count: int
    ) -> Buffer:
        """The tail's buffer, filled as far as the tail goes, with room for `count` more."""
        held, buffer = self._tail, self.buffer
        if buffer is not None:
            shared = len(buffer.holders) > 1
            if not shared:
                buffer.fill = held  # who wrote behind it is gone
            if buffer.fill == held and held + count <= buffer.room:
                return buffer
            if self.shares and shared and held >= self.least:
                self.before, self.offset = self.segments, self.offset + held
                return self._new_buffer(key_states, value_states, 0, count)
            self._let_go()
        return self._new_buffer(key_states, value_states, held, count)

    def _new_buffer(
        self, key_states: torch.Tensor, value_states: torch.Tensor, held: int, count: int
    ) -> Buffer:
        """A buffer of its own that holds the first `held` positions of the tail."""
        end = held + count
        room = -(-(end + end // 4) // _ROOM) * _ROOM
        keys = key_states.new_empty((*key_states.shape[:-2], room, key_states.shape[-1]))
        values = value_states.new_empty((*value_states.shape[:-2], room, value_states.shape[-1]))
        if held:
            keys.narrow(-2, 0, held).copy_(self.keys)
            values.narrow(-2, 0, held).copy_(self.values)
        self.buffer = Buffer(keys, values, held)
        self.buffer.holders.add(self)
        return self.buffer


@dataclass(frozen=True)
class Snapshot:
    """The states of a cache at one length, without what a view of a longer cache gives."""

    length: int
    layers: tuple[Any, ...]

    @property
    def bytes(self) -> int:
        """Memory of its states."""
        return sum(holdings(self.layers).values())


def new_cache(model: PreTrainedModel, shares: bool = False) -> DynamicCache:
    """An empty cache of the layers that this model wants.

    A sliding window is kept whole: the mask does the sliding, and a branch anywhere stays a view.

    Args:
        shares: whether forks that go on share their beginning, which the model's attention must
            be able to read (`Forward.together`).
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [
        GrowingLayer(shares) if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) else layer
        for layer in cache.layers
    ]
    return cache


def is_croppable(cache: DynamicCache) -> bool:
    """Whether any prefix of this cache is a view of it."""
    return all(type(layer) in (GrowingLayer, *_EMPTY_LAYERS) for layer in cache.layers)


@torch.inference_mode()
def fork(cache: DynamicCache, length: int, snapshot: Snapshot | None = None) -> DynamicCache:
    """An independent cache of the first `length` tokens of `cache`, which stays as it is.

    Args:
        snapshot: states at `length`; None takes those of `cache`, which then is at `length` or
            croppable.
    """
    twin = copy.copy(cache)
    layers = snapshot.layers if snapshot else cache.layers
    twin.layers = [
        _fork_layer(layer, grown, length) for layer, grown in zip(layers, cache.layers, strict=True)
    ]
    return twin


@torch.inference_mode()
def snapshot(cache: DynamicCache, length: int) -> Snapshot:
    """The states of a cache that holds `length` tokens."""
    layers = tuple(_frozen(layer) for layer in cache.layers)
    return Snapshot(length, layers)


def is_split(cache: DynamicCache | None, more: int = 0) -> bool:
    """Whether a cache holds keys and values in several segments, or will after `more` tokens."""
    layers = cache.layers if cache is not None else ()
    return any(layer.is_split(more) for layer in layers if isinstance(layer, GrowingLayer))


def holdings(layers: Iterable[Any]) -> dict[int, int]:
    """Bytes of each piece of memory that layers hold, by what tells it from the others."""
    held: dict[int, int] = {}
    for layer in layers:
        if type(layer) is GrowingLayer:
            held.update((id(segment.buffer), segment.buffer.bytes) for segment in layer.segments)
        else:
            held.update((id(tensor), _bytes(tensor)) for tensor in _tensors(layer))
    return held


def growing_bytes(cache: DynamicCache) -> int:
    """Bytes of the keys and values that grow with the path."""
    return sum(
        _bytes(t)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer)
        for t in (layer.keys, layer.values)
        if t is not None
    )


def _fork_layer(layer: Any, grown: Any, length: int) -> Any:
    if type(grown) is GrowingLayer:
        return grown.cropped(length)
    twin = _copied(layer)
    if type(twin) is LinearAttentionAndFullAttentionLayer and grown.get_seq_length():
        twin.keys = grown.keys.narrow(-2, 0, length)  # [1, heads, length, head_dim]
        twin.values = grown.values.narrow(-2, 0, length)
    return twin


def _frozen(layer: Any) -> Any:
    if type(layer) is GrowingLayer:
        return GrowingLayer()
    twin = _copied(layer)
    if type(twin) is LinearAttentionAndFullAttentionLayer:
        twin.keys = twin.values = None
    return twin


def _copied(layer: Any) -> Any:
    """A copy that owns every state written in place; keys and values of attention are shared."""
    twin = copy.copy(layer)
    appends = isinstance(layer, LinearAttentionCacheLayerMixin | DynamicSlidingWindowLayer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):
            setattr(twin, name, {k: _cloned(v) for k, v in value.items()})
        elif not appends:
            setattr(twin, name, _cloned(value))
    return twin


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _tensors(layer: Any) -> list[torch.Tensor]:
    found = []
    for value in vars(layer).values():
        members = value.values() if isinstance(value, dict) else (value,)
        found += [v for v in members if isinstance(v, torch.Tensor)]
    return found
