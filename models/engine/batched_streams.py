"""Several continuations of one path at once: a batch of rows on copies of one cache."""

from collections.abc import Sequence

import msgspec
import numpy as np
from transformers.cache_utils import DynamicCache

from tokexplore.models.api.engine import Continuation, Control, EndReason, StreamRequest
from tokexplore.models.engine import sampler
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.kv_store import Path
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.stream import out_of_room
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.randomness import Uniforms
from tokexplore.models.sampling.stop_criteria import StopCriteria


class _Run:
    """One row of the batch."""

    def __init__(self, core: Core, request: StreamRequest, seed: int) -> None:
        self.settings = msgspec.structs.replace(request.settings, seed=seed).checked()
        self.path = Path(request.ids)
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.entropies: list[float] = []
        self.ended: EndReason | None = None
        self._request, self._context = request, core.info.context
        self._uniforms = Uniforms()
        self._stops = StopCriteria(core.info, core.vocabulary, request)

    def draw(self, row: Row) -> None:
        """Take the next token from the row after the path."""
        changes = changes_of(self.settings, self.path.ids, self._request.prompt_length)
        number = 0.0
        if not self.settings.greedy:
            number = self._uniforms.after(self.path.ids, self.settings.seed, 0)
        found = sampler.reshape(row, self.settings, changes)
        (token,) = sampler.draw(found, np.array([number]))
        self.ids.append(token)
        self.logprobs.append(logits_row.standing(row, token).logprob)
        self.entropies.append(row.entropy)
        self.path.append(token)
        self.ended = self._stops.reason(token) or out_of_room(
            self.path, self._request, self._request.max_new_tokens, self._context
        )

    def continuation(self) -> Continuation:
        """What became of it."""
        return Continuation(
            self.settings.seed, tuple(self.ids), tuple(self.logprobs), tuple(self.entropies),
            self.ended or "interrupted",
        )  # fmt: skip


def continuations(
    core: Core, request: StreamRequest, seeds: Sequence[int], row: Row, control: Control
) -> list[Continuation]:
    """The request's stream under each seed, all in one batch; none where it was cancelled.

    Args:
        row: the row after the path, whose cache the core holds.
    """
    runs = [_Run(core, request, seed) for seed in seeds]
    forward, probed, length = core.forward, core.probed, len(request.ids)
    cache = None if probed.afresh(length + 1) else _shared(core, Path(request.ids))
    for run in runs:
        run.draw(row)
    rows = [[*request.ids, *run.ids] for run in runs]
    while any(run.ended is None for run in runs):
        if control.cancelled:
            return []
        length += 1
        # A row that has ended goes on unseen: it costs less than taking it out.
        if probed.afresh(length):
            cache = None if probed.whole(length) else kv.new_cache(forward.model)
            logits = forward.batch(rows, 0, cache)  # [B, V]
        else:
            logits = forward.batch([ids[-1:] for ids in rows], length - 1, cache)
        for run, values, ids in zip(runs, logits, rows, strict=True):
            if run.ended is None:
                run.draw(logits_row.summarise(values, "step"))
            ids.append(run.ids[-1])
    return [run.continuation() for run in runs]


def _shared(core: Core, path: Path) -> DynamicCache:
    """A cache of the path for many rows: what a batch appends to it is its own."""
    start = core.start(path, len(path))
    for _ in core.feed(start.leaf, path.ids):
        pass
    cache = kv.fork(start.leaf.cache, len(path))
    for layer in cache.layers:
        if isinstance(layer, kv.GrowingLayer):
            layer.detached()
    return cache
