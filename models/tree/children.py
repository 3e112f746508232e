"""The nodes after each node of a trie, at one number for a node that has one."""

from array import array
from collections.abc import Sequence


class Children:
    """By node: the nodes that follow it, in the order in which they were taken."""

    def __init__(self) -> None:
        self.first = array("q", [0])
        """By node: the first of them; 0, the root, where there is none."""
        self._later: dict[int, tuple[int, ...]] = {}
        """By node: the others, where there are any."""

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, node: int) -> tuple[int, ...]:
        first = self.first[node]
        return (first, *self._later.get(node, ())) if first else ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Children):
            return NotImplemented
        return (self.first, self._later) == (other.first, other._later)

    __hash__ = None  # type: ignore[assignment]

    def add(self, node: int, parent: int) -> None:
        """A new node follows `parent`."""
        if self.first[parent]:
            self._later[parent] = (*self._later.get(parent, ()), node)
        else:
            self.first[parent] = node
        self.first.append(0)

    def follow(self, nodes: Sequence[int]) -> None:
        """New nodes follow each other, the first of them the newest node, which has none."""
        self.first[-1] = nodes[0]
        self.first.extend(nodes[1:])
        self.first.append(0)
