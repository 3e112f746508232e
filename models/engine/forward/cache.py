"""KV caches forked by reference, and what it takes to go back along a path.

Keys and values of a position are never written again, so a fork is copied references and a shorter
prefix is a view. Convolution and recurrent states are written in place: those are cloned, and going
back needs a snapshot of them.
"""

import copy
from collections.abc import Iterable
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

from tokexplore.models.engine.forward.growing_layer import GrowingLayer

_EMPTY_LAYERS = tuple(filter(None, [getattr(cache_utils, "DummyLayer", None)]))
"""Classes of layers that keep nothing; transformers has one from 5.23 on."""


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


def put_together(cache: DynamicCache) -> None:
    """Let a cache hold one segment, also after a token more: what it shares is copied."""
    for layer in cache.layers:
        if isinstance(layer, GrowingLayer) and layer.is_split(1):
            layer.detached()


def holdings(layers: Iterable[Any]) -> dict[int, int]:
    """Bytes of each piece of memory that layers hold, by what tells it from the others."""
    held: dict[int, int] = {}
    for layer in layers:
        if type(layer) is GrowingLayer:
            blocks = [segment.buffer.block for segment in layer.segments]
            held.update((id(block), block.bytes) for block in blocks)
        else:
            held.update((id(tensor), tensor.nbytes) for tensor in _tensors(layer))
    return held


@torch.inference_mode()
def leave_sparse_blocks(layers: Iterable[Any]) -> bool:
    """Let what layers hold lie in memory of its own where it alone keeps that of others, who are
    gone; whether anything moved."""
    held = [layer for layer in layers if type(layer) is GrowingLayer]
    first = next((layer.segments for layer in held if layer.get_seq_length()), ())
    if not any(buffer.block.is_sparse for buffer, _ in first):  # layers are alike
        return False
    for buffer in (segment.buffer for layer in held for segment in layer.segments):
        if buffer.block.is_sparse:
            buffer.alone()
    return True


def growing_bytes(cache: DynamicCache) -> int:
    """Bytes of the keys and values that grow with the path."""
    return sum(
        t.nbytes
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
