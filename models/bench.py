"""What the lab asks of an engine beyond streams and answers: the same thing, computed otherwise."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np

from tokexplore.models.protocol import Control, DrawnToken, StreamEnded, StreamRequest

Logits = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""f32, shape [k, V]: raw."""


class Execution(msgspec.Struct, frozen=True):
    """How a path is computed.

    Nothing in it changes what is asked for. All of it may change the shapes and the order in which
    floating-point sums are made.
    """

    mates: tuple[tuple[int, ...], ...] = ()
    """Prompts of the other rows of the batch, which go on greedily beside the run's own."""
    row: int = 0
    """The run's place among the rows, from 0."""
    together: bool = False
    """All rows are prefilled in one padded batch; else each alone, and they decode together."""
    chunk: int = 0
    """Tokens per prefill pass: 1 is token by token, 0 all in one."""
    cached: int = 0
    """Leading tokens of the prompt whose keys and values an earlier request left."""
    attention: str = ""
    """Attention kernel; empty is the model's own, as in all that follow."""
    experts: str = ""
    """Implementation of a mixture of experts."""
    threads: int = 0
    """Of the CPU."""
    deterministic: bool = False
    """torch's deterministic algorithms only."""

    @property
    def batch(self) -> int:
        """Rows that run at once."""
        return len(self.mates) + 1

    def words(self) -> str:
        """What is not plain about it, for people."""
        said = []
        if self.mates:
            lengths = {len(mate) for mate in self.mates}
            span = f"{min(lengths)}" if len(lengths) == 1 else f"{min(lengths)}–{max(lengths)}"
            said.append(f"batch {self.batch}, row {self.row + 1}, others {span} tokens")
        if self.together:
            said.append("prefilled together")
        if self.chunk:
            said.append("prefill token by token" if self.chunk == 1 else f"chunks of {self.chunk}")
        if self.cached:
            said.append(f"{self.cached} tokens cached")
        said += filter(None, (self.attention, self.experts))
        if self.threads:
            said.append("1 thread" if self.threads == 1 else f"{self.threads} threads")
        if self.deterministic:
            said.append("deterministic algorithms")
        return " · ".join(said) or "alone, in one pass"


class Bench(Protocol):
    """An engine's workbench. Not to be used while a stream of the same engine runs."""

    def run(
        self, request: StreamRequest, execution: Execution, control: Control
    ) -> Iterator[DrawnToken | StreamEnded]:
        """Extend a path as `Engine.stream` does, computed as `execution` says; no caches are kept.

        Raises:
            UsageError: an execution that this model or machine cannot do.
        """

    def trace(
        self,
        ids: Sequence[int],
        first: int,
        execution: Execution,
        control: Control,
        *,
        stepwise: bool,
    ) -> Iterator[tuple[int, Logits]]:
        """The logits along a path that is given, computed as `execution` says.

        Args:
            first: the first distribution wanted is that after ids[:first] (>= 1).
            stepwise: ids[:first] is prefilled and the rest fed token by token, as a stream does;
                else all of it is prefilled.

        Yields:
            How many tokens of `ids` are done, and the logits after the last k of them; where it
            is not cancelled, all from `first` to the path's end.

        Raises:
            UsageError: an execution that this model or machine cannot do.
        """  # fmt: skip
