"""What the lab asks of an engine beyond streams and answers: the same thing, computed otherwise."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest

if TYPE_CHECKING:
    import numpy as np

Logits: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
"""f32, shape [k, V]: raw."""


class Capacity(msgspec.Struct, frozen=True):
    """A simulation: experts with buffers of fixed size, as GShard (arXiv:2006.16668) has them.

    The tokens of a pass, row after row, are cut into groups. In each group an expert takes at most
    max(1, ceil(factor * tokens * k / experts)); first choices go before second ones, earlier
    tokens before later ones, and what does not fit is left out. Padding takes no room.
    """

    factor: float
    """May be infinite: a limit that is never met."""
    group: int
    """Tokens of a group; the last group of a pass may have fewer."""


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
    capacity: Capacity | None = None
    """Limits of the experts, simulated; None is the model as it is."""
    beside: int = 0
    """Other branches of the path that go on beside it on one shared prefix, a token each in one
    pass, as streams do: they begin with its most probable other tokens and go on greedily. The
    pass has an attention kernel of its own; `attention` is then that of the prefill."""

    @property
    def batch(self) -> int:
        """Rows of the run and its mates."""
        return len(self.mates) + 1

    @property
    def at_once(self) -> int:
        """Rows of a pass over one token of each."""
        return self.batch + self.beside

    def words(self) -> str:
        """What is not plain about it, for people."""
        parts = []
        if self.mates:
            lengths = {len(mate) for mate in self.mates}
            span = f"{min(lengths)}" if len(lengths) == 1 else f"{min(lengths)}–{max(lengths)}"
            parts.append(f"batch {self.batch}, row {self.row + 1}, others {span} tokens")
        if self.together:
            parts.append("prefilled together")
        if self.beside:
            branches = "1 branch" if self.beside == 1 else f"{self.beside} branches"
            parts.append(f"beside {branches}")
        if self.chunk:
            parts.append("prefill token by token" if self.chunk == 1 else f"chunks of {self.chunk}")
        if self.cached:
            parts.append(f"{self.cached} tokens cached")
        parts += filter(None, (self.attention, self.experts))
        if self.threads:
            parts.append("1 thread" if self.threads == 1 else f"{self.threads} threads")
        if self.deterministic:
            parts.append("deterministic algorithms")
        if self.capacity:
            limit = self.capacity
            parts.append(f"simulated capacity {limit.factor:g} in groups of {limit.group}")
        return " · ".join(parts) or "alone, in one pass"


class Routing(msgspec.Struct, frozen=True):
    """Which experts tokens went to: lists by token fed, then by layer that has experts."""

    layers: tuple[int, ...]
    """Numbers of those layers, from 1."""
    experts: int
    """How many each layer has."""
    unit: Literal["logits", "scores"]
    """What the router chooses by: its logits, or DeepSeek-V3's scores (a sigmoid and a correction,
    of the groups of experts that are open)."""
    chosen: tuple[tuple[tuple[int, ...], ...], ...]
    """The experts, from 0, the one with the largest weight first."""
    weights: tuple[tuple[tuple[float, ...], ...], ...]
    """Of the chosen, in their order."""
    margins: tuple[tuple[float | None, ...], ...]
    """Of the last chosen less of the first left out, in `unit`; None where the router chooses by
    something else, or nothing was left out."""
    left_out: tuple[tuple[int, ...], ...]
    """The first expert left out, in `unit`."""


class Summands(msgspec.Struct, frozen=True):
    """What the logits of a step's first two candidates are the sums of."""

    tokens: tuple[int, int]
    hidden: bytes
    """f32, shape [H]: the input of the output embedding, each value one of the model's dtype."""
    weights: bytes
    """f32, shape [2, H]: the rows of the output embedding."""
    bias: tuple[float, float]
    head: tuple[float, float]
    """The output embedding's own results: these sums as the model's kernel makes them."""
    logits: tuple[float, float]
    """The model's logits: other than `head` where it scales or caps them."""


class LayerSpread(msgspec.Struct, frozen=True):
    """How far a layer's output is from that of the unsplit pass, over all positions of a path."""

    name: str
    largest: float
    """Of all |Δ|, in the units of the output."""
    relative: float
    """Root mean square of Δ over that of the output itself."""


class Split(msgspec.Struct, frozen=True):
    """One forward pass with the sums of every linear layer split."""

    blocks: int | None
    """None: not split, and left to the model's own kernels."""
    matrices: int
    """Multiplications by a weight matrix in the pass that added up in blocks."""
    layers: tuple[LayerSpread, ...]
    """From the first layer to the last, before the final norm, and then the logits."""


class Instruments(Protocol):
    """An engine's workbench: between two events of its streams, which know nothing of it."""

    @property
    def attentions(self) -> tuple[str, ...]:
        """Attention kernels that are here for this model, its own first."""

    @property
    def has_experts(self) -> bool:
        """Whether the model is a mixture of experts."""

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
        """What the first two logits after a path, computed in one pass, are the sums of.

        Raises:
            UsageError: a model whose output embedding is no plain matrix.
        """

    def split(self, ids: Sequence[int], blocks: Iterable[int]) -> Iterator[Split]:
        """Passes over a path whose linear layers add up in blocks, against one block.

        The inputs of every linear layer are cut into k blocks of neighbours; each block's products
        are summed by themselves in float32, the k partial sums and then the bias are added in
        order in float32, and the sum is rounded to the model's dtype: a split-K kernel with a
        float32 workspace. All else (attention, norms, convolutions, experts that are multiplied
        as a group) adds up as ever.

        Args:
            blocks: each k, 1 or more.

        Yields:
            The pass of the model's own kernels first, then one for each k.
        """

    def routing(
        self,
        ids: Sequence[int],
        first: int,
        execution: Execution,
        control: Control,
        *,
        stepwise: bool,
    ) -> Routing | None:
        """Where the router sends the tokens ids[first:], fed as in `trace`; None when cancelled.

        Raises:
            UsageError: a model without experts, or with routers of an unknown kind.
        """  # fmt: skip
