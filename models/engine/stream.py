"""One running stream: extend a path token by token until there is a reason to end."""

import time
from collections.abc import Generator, Iterator
from contextlib import suppress

import numpy as np
import torch

from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    EndReason,
    Progress,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.distribution import Distribution, TokenRank
from tokexplore.models.engine import sampler
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import logits_row, prefill
from tokexplore.models.engine.forward.kv_store import Leaf, Path
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.errors import TokexploreError
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.randomness import Uniforms
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stop_criteria import StopCriteria

_SETTLE_EVERY = 256
"""After so many tokens the growing cache is weighed again against the others."""


class Stream:
    """The state of one `Engine.stream` call.

    Args:
        aside: the engine keeps nothing of the stream: neither its cache nor its rows.
    """

    def __init__(
        self, core: Core, request: StreamRequest, control: Control, *, aside: bool = False
    ) -> None:
        self._core = core
        self._request = request
        self._control = control
        self._aside = aside
        self._path = Path(request.ids)
        self._leaf: Leaf | None = None
        self._row: Row | None = None
        """The row after the path, once it is known."""
        self._uniforms = Uniforms()
        self._stops = StopCriteria(core.info, core.vocabulary, request)
        self._asked: SamplingSettings | None = None
        self._settings = request.settings.checked()

    def events(self) -> Iterator[StreamEvent]:
        try:
            yield from self._opening()
            if self._row is None:
                yield StreamEnded(len(self._path), "interrupted")
                return
            reason = yield from self._tokens()
            if self._request.describe_end and reason != "context":
                row = self._row or self._step()
                distribution = logits_row.distribution(row, self._request.top)
                yield Described(len(self._path), distribution)
            detail = self._stops.met if reason == "stop" else ""
            yield StreamEnded(len(self._path), reason, detail)
        finally:
            if self._leaf is not None:
                self._leave(self._leaf)

    def _leave(self, leaf: Leaf) -> None:
        """Leave a leaf where it is, for others to go on from."""
        leaf.busy = False
        self._keep_leaf()
        stepped = self._core.turns.leave(leaf)
        if stepped:
            with suppress(TokexploreError):  # of a row that is no numbers nobody asked
                self._row = stepped.row()
                self._keep_row()

    def _keep_leaf(self) -> None:
        if self._leaf is not None and not self._aside:
            self._core.keep(self._leaf)

    def _keep_row(self) -> None:
        if self._row is not None and not self._aside:
            self._core.rows_held.put(self._path.key, self._row)

    def _opening(self) -> Iterator[StreamEvent]:
        """Bring a cache and a row to the path's end; no row when cancelled on the way."""
        core, path, score = self._core, self._path, self._request.score_prompt
        began = time.perf_counter()
        if score:
            start = prefill.Start(prefill.fresh(core.forward, core.probed), 0, own=True)
        else:
            start = core.begin(path)
        self._leaf = self._taken(start)
        row = core.rows_held.get(path.key)
        total = len(path) - start.cached
        if not total or (row and not score and core.probed.afresh(len(path) + 1)):
            self._keep_leaf()
            self._row = row
            return
        if row is None and core.turns.open and not score and self._wait(None):
            yield Progress("prefill", 0, total)  # others that open may wait too
            if not self._control.cancelled:
                self._step()
                self._keep_leaf()
            return
        reported = start.cached
        for done, logits in core.feed(self._leaf, path.ids, score_from=0 if score else None):
            if score:
                request = self._request
                yield from core.scored(path.ids, done, logits, request.top, request.watch)
            if done == len(path):
                break
            if done - reported >= min(prefill.CHUNK, prefill.SNAPSHOT_EVERY):
                reported = done
                yield Progress("prefill", done - start.cached, total)
            if self._control.cancelled:
                return
        self._keep_leaf()
        if row is None:
            seconds = time.perf_counter() - began
            row = logits_row.summarise(logits[-1], start.source(len(path)), seconds)
        self._row = row
        self._keep_row()

    def _taken(self, start: prefill.Start) -> Leaf:
        """The leaf of a start, for this stream to extend."""
        leaf = (
            prefill.forked(start.leaf) if self._aside and start.own and start.cached else start.leaf
        )
        leaf.busy = True
        return leaf

    def _tokens(self) -> Generator[DrawnToken, None, EndReason]:
        """Draw until there is a reason to end, which is returned."""
        reason: EndReason | None = None
        while reason is None:
            reason = self._limit()
            if reason is None:
                drawn = self._drawn(self._row or self._step())
                self._path.append(drawn.standing.token)
                self._row = None
                reason = self._stops.reason(drawn.standing.token)
                self._wait(reason or self._limit())
                yield drawn
        return reason

    def _wait(self, ended: EndReason | None) -> bool:
        """Where the row after the path will be asked for, let another stream's pass make it."""
        assert self._leaf is not None
        asked = ended is None or (self._request.describe_end and ended != "context")
        core = self._core
        if asked and core.probed.shares and core.is_a_step(self._leaf, len(self._path)):
            core.turns.wait(self._leaf, self._path.ids[-1])
            return True
        return False

    def _limit(self) -> EndReason | None:
        """Why no token may be drawn here."""
        if self._control.cancelled:
            return "interrupted"
        length = self._control.max_new_tokens or self._request.max_new_tokens
        return out_of_room(self._path, self._request, length, self._core.info.context)

    def _step(self) -> Row:
        """Feed the last token; the row after the path."""
        assert self._leaf is not None
        began = time.perf_counter()
        stepped = self._core.turns.take(self._leaf)
        if stepped:
            self._row = stepped.row()
        else:
            logits, source = self._fed(self._leaf)
            self._row = logits_row.summarise(logits[-1], source, time.perf_counter() - began)
        if len(self._path) % _SETTLE_EVERY == 0:
            self._keep_leaf()
        self._keep_row()
        return self._row

    def _fed(self, leaf: Leaf) -> tuple[torch.Tensor, str]:
        """f32 CPU logits [1, V] after the path, and how its cache was had.

        Where the rules change the leaf stays behind, for what may branch off before.
        """
        core, path, length = self._core, self._path, len(self._path)
        if core.probed.whole(length):
            return core.step(leaf, path.ids), f"re-fed {length}"
        if core.is_a_step(leaf, length):
            if core.probed.least > 1:
                prefill.back(core.forward, leaf, length - core.probed.least)
            fed = length - len(leaf)
            return core.step(leaf, path.ids), "step" if fed == 1 else f"re-fed {fed}"
        leaf.busy = False
        self._keep_leaf()
        start = core.start(path, length - 1)
        self._leaf = self._taken(start)
        for _, logits in core.feed(self._leaf, path.ids):
            last = logits
        return last, start.source(length) if start.cached else f"re-fed {length}"

    def _drawn(self, row: Row) -> DrawnToken:
        settings, threads = self._in_force(), self._core.threads
        on_cpu = threads.now if self._core.info.threads else 0
        return drawn(row, self._path, self._request, settings, self._uniforms, on_cpu)

    def _in_force(self) -> SamplingSettings:
        asked = self._control.settings or self._request.settings
        if asked is not self._asked:
            self._asked, self._settings = asked, asked.checked()
        return self._settings


