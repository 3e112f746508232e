"""What the engine keeps of the paths it has been on: live caches of leaves, and full rows."""

from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain

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

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def holdings(self) -> dict[int, int]:
        """Bytes of each piece of memory of the cache and its snapshots."""
        layers = self.cache.layers if self.cache is not None else ()
        return kv.holdings(chain(layers, *(s.layers for s in self.snapshots)))

    @property
    def bytes(self) -> int:
        """Memory of the cache and its snapshots, what other leaves share included."""
        return sum(self.holdings.values())

    def empty(self, cache: DynamicCache) -> None:
        """Begin again with a cache that holds nothing."""
        self.cache, self.ids, self.snapshots, self.since = cache, array("I"), [], 1

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
        self._leaves: list[Leaf] = []

    def __len__(self) -> int:
        return len(self._leaves)

    def __iter__(self) -> Iterator[Leaf]:
        return iter(self._leaves)

    @property
    def bytes(self) -> int:
        """Memory of all leaves; what several share is counted once."""
        held: dict[int, int] = {}
        for leaf in self._leaves:
            held |= leaf.holdings
        return sum(held.values())

    def put(self, *leaves: Leaf) -> bool:
        """Keep leaves as the most recently used; whether others were dropped to make room.

        These themselves always stay, whatever their size, and so do busy ones: their streams hold
        them, so that to drop them would free nothing.
        """
        for leaf in leaves:
            if leaf in self._leaves:
                self._leaves.remove(leaf)
            if not leaf.snapshots:
                self._leaves = [old for old in self._leaves if old.busy or not _covers(leaf, old)]
            self._leaves.append(leaf)
            while len(leaf.snapshots) > 1 and leaf.bytes > self.limit // _SNAPSHOT_SHARE:
                del leaf.snapshots[:-1:2]
        idle = [leaf for leaf in self._leaves if not leaf.busy and leaf not in leaves]
        for old in idle[: max(0, len(self._leaves) - MOST_LEAVES)]:
            self._leaves.remove(old)
        return self._fit(keeping=leaves)

    def clear(self) -> None:
        self._leaves.clear()

    def _fit(self, keeping: Sequence[Leaf]) -> bool:
        """Drop the oldest leaves until the rest fits: of each goes what no other one holds."""
        held = [(leaf, leaf.holdings) for leaf in self._leaves]
        holders = Counter(chain.from_iterable(own for _, own in held))
        total = sum({key: size for _, own in held for key, size in own.items()}.values())
        before = len(held)
        for old, own in held:
            if total <= self.limit:
                break
            if not old.busy and old not in keeping:
                holders.subtract(own.keys())
                total -= sum(size for key, size in own.items() if not holders[key])
                self._leaves.remove(old)
        return len(self._leaves) < before


def _covers(leaf: Leaf, other: Leaf) -> bool:
    """Whether every prefix of `other` is one of `leaf`, made under the same rules."""
    return (
        other.since == leaf.since
        and len(other) <= len(leaf)
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
