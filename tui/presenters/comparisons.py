"""What two models say of the tokens of a path, index by index, as far as its widgets need it."""

import math
from array import array
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from tokexplore.models.diff.spans import Span
from tokexplore.models.tree.tree import TokenTree

_READ, _PARTS, _LISTED = 1, 2, 4
"""Read by both; their greedy choices differ; one of them lists its first candidates only."""


class Summary(NamedTuple):
    """What they come to on a path."""

    steps: int
    parted: int
    """Steps at which the greedy choices differ."""
    kl: float | None
    """Mean KL(first‖second), nats; None where it is not known of a step."""


class Comparisons:
    """Kept up to date by what is new: a path of 10,000 tokens is summed up with every frame."""

    def __init__(self, tree: TokenTree) -> None:
        self._tree = tree
        self.divergences = array("d")
        """How far two models are apart before each token (nats): KL(first‖second) or, where one of
        them lists its first candidates only, how far their logprobs of the token are apart; where
        their tokens are others, those of its span. NaN where that is not known."""
        self._marks = array("B")
        self._compared = tree.compared
        self._seen = 0

    def cut(self, keep: int) -> None:
        """Leave the first `keep` tokens."""
        del self.divergences[keep:], self._marks[keep:]

    def add(self, node: int, span: Span | None) -> None:
        """Append a token; `span` is that which it is in, where tokens are others."""
        self.divergences.append(math.nan)
        self._marks.append(0)
        self._put(len(self._marks) - 1, node, span)

    def take_in(self, nodes: Sequence[int]) -> int:
        """Take in what was compared since the last call; the first index that is not as it was.

        Args:
            nodes: of the path.
        """
        compared, count = self._tree.compared, min(len(nodes), len(self._marks))
        if compared is not self._compared:  # another second model's
            self._compared, self._seen = compared, 0
            for index in range(count):
                self.divergences[index], self._marks[index] = math.nan, 0
        changed = count if self._seen else 0
        for node in islice(compared, self._seen, None):
            index = self._tree.depth[node] - 1
            if index < count and nodes[index] == node:
                self._put(index, node, None)
                changed = min(changed, index)
        self._seen = len(compared)
        return changed if compared else count

    def _put(self, index: int, node: int, span: Span | None) -> None:
        step = self._tree.compared.get(node)
        if span is not None:
            self.divergences[index] = abs(span.delta)
        elif step is not None:
            self.divergences[index] = abs(step.delta) if step.kl is None else step.kl
            self._marks[index] = _READ | _PARTS * step.parts | _LISTED * (step.kl is None)

    @property
    def whole(self) -> bool:
        """Whether what was compared are whole distributions."""
        return not np.any(self._read_marks() & _LISTED)

    def summary(self) -> Summary:
        """What the path's steps come to, as far as they are read."""
        marks = self._read_marks()
        read = (marks & _READ) > 0
        steps, known = int(read.sum()), not np.any(marks & _LISTED)
        kl = float(np.array(self.divergences)[read].mean()) if steps and known else None
        return Summary(steps, int(((marks & _PARTS) > 0).sum()), kl)

    def _read_marks(self) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        return np.array(self._marks, np.uint8)
