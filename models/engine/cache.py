"""KV caches forked by reference, and what it takes to go back along a path.

A transformers `DynamicLayer` appends by concatenation into a new tensor and never writes old keys
or values, so a fork is copied references and a shorter prefix is a view. Convolution and recurrent
states are written in place: those are cloned, and going back needs a snapshot of them.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import (
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionCacheLayerMixin,
)

_GROWING = (DynamicLayer, LinearAttentionAndFullAttentionLayer)
"""Layers whose keys and values hold every position: a prefix of them is a view."""


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
        DynamicLayer() if type(layer) is DynamicSlidingWindowLayer else layer
        for layer in cache.layers
    ]
    return cache


def is_croppable(cache: DynamicCache) -> bool:
    """Whether any prefix of this cache is a view of it."""
    return all(type(layer) in (DynamicLayer, DummyLayer) for layer in cache.layers)


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
    return sum(t.numel() * t.element_size() for t in _tensors(layer))


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of all tensors that a cache holds, shared ones included."""
    return sum(map(layer_bytes, cache.layers))


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
    twin = _copied(layer)
    if type(twin) in _GROWING and grown.keys is not None and grown.keys.numel():
        twin.keys = grown.keys[..., :length, :]  # [1, heads, length, head_dim]
        twin.values = grown.values[..., :length, :]
    return twin


def _frozen(layer: Any) -> Any:
    twin = _copied(layer)
    if type(twin) in _GROWING:
        twin.keys = twin.values = None
    return twin


def _copied(layer: Any) -> Any:
    """A copy that shares keys and values with the layer and owns every state written in place."""
    twin = copy.copy(layer)
    kept = type(layer) in (*_GROWING, DynamicSlidingWindowLayer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):
            setattr(twin, name, {k: _cloned(v) for k, v in value.items()})
        elif not kept and not isinstance(layer, LinearAttentionCacheLayerMixin):
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
