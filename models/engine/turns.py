"""Streams that run at once: the one that needs its next logits takes the others along."""

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.kv_store import Leaf
from tokexplore.models.engine.forward.logits_row import Row


@dataclass(frozen=True)
class Stepped:
    """What a step gave."""

    logits: torch.Tensor
    """After the path: f32 on the CPU, [V]."""
    rows: int
    """Streams whose step it was."""
    seconds: float
    """Time that the pass took."""

    def row(self) -> Row:
        """The row after the path, which says how it was had."""
        source = "step" if self.rows == 1 else f"step of {self.rows} rows"
        return logits_row.summarise(self.logits, source, self.seconds)


class Turns:
    """Leaves that wait for a pass over one token each, and what passes gave that nobody took yet.

    A leaf is run ahead by the token that it waits with, and no further until that is taken.

    Args:
        steps: feeds a token on top of each of some leaves; f32 CPU logits, [B, V].
    """

    def __init__(self, steps: Callable[[Sequence[Leaf], "array[int]"], torch.Tensor]) -> None:
        self._steps = steps
        self._waiting: dict[Leaf, int] = {}
        self._done: dict[Leaf, Stepped] = {}

    @property
    def open(self) -> bool:
        """Whether any leaf waits."""
        return bool(self._waiting)

    def wait(self, leaf: Leaf, token: int) -> None:
        """Let the next pass of a leaf under the same rules take this one along."""
        self._waiting[leaf] = token

    def take(self, leaf: Leaf) -> Stepped | None:
        """What a pass gave a leaf that waits or has waited: the leaf holds its token then."""
        if leaf in self._waiting:
            self._run(leaf)
        return self._done.pop(leaf, None)

    def leave(self, leaf: Leaf) -> Stepped | None:
        """Wait no more; what a pass gave that was not taken."""
        self._waiting.pop(leaf, None)
        return self._done.pop(leaf, None)

    def _run(self, first: Leaf) -> None:
        """Run a pass over all that wait and follow the rules that one follows."""
        group = [leaf for leaf in self._waiting if leaf.since == first.since]
        tokens = array("I", [self._waiting.pop(leaf) for leaf in group])
        began = time.perf_counter()
        logits = self._steps(group, tokens)
        seconds = time.perf_counter() - began
        for leaf, row in zip(group, logits, strict=True):
            self._done[leaf] = Stepped(row, len(group), seconds)