def out_of_room(
    path: Path, request: StreamRequest, length: int, context: int | None
) -> EndReason | None:
    """Why no token fits after a path: `length` of them were added, or the context is full."""
    if len(path) - len(request.ids) >= length:
        return "length"
    return "context" if context and len(path) >= context else None


def drawn(
    row: Row, path: Path, request: StreamRequest, settings: SamplingSettings, uniforms: Uniforms,
    threads: int = 0,
) -> DrawnToken:  # fmt: skip
    """The token that a request's stream takes after `path`, whose row this is."""
    distribution = logits_row.distribution(row, request.top)
    changes = changes_of(settings, path.ids, request.prompt_length)
    reshaped = sampler.reshape(row, settings, changes)
    draw = request.draw if len(path) == len(request.ids) else 0
    number = None if settings.greedy else uniforms.after(path.ids, settings.seed, draw)
    (token,) = sampler.draw(reshaped, np.array([number or 0.0]))
    standing = _standing(row, distribution, token)
    return DrawnToken(
        position=len(path),
        distribution=distribution,
        standing=standing,
        settings=settings,
        sampler=reshaped.view,
        chosen_by="greedy" if settings.greedy else "sampled",
        sampler_logprob=reshaped.view.fate(token, standing.logit, changes).logprob,
        draw=draw,
        uniform=number,
        threads=threads,
        watched=tuple(logits_row.standing(row, token) for token in request.watch),
    )


def _standing(row: Row, distribution: Distribution, token: int) -> TokenRank:
    """From the stored candidates where those tell all, else from the whole row."""
    index = distribution.index_of(token)
    if index is None or index + 1 >= len(distribution):
        return logits_row.standing(row, token)
    logit = distribution.logit_view[index]
    rank = distribution.rank(index)
    return TokenRank(token, logit, logit - row.lse, rank, index, distribution.tied(index))
