"""What the engine keeps of the paths it has been on: live caches of leaves, and full rows."""

from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from transformers.cache_utils import DynamicCache

from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward.logits_row import Row

ROW_BYTES = 256 * 2**20
SEEN = 65_536
"""Paths of which it stays known that a row of theirs was here."""
MOST_LEAVES = 256
"""More of them take longer to look through than they save."""
_SNAPSHOT_SHARE = 4
"""A leaf may keep this share (one in so many) of the budget in snapshots."""


class Path:
    """Token ids with a key that is extended, not computed again, with each token."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = array("I", ids)
        self._hash = blake2b(self.ids, digest_size=16)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def key(self) -> bytes:
        """16 bytes that stand for the ids."""
        return self._hash.copy().digest()

    def append(self, token: int) -> None:
        self.ids.append(token)
        self._hash.update(self.ids[-1:])


@dataclass(eq=False)
class Leaf:
    """The live cache at the end of a path, and snapshots on the way there."""

    cache: DynamicCache
    ids: "array[int]" = field(default_factory=lambda: array("I"))
    """The tokens that the cache holds."""
    snapshots: list[kv.Snapshot] = field(default_factory=list)
    """By rising length; of croppable caches none."""
    since: int = 1
    """The least length whose passes follow the rules under which the cache was made."""
    busy: bool = False
    """A stream is extending it: others fork it."""
    _weighed: tuple[object, dict[int, int]] | None = field(default=None, repr=False)
    """What was held when it was so long, and how it was told from other times."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def holdings(self) -> dict[int, int]:
        """Bytes of each piece of memory of the cache and its snapshots; the same object until that
        changes."""
        now = self.cache, len(self.ids), len(self.snapshots)
        if self._weighed is None or self._weighed[0] != now:
            self._weighed = now, kv.holdings(self._layers)
        return self._weighed[1]

    @property
    def _layers(self) -> Iterator[Any]:
        layers = self.cache.layers if self.cache is not None else ()
        return chain(layers, *(s.layers for s in self.snapshots))

    def leave_sparse_blocks(self) -> bool:
        """See `cache.leave_sparse_blocks`."""
        return kv.leave_sparse_blocks(self._layers)

    def moved(self) -> None:
        """Know that what it holds may lie elsewhere."""
        self._weighed = None

    @property
    def bytes(self) -> int:
        """Memory of the cache and its snapshots, what other leaves share included."""
        return sum(self.holdings.values())

    def empty(self, cache: DynamicCache) -> None:
        """Begin again with a cache that holds nothing."""
        self.cache, self.ids, self.snapshots, self.since = cache, array("I"), [], 1
        self.moved()

    def common(self, ids: "array[int]") -> int:
        """Length of the longest common prefix with `ids`."""
        count = min(len(self.ids), len(ids))
        differs = np.frombuffer(self.ids, np.uint32, count) != np.frombuffer(ids, np.uint32, count)
        first = int(differs.argmax()) if count else 0
        return first if count and differs[first] else count


