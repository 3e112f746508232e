"""KV caches forked by reference, and what it takes to go back along a path.

Keys and values of a position are never written again, so a fork is copied references and a shorter
prefix is a view. Convolution and recurrent states are written in place: those are cloned, and going
back needs a snapshot of them.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, cache_utils
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionCacheLayerMixin,
)

_LEAST_ROOM = 64
_EMPTY_LAYERS = tuple(filter(None, [getattr(cache_utils, "DummyLayer", None)]))
"""Classes of layers that keep nothing; transformers has one from 5.23 on."""


@dataclass
class Buffer:
    """Keys and values of one layer with room to grow, shared by its forks."""

    keys: torch.Tensor
    """[1, heads, room, head_dim]."""
    values: torch.Tensor
    fill: int
    """Positions that some fork has written; the fork of this length may write the next."""

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.keys, self.values))


class GrowingLayer(DynamicLayer):
    """Full attention that appends in place where `DynamicLayer` copies all keys for each token.

    `keys` and `values` are views of the first positions of a buffer. Of the forks that share it,
    the first to go on owns the tail; any other one copies when it goes on.
    """

    buffer: Buffer | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states of shape [B, heads, n, head_dim]; all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        count = key_states.shape[-2]
        end = start + count
        buffer = self.buffer
        if buffer is None or buffer.fill != start or end > buffer.keys.shape[-2]:
            buffer = self._moved(key_states, value_states, start, end)
        buffer.keys.narrow(-2, start, count).copy_(key_states)
        buffer.values.narrow(-2, start, count).copy_(value_states)
        buffer.fill = end
        self.keys = buffer.keys.narrow(-2, 0, end)  # [1, heads, end, head_dim]
        self.values = buffer.values.narrow(-2, 0, end)
        return self.keys, self.values

    def cropped(self, length: int) -> "GrowingLayer":
        """A fork of the first `length` positions."""
        twin = copy.copy(self)
        if self.get_seq_length():
            twin.keys = self.keys.narrow(-2, 0, length)
            twin.values = self.values.narrow(-2, 0, length)
        return twin

    def detached(self) -> None:
        """Share no buffer any more: the next states may be of several rows with this beginning."""
        self.buffer = None

    def _moved(
        self, key_states: torch.Tensor, value_states: torch.Tensor, start: int, end: int
    ) -> Buffer:
        """A buffer of its own that holds what the layer holds, with room for more."""
        room = end + max(_LEAST_ROOM, end // 4)
        keys = key_states.new_empty((*key_states.shape[:-2], room, key_states.shape[-1]))
        values = value_states.new_empty((*value_states.shape[:-2], room, value_states.shape[-1]))
        if start:
            keys.narrow(-2, 0, start).copy_(self.keys)
            values.narrow(-2, 0, start).copy_(self.values)
        self.buffer = Buffer(keys, values, start)
        return self.buffer


@dataclass(frozen=True)
class Snapshot:
    """The states of a cache at one length, without what a view of a longer cache gives."""

    length: int
    layers: tuple[Any, ...]
    bytes: int


def new_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache of the layers that this model wants.

    A sliding window is kept whole: the mask does the sliding, and a branch anywhere stays a view.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [
        GrowingLayer() if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) else layer
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
    return Snapshot(length, layers, sum(map(layer_bytes, layers)))


def layer_bytes(layer: Any) -> int:
    """Bytes of all tensors that a layer holds."""
    if type(layer) is GrowingLayer:
        return layer.buffer.bytes if layer.buffer else 0
    return sum(t.numel() * t.element_size() for t in _tensors(layer))


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of all tensors that a cache holds, shared ones included."""
    return sum(map(layer_bytes, cache.layers))


def parts(cache: DynamicCache | None) -> dict[int, int]:
    """Bytes of what a cache holds, by the identity of what forks of it may share."""
    layers = cache.layers if cache else []
    return {id(getattr(layer, "buffer", None) or layer): layer_bytes(layer) for layer in layers}


def growing_bytes(cache: DynamicCache) -> int:
    """Bytes of the keys and values that grow with the path."""
    return sum(
        t.numel() * t.element_size()
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


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _tensors(layer: Any) -> list[torch.Tensor]:
    found = []
    for value in vars(layer).values():
        members = value.values() if isinstance(value, dict) else (value,)
        found += [v for v in members if isinstance(v, torch.Tensor)]
    return found
