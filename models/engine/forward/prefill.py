"""Bring a cache to the end of a path: what is held is forked, the rest is fed in chunks."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward.cache_probe import Probed
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.kv_store import Leaf, LeafStore

CHUNK = 512
"""Tokens per prefill chunk."""
SNAPSHOT_EVERY = 32
_ONE_PASS = 4096
"""A model that takes single tokens only on top of a cache gets a prompt of this length at once."""
_WORTH_STEPPING = 64
_LOGIT_BYTES = 64 * 2**20
"""Most bytes of logits that a scoring pass has at one time."""


@dataclass
class Start:
    """A cache to go on from, and how it was had."""

    leaf: Leaf
    cached: int
    """Tokens of the path that it holds."""
    own: bool
    """The cache was at this very place, nothing was forked."""
    unlike: bool = False
    """Tokens of the path are held, but under other rules."""

    def source(self, length: int) -> str:
        """What `Distribution.source` says after the path of `length` tokens is fed."""
        if self.cached == 0 and not self.unlike:
            return "prefill"
        if length - self.cached <= 1:
            return "step" if self.own else "fork"
        return f"re-fed {length - self.cached}"


def start(
    forward: Forward, probed: Probed, leaves: LeafStore, ids: "array[int]", wanted: int
) -> Start:
    """The longest held prefix of `ids` of at most `wanted` tokens, as a leaf to be extended.

    It was made under the rules that the pass after `wanted` tokens follows, and is long enough for
    all that follow to be of one kind with it.
    """
    since = probed.borders.since(wanted + 1)
    if wanted < len(ids):
        wanted = min(wanted, len(ids) - probed.least)
    best, source, snapshot, unlike = 0, None, None, False
    for leaf in leaves:
        common = min(leaf.common(ids), wanted)
        usable, candidate = _usable(probed, leaf, common)
        if leaf.since != since or usable < since - 1:
            unlike = unlike or common > 0
        elif usable >= best and usable:
            best, source, snapshot = usable, leaf, candidate
    stepping = probed.feed == "stepwise" and len(ids) - best > _WORTH_STEPPING
    if source is None or (stepping and len(ids) <= _ONE_PASS):
        return Start(fresh(forward, probed), 0, own=True, unlike=unlike and source is None)
    if best == len(source) and not source.busy:
        if not probed.croppable:
            _remember(source)  # this place was of use: one may come back to it
        return Start(source, best, own=True)
    twin = kv.fork(source.cache, best, snapshot)
    snapshots = [s for s in source.snapshots if s.length <= best]
    return Start(Leaf(twin, source.ids[:best], snapshots, since), best, own=False)


def held(probed: Probed, leaves: LeafStore, ids: "array[int]", wanted: int) -> int:
    """How many tokens of `ids` what `start` gives would hold."""
    since = probed.borders.since(wanted + 1)
    if wanted < len(ids):
        wanted = min(wanted, len(ids) - probed.least)
    usable = (
        _usable(probed, leaf, min(leaf.common(ids), wanted))[0]
        for leaf in leaves
        if leaf.since == since
    )
    return max([0, *usable])


def _usable(probed: Probed, leaf: Leaf, common: int) -> tuple[int, kv.Snapshot | None]:
    """How many of a leaf's first `common` tokens can be gone on from, and the snapshot there."""
    if probed.croppable or common == len(leaf):
        return common, None
    last = next((s for s in reversed(leaf.snapshots) if s.length <= common), None)
    return (last.length, last) if last else (0, None)


def forked(leaf: Leaf) -> Leaf:
    """An independent leaf at the same place."""
    return Leaf(kv.fork(leaf.cache, len(leaf)), leaf.ids[:], list(leaf.snapshots), leaf.since)


def fresh(forward: Forward, probed: Probed) -> Leaf:
    """A leaf that holds nothing yet."""
    return Leaf(None if probed.feed == "whole" else kv.new_cache(forward.model, forward.shares))