class LeafStore:
    """Live leaves, the least recently used dropped when their bytes exceed the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._leaves: dict[Leaf, dict[int, int]] = {}
        """The least recently used first, each with its holdings as they are counted."""
        self._holders: Counter[int] = Counter()
        """Leaves that hold a piece of memory."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._leaves)

    def __iter__(self) -> Iterator[Leaf]:
        return iter(self._leaves)

    @property
    def bytes(self) -> int:
        """Memory of all leaves; what several share is counted once."""
        self._weigh()
        return self._bytes

    def put(self, *leaves: Leaf) -> bool:
        """Keep leaves as the most recently used; whether others were dropped to make room.

        These themselves always stay, whatever their size, and so do busy ones: their streams hold
        them, so that to drop them would free nothing.
        """
        for leaf in leaves:
            if not leaf.snapshots:
                self._drop_covered(leaf)
            self._leaves[leaf] = self._leaves.pop(leaf, {})
            while len(leaf.snapshots) > 1 and leaf.bytes > self.limit // _SNAPSHOT_SHARE:
                del leaf.snapshots[:-1:2]
        return self._fit(keeping=leaves)

    def clear(self) -> None:
        self._leaves.clear()
        self._holders.clear()
        self._bytes = 0

    def _fit(self, keeping: Sequence[Leaf]) -> bool:
        """Drop the oldest leaves until the rest fits; whether any was."""
        before = len(self)
        while len(self) > MOST_LEAVES and self._drop_oldest(keeping):
            pass
        while self.bytes > self.limit:
            if sum(leaf.leave_sparse_blocks() for leaf in self):  # others hold what one moved
                for leaf in self:
                    leaf.moved()
            if self.bytes <= self.limit or not self._drop_oldest(keeping):
                break
        return len(self) < before

    def _weigh(self) -> None:
        """Count anew what leaves hold that changed since: first all that they held, because what
        is given back may lie where something new does."""
        changed = [leaf for leaf, counted in self._leaves.items() if counted is not leaf.holdings]
        for leaf in changed:
            self._count(self._leaves[leaf], -1)
        for leaf in changed:
            self._leaves[leaf] = leaf.holdings
            self._count(leaf.holdings, 1)

    def _count(self, holdings: dict[int, int], by: int) -> None:
        """Count one holder more or less of each piece of memory."""
        for key, size in holdings.items():
            others = self._holders.pop(key, 0) + min(by, 0)
            if others + max(by, 0):
                self._holders[key] = others + max(by, 0)
            if not others:
                self._bytes += by * size

    def _drop_covered(self, leaf: Leaf) -> None:
        """Drop those that a leaf is of as much use as."""
        for old in [old for old in self if not old.busy and _covers(leaf, old)]:
            if old is not leaf:
                self._drop(old)

    def _drop_oldest(self, keeping: Sequence[Leaf]) -> bool:
        """Drop the oldest leaf that may go; whether there is one."""
        old = next((leaf for leaf in self if not leaf.busy and leaf not in keeping), None)
        if old is not None:
            self._drop(old)
        return old is not None

    def _drop(self, leaf: Leaf) -> None:
        self._count(self._leaves.pop(leaf), -1)


def _covers(leaf: Leaf, other: Leaf) -> bool:
    """Whether every prefix of `other` is one of `leaf`, made under the same rules."""
    last = len(other) - 1
    return (
        other.since == leaf.since
        and last < len(leaf)
        and (last < 0 or leaf.ids[last] == other.ids[last])
        and leaf.common(other.ids) == len(other)
    )


class RowStore:
    """Full rows by path, the least recently used dropped when their bytes exceed the limit."""

    def __init__(self, limit: int = ROW_BYTES) -> None:
        self.limit = limit
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._seen: dict[bytes, None] = {}
        """In the order in which they were last here."""
        self.bytes = 0
        """Memory of the rows."""

    def __len__(self) -> int:
        return len(self._rows)

    def seen(self, key: bytes) -> bool:
        """Whether a row of this path was here, as far back as that is known."""
        return key in self._seen

    def get(self, key: bytes) -> Row | None:
        row = self._rows.get(key)
        if row is None:
            return None
        self._rows.move_to_end(key)
        return row.bare()  # sorted copies that are made of it go with it

    def put(self, key: bytes, row: Row) -> None:
        """Keep a row; the first one of a path stays while it is held."""
        if key in self._rows:
            self._rows.move_to_end(key)
            return
        self._seen.pop(key, None)
        self._seen[key] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        self._rows[key] = row.alone()
        self.bytes += row.logits.nbytes
        while self.bytes > self.limit and len(self._rows) > 1:
            _, old = self._rows.popitem(last=False)
            self.bytes -= old.logits.nbytes

    def clear(self) -> None:
        """Drop the rows; which paths were seen stays known."""
        self._rows.clear()
        self.bytes = 0
