"""Values by node that are in memory, or in a record from which they can be read back."""

from array import array
from collections import deque
from typing import Generic, TypeVar

import numpy as np

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

RECENT = 512
"""Values of a kind that stay in memory though they are stored: so many of the newest, and so many
of those that were read back last."""
_NOWHERE = -1

_Value = TypeVar("_Value")


class Stored(Generic[_Value]):
    """The values of some nodes. One that is not stored stays in memory."""

    def __init__(self) -> None:
        self.here: dict[int, _Value] = {}
        """Those in memory, by node."""
        self._records = array("q")
        """Of each node: the number of the record that holds its value."""
        self._recent = deque[int]()
        """Nodes whose value is stored and still in memory, the newest last."""

    def add(self, node: int, value: _Value) -> None:
        """Keep a node's value in memory, in place of one that it had."""
        self.here[node] = value
        if node < len(self._records):
            self._records[node] = _NOWHERE

    def record(self, node: int) -> int | None:
        """The number of the record that holds a node's value, where it is stored."""
        record = self._records[node] if node < len(self._records) else _NOWHERE
        return None if record == _NOWHERE else record

    def written(self, node: int, value: _Value, record: int) -> None:
        """A value was stored under a number: the oldest one in memory is let go for it.

        Where the node has another value by now, that one stays.
        """
        if self.here.get(node) is not value:
            return
        self._reserve(node + 1)
        self._records[node] = record
        self._recent.append(node)
        if len(self._recent) > RECENT:
            oldest = self._recent.popleft()
            if self.record(oldest) is not None:
                self.here.pop(oldest, None)

    def lie_in(self, nodes: Numbers, records: Numbers) -> None:
        """The values of nodes lie in records by their numbers, all of shape [n].

        Of a node that is there several times the last counts.
        """
        if len(nodes):
            self._reserve(int(nodes.max()) + 1)
            np.frombuffer(self._records, "i8")[nodes] = records

    def _reserve(self, count: int) -> None:
        missing = count - len(self._records)
        if missing > 0:
            self._records.frombytes(array("q", [_NOWHERE]).tobytes() * missing)

    @property
    def nodes(self) -> set[int]:
        """The nodes that have a value."""
        stored = np.flatnonzero(np.frombuffer(self._records[:], "i8") != _NOWHERE)
        return self.here.keys() | set(stored.tolist())
