"""One path, computed with stretches of it hidden: many rows on copies of one cache.

Nothing after a hidden stretch sees its tokens, so that it is of no account what they would see
themselves: a row is computed from the end of its stretch on, on top of the path's own cache.
"""

from array import array
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from tokexplore.models.api.engine import Control
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kernels, prefill
from tokexplore.models.engine.forward.hidden_tokens import KERNELS, hiding
from tokexplore.models.engine.forward.kv_store import Path

_FED = 1024
"""Tokens of all rows that a pass computes at most."""
_HELD = 4096
"""Tokens of all rows that the cache of a batch holds at most, unless it is of one row."""
_NEEDLESS = 0.25
"""Share of what it needs that a row may be fed more, to be in a batch ..."""
_FEW = 16
"""... or so many tokens, which are no matter."""


class OccludedPath:
    """A path and the cache that its rows begin with.

    Args:
        own: rows begin with a cache that the core neither has nor keeps.
    """

    def __init__(self, core: Core, ids: Sequence[int], *, own: bool = False) -> None:
        self._core = core
        self._ids = array("I", ids)
        cached = core.info.capabilities.batches and not core.probed.whole(len(ids))
        self._cache = self._filled(own=own) if cached else None

    def _filled(self, *, own: bool) -> DynamicCache:
        """A cache of the whole path, under the rules of its length."""
        core, length = self._core, len(self._ids)
        if own:
            start = prefill.Start(prefill.fresh(core.forward, core.probed), 0, own=False)
        else:
            start = core.start(Path(self._ids), length - 1)
        for _ in core.feed(start.leaf, self._ids):
            pass
        if not own and (start.own or length - start.cached > 1):
            core.keep(start.leaf)
        return kv.fork(start.leaf.cache, length)  # a stream may go on with the leaf meanwhile

    def batches(self, hidden: Sequence[range]) -> Iterator[list[int]]:
        """Indices of stretches whose rows go together, in the order of where they end: of each
        batch, the first one ends first."""
        order = sorted(range(len(hidden)), key=lambda at: hidden[at].stop)
        batch = list[int]()
        for at in order:
            if batch and not self._fits(hidden[batch[0]].stop, len(batch) + 1, hidden[at].stop):
                yield batch
                batch = []
            batch.append(at)
        if batch:
            yield batch

    def _fits(self, first: int, rows: int, stop: int) -> bool:
        """Whether a batch of so many rows from `first` on may end with one from `stop` on."""
        length = len(self._ids)
        fed = length if self._cache is None else length - first
        needless = 0 if self._cache is None else stop - first
        return (
            rows * fed <= _FED
            and rows * length <= _HELD
            and rows <= prefill.scored_rows(self._core.forward)
            and needless <= max(_FEW, _NEEDLESS * (length - stop))
        )

    def logits(
        self, stretches: Sequence[range], first: int, control: Control
    ) -> torch.Tensor | None:
        """Logits after the path, a row for each stretch that is hidden: f32 CPU, shape [B, V];
        None where it is cancelled.

        Args:
            first: tokens that are taken from the cache; no stretch ends before.
        """
        forward, count, length = self._core.forward, len(stretches), len(self._ids)
        start, cache, ends = 0, None, [length]
        if self._cache is not None:
            start, cache = first, kv.fork(self._cache, first)
            size, since = max(1, _FED // count), self._core.probed.borders.since(length)
            ends = [end for end in range(first + size, length, size) if end >= since] + ends
        logits = None
        for end in ends:
            if control.cancelled:
                return None
            rows = [self._ids[start:end]] * count
            with kernels.attending(forward.model, _kernel(forward.model)), hiding(stretches, end):
                logits = forward.batch(rows, start, cache)
            start = end
        return logits


def _kernel(model: PreTrainedModel) -> str | None:
    """The model's own kernel where tokens can be hidden from it, else one from which they can."""
    own = kernels.own(model)
    return own if own is None or own in KERNELS else KERNELS[0]