def feed(
    forward: Forward,
    probed: Probed,
    leaf: Leaf,
    ids: "array[int]",
    *,
    score_from: int | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Feed ids[len(leaf):], a chunk at a time.

    Args:
        score_from: give the logits after every position from this one on; None only the last.

    Yields:
        How many tokens of `ids` are done, and f32 CPU logits [k, V] after the last k of them; of
        a chunk whose logits are not asked for, one row.
    """
    if score_from is None:
        yield from _feed_alike(forward, probed, leaf, ids, None)
        return
    for last in probed.borders.ends(score_from + 1, len(ids)):
        yield from _feed_alike(forward, probed, leaf, ids[:last], score_from)
        score_from = last


def _feed_alike(
    forward: Forward, probed: Probed, leaf: Leaf, ids: "array[int]", score_from: int | None
) -> Iterator[tuple[int, torch.Tensor]]:
    """`feed` under the rules that a pass over all of `ids` follows."""
    if probed.whole(len(ids)):
        yield from _feed_whole(forward, ids, score_from)
        return
    if leaf.since != probed.borders.since(len(ids)):
        leaf.empty(kv.new_cache(forward.model, forward.shares))
    scored = score_from is not None
    for first, last in _spans(forward, probed, len(leaf), len(ids), scored=scored):
        keep = last - max(first, score_from) if score_from is not None else 1
        logits = extend(forward, probed, leaf, ids[first:last], max(1, keep))
        yield last, logits


def step(forward: Forward, probed: Probed, leaf: Leaf, ids: "array[int]") -> torch.Tensor:
    """Feed what a leaf lacks of `ids`, the last token or two; f32 CPU logits [1, V].

    The leaf is one under the rules of this length: see `back`.
    """
    if probed.whole(len(ids)):
        return forward(ids, 0, None)
    return extend(forward, probed, leaf, ids[len(leaf) :])


def back(forward: Forward, leaf: Leaf, length: int) -> None:
    """Take a leaf back to its last snapshot of at most so many tokens, or to nothing.

    Later snapshots stay: the leaf is to be fed the same tokens again.
    """
    last = next((s for s in reversed(leaf.snapshots) if s.length <= length), None)
    leaf.cache = (
        kv.fork(leaf.cache, last.length, last)
        if last
        else kv.new_cache(forward.model, forward.shares)
    )
    del leaf.ids[last.length if last else 0 :]


def extend(
    forward: Forward, probed: Probed, leaf: Leaf, tokens: "array[int]", keep: int = 1
) -> torch.Tensor:
    """Feed tokens on top of a leaf; f32 CPU logits after the last `keep` of them, [keep, V].

    A leaf whose pass failed half-way holds nothing afterwards.
    """
    length = len(leaf)
    try:
        logits = forward(tokens, length, leaf.cache, keep)
    except BaseException:
        leaf.empty(kv.new_cache(forward.model, forward.shares))
        raise
    leaf.ids.extend(tokens)
    leaf.since = probed.borders.since(len(leaf))
    if probed.least > 1:
        _remember(leaf)
        leaf.snapshots = _thinned(leaf.snapshots, probed.least)
    elif not probed.croppable:
        taken = leaf.snapshots[-1].length if leaf.snapshots else 0
        if _passed(taken, len(leaf)):
            _remember(leaf)
    return logits


def steps(
    forward: Forward, probed: Probed, leaves: Sequence[Leaf], tokens: "array[int]"
) -> torch.Tensor:
    """Feed a token on top of each of some leaves in one pass; f32 CPU logits, [B, V].

    The leaves are croppable and hold something each. If the pass failed they hold nothing after it.
    """
    if len(leaves) == 1:
        return extend(forward, probed, leaves[0], tokens)
    try:
        logits = forward.together(tokens, [leaf.cache for leaf in leaves])
    except BaseException:
        for leaf in leaves:
            leaf.empty(kv.new_cache(forward.model, forward.shares))
        raise
    for leaf, token in zip(leaves, tokens, strict=True):
        leaf.ids.append(token)
        leaf.since = probed.borders.since(len(leaf))
    return logits


def _passed(taken: int, length: int) -> bool:
    """Whether a snapshot is due that stays."""
    return length // SNAPSHOT_EVERY > taken // SNAPSHOT_EVERY


def _thinned(snapshots: list[kv.Snapshot], latest: int) -> list[kv.Snapshot]:
    """Those that stay, and the latest so many."""
    thinned: list[kv.Snapshot] = []
    for snapshot in snapshots[:-latest]:
        if _passed(thinned[-1].length if thinned else 0, snapshot.length):
            thinned.append(snapshot)
    return thinned + snapshots[-latest:]


def _remember(leaf: Leaf) -> None:
    """Take a snapshot where the leaf is, unless there is one."""
    if not leaf.snapshots or leaf.snapshots[-1].length < len(leaf):
        leaf.snapshots.append(kv.snapshot(leaf.cache, len(leaf)))


def _spans(
    forward: Forward, probed: Probed, start: int, end: int, *, scored: bool
) -> Iterator[tuple[int, int]]:
    """The chunks of positions `start` to `end`, all of them under the rules of the whole."""
    size, since = CHUNK, probed.borders.since(end)
    if scored:
        size = min(size, scored_rows(forward))
    if probed.feed == "stepwise":
        if start == 0:
            first = min(end, max(since, size if scored else _ONE_PASS))
            yield 0, first
            start = first
        size = 1
    # A last snapshot close to the end: what branches off there is near one.
    last_snapshot = end if probed.croppable else (end - 1) // SNAPSHOT_EVERY * SNAPSHOT_EVERY
    ends = [start]
    for at in sorted({last_snapshot, *range(start, end, size)}):
        if ends[-1] + probed.least <= at <= end - probed.least and since <= at:
            ends.append(at)
    yield from pairwise([*ends, end] if start < end else ends)


def scored_rows(forward: Forward) -> int:
    """How many rows of logits a scoring pass may have at one time."""
    return max(1, _LOGIT_BYTES // (4 * forward.rows))


def _feed_whole(
    forward: Forward, ids: "array[int]", score_from: int | None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Without a cache: one pass over the path for each slice of logits."""
    if score_from is None:
        yield len(ids), forward(ids, 0, None)
        return
    size = scored_rows(forward)
    for first in range(score_from, len(ids), size):
        last = min(first + size, len(ids))
        yield last, forward(ids[:last], 0, None, last - first)
