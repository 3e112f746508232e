"""A path computed beside others on one cache: rows padded on the left."""

from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from tokexplore.models.api.instruments import Execution
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.forward.cache_probe import Probed
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.growing_layer import GrowingLayer
from tokexplore.models.engine.forward.kv_store import Leaf


class Batch:
    """A path and its mates, which go on together, one token each at a time."""

    def __init__(
        self, forward: Forward, probed: Probed, ids: Sequence[int], execution: Execution
    ) -> None:
        self._forward, self._probed, self._execution = forward, probed, execution
        rows = [list(mate) for mate in execution.mates]
        rows.insert(execution.row, list(ids))
        self._path = array("I", ids)
        self._length = max(map(len, rows))
        """Places of the cache, those that hold nothing included."""
        self._pads = tuple(self._length - len(row) for row in rows)
        if execution.together:
            self._logits, self._cache = self._together(rows)
        else:
            self._logits, self._cache = self._one_by_one(rows)

    @property
    def logits(self) -> torch.Tensor:
        """After the path's last token: f32 on the CPU, shape [V]."""
        return self._logits[self._execution.row]

    def feed(self, token: int) -> None:
        """Feed the path's next token; its mates take their most probable one."""
        self._path.append(token)
        if self._probed.whole(len(self._path)):
            self._logits = self._forward(self._path, 0, None)
            return
        tokens = self._logits.argmax(-1).tolist()
        tokens[self._execution.row] = token
        fed, start = [[token] for token in tokens], self._length
        if self._probed.afresh(len(self._path)):  # it is alone: see `LocalBench`
            self._cache, fed, start = (
                kv.new_cache(self._forward.model, self._forward.shares),
                [list(self._path)],
                0,
            )
        self._logits = self._forward.batch(fed, start, self._cache, self._pads)
        self._length += 1

    def _together(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, DynamicCache]:
        cache = kv.new_cache(self._forward.model, self._forward.shares)
        padded = [[row[0]] * pad + list(row) for row, pad in zip(rows, self._pads, strict=True)]
        for start, end in spans(self._length, self._execution):
            fed = [row[start:end] for row in padded]
            logits = self._forward.batch(fed, start, cache, self._pads)  # [B, V]
        return logits, cache

    def _one_by_one(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, Any]:
        """Each row is prefilled by itself; then their keys and values are laid side by side."""
        plain = Execution()
        leaves, last = [], []
        for number, row in enumerate(rows):
            own = number == self._execution.row
            leaf, logits = prefilled(
                self._forward, self._probed, row, self._execution if own else plain
            )
            leaves.append(leaf)
            last.append(logits)
        if len(rows) == 1:
            return last[0], leaves[0].cache
        return torch.cat(last), _side_by_side([leaf.cache for leaf in leaves], self._pads)


def prefilled(
    forward: Forward, probed: Probed, ids: Sequence[int], execution: Execution
) -> tuple[Leaf, torch.Tensor]:
    """A leaf that holds a path, prefilled as asked, and the logits after it: f32 CPU, [1, V]."""
    leaf = prefill.fresh(forward, probed)
    path = array("I", ids)
    if probed.whole(len(path)):
        return leaf, forward(path, 0, None)
    for start, end in spans(len(path), execution):
        logits = prefill.extend(forward, probed, leaf, path[start:end])
    return leaf, logits


def spans(length: int, execution: Execution) -> list[tuple[int, int]]:
    """The prefill passes over a prompt: what was cached by itself, the rest in chunks."""
    cached = min(execution.cached, length - 1)
    chunk = execution.chunk or length
    borders = sorted({0, length, cached, *range(cached, length, chunk)})
    return list(pairwise(borders))


def _side_by_side(caches: Sequence[DynamicCache], pads: Sequence[int]) -> DynamicCache:
    """One cache of many rows, shorter ones padded on the left with zeros."""
    together = kv.fork(caches[0], caches[0].get_seq_length())
    for at, layer in enumerate(together.layers):
        if isinstance(layer, GrowingLayer):
            layer.detached()
            layer.keys = _padded([cache.layers[at].keys for cache in caches], pads)
            layer.values = _padded([cache.layers[at].values for cache in caches], pads)
    return together


def _padded(states: Sequence[torch.Tensor], pads: Sequence[int]) -> torch.Tensor:
    """States of shape [1, heads, length, head_dim] as [B, heads, longest, head_dim]."""
    padding = torch.nn.functional.pad
    rows = [padding(state, (0, 0, pad, 0)) for state, pad in zip(states, pads, strict=True)]
    return torch.cat(rows)
