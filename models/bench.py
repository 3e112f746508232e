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


class Summands(msgspec.Struct, frozen=True):
    """What the logits of a step's first two candidates are the sums of."""

    tokens: tuple[int, int]
    hidden: bytes
    """f32, shape [H]: the input of the output embedding, each value one of the model's dtype."""
    weights: bytes
    """f32, shape [2, H]: the rows of the output embedding."""
    bias: tuple[float, float]
    head: tuple[float, float]
    """The output embedding's own results."""
    logits: tuple[float, float]
    """The model's logits: other than `head` where it scales or caps them."""


class LayerSpread(msgspec.Struct, frozen=True):
    """How far a layer's output is from that of the plain pass, over all positions of a path."""

    name: str
    largest: float
    """Of all |Δ|, in the units of the output."""
    relative: float
    """Root mean square of Δ over that of the output itself."""


class Split(msgspec.Struct, frozen=True):
    """One forward pass with the sums of every linear layer split."""

    blocks: int
    layers: tuple[LayerSpread, ...]
    """From the embedding to the logits."""


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

    def summands(self, ids: Sequence[int]) -> Summands:
        """What the first two logits after a path are the sums of.

        Raises:
            UsageError: a model whose output embedding is no plain matrix.
        """

    def split(self, ids: Sequence[int], blocks: Sequence[int]) -> Iterator[Split]:
        """A plain pass over a path against passes whose linear layers add up in blocks.

        The inputs of every linear layer are cut into k blocks of neighbours; each block's products
        are summed by itself, in float32, and the k partial sums are added in order, as split-K
        kernels do. One block is the plain pass.

        Args:
            blocks: each k, 1 or more.
        """
