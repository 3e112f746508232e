"""What can be seen of the inside of a model: why it said what it said.

A step is the distribution after a path, and goes by its position: the number of tokens before it.
Layers are numbered from 1; layer 0 is the embedding, the state that the first layer takes.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.distribution import TokenRank

LENS_TOP = 5
"""Tokens that a layer's reading lists."""


class LayerReading(msgspec.Struct, frozen=True):
    """What a layer's state says as the logit lens reads it: through the model's own final norm,
    output embedding and soft cap (nostalgebraist, "interpreting GPT: the logit lens", 2020)."""

    top: tuple[TokenRank, ...]
    """The most probable tokens, the first one first."""
    asked: tuple[TokenRank, ...]
    """The tokens that were asked for, in their order."""
    entropy: float
    """Nats."""
    divergence: float
    """KL(model's own distribution || this one), nats."""


class LensStep(msgspec.Struct, frozen=True, tag=True):
    """What every layer's state says at one step."""

    position: int
    tokens: tuple[int, ...]
    """What `asked` of each layer tells of: the token that was taken here, where the path goes on,
    and then the tokens that were asked for."""
    layers: tuple[LayerReading, ...]
    """From layer 0 to the last."""
    error: float
    """Largest |Δlogit| of the last layer's reading from the model's own logits."""


PartKind = Literal["embedding", "attention", "mlp", "other", "bias", "rounding"]
"""`other` is a block that is neither attention nor MLP and goes by its module's name; `bias` what
the final norm and the output embedding add by themselves, or, of a layer, its attention beside its
heads; `rounding` what low precision left out of the sums and of the final norm."""


class Part(msgspec.Struct, frozen=True):
    """One summand of the state that the final norm takes, and what it does to two logits."""

    kind: PartKind
    layer: int
    """From 1; 0 for what belongs to none."""
    name: str
    """Of the module in its layer, as the model calls it; empty where there is none."""
    logits: tuple[float, float]
    """What it adds to the logit of each of the two tokens."""
    head: int | None = None
    """Of one head of an attention block, from 0; None is all of them."""

    @property
    def difference(self) -> float:
        """What it adds to the first token's logit less what it adds to the second's."""
        return self.logits[0] - self.logits[1]


class LogitSplit(msgspec.Struct, frozen=True, tag=True):
    """The logits of two tokens as sums over the model's parts (direct logit attribution: Elhage et
    al., "A Mathematical Framework for Transformer Circuits", 2021): the final norm divides by what
    it divided by at this step, and a scale or soft cap has the slope that it had."""

    position: int
    tokens: tuple[int, int]
    logits: tuple[float, float]
    """The model's own."""
    parts: tuple[Part, ...]
    """As they are added up."""
    slope: float = 1.0
    """What a scale or a soft cap after the output embedding made of each unit of difference, as it
    is in `parts`: of a soft cap the secant between the two tokens. 1 where there is none."""

    @property
    def difference(self) -> float:
        """The model's: first token's logit less the second's."""
        return self.logits[0] - self.logits[1]

    @property
    def total(self) -> float:
        """Of all parts."""
        return math.fsum(part.difference for part in self.parts)

    @property
    def error(self) -> float:
        """How far the parts are from the model's difference."""
        return abs(self.total - self.difference)


GradientMethod = Literal["gradient x input", "integrated gradients"]


class Attributions(msgspec.Struct, frozen=True, tag=True):
    """An estimate of what each token of a path did, by gradients: see `Interpreter.gradients`."""

    method: GradientMethod
    scores: tuple[float, ...]
    """By token of the path, nats."""
    value: float
    """The target at the path, nats."""
    baseline: float
    """The target where all embeddings are 0, nats."""
    points: int
    """Gradients that were computed."""

    @property
    def completeness_error(self) -> float:
        """|sum of the scores - (value - baseline)|: 0 of an estimate that leaves nothing out."""
        return abs(math.fsum(self.scores) - (self.value - self.baseline))


class AttentionWeights(msgspec.Struct, frozen=True, tag=True):
    """Where the last token of a path attended to."""

    layers: tuple[int, ...]
    """Those that have attention, from 1."""
    heads: int
    tokens: int
    """n, the tokens of the path."""
    weights: bytes
    """f32, native order, shape [layers, heads, n]. A row sums to 1, or to less where a head may
    attend to nothing."""
    kernel: str
    """The attention kernel that the weights are of."""
    own_kernel: bool
    """Whether the model runs with it; else they are of one more pass with another kernel."""

    def view(self) -> "memoryview[float]":
        """The weights, flat."""
        return memoryview(self.weights).cast("f")

    def row(self, layer: int | None, head: int | None) -> list[float]:
        """Weights by token, averaged over what is None.

        Args:
            layer: index into `layers`.
        """
        view, n = self.view(), self.tokens
        layers = range(len(self.layers)) if layer is None else (layer,)
        heads = range(self.heads) if head is None else (head,)
        starts = [(at * self.heads + h) * n for at in layers for h in heads]
        rows = [view[start : start + n] for start in starts]
        return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]


class LayerStates(msgspec.Struct, frozen=True):
    """All layers' states at a step, for another model to be held against."""

    shape: tuple[int, int, int]
    """Layers + 1, H, V."""
    states: bytes
    """f32, native order, shape [layers + 1, H]."""
    logits: bytes
    """f32, native order, shape [layers + 1, V]: what the logit lens makes of them."""


class Interpreter(Protocol):
    """Looks into a model, between two events of its streams, which know nothing of it.

    What it tells is checked against the model's own numbers; where a model is built so that a check
    fails, it is refused.
    """

    def lens(
        self,
        ids: Sequence[int],
        first: int,
        last: int,
        control: Control,
        *,
        tokens: Sequence[int] = (),
        top: int = LENS_TOP,
        tuned: str = "",
    ) -> Iterator[LensStep]:
        """The logit lens at the steps `first` to `last` (1 <= first <= last <= len(ids)), in
        bounded memory; fewer where it is cancelled.

        Args:
            tokens: told of each layer, after the token that was taken.
            tuned: directory of a tuned lens (Belrose et al., arXiv:2303.08112), which reads the
                states in the place of the logit lens.

        Raises:
            UsageError: a model whose last layer, so read, does not give its logits; a tuned lens
                that is not one of this model.
        """  # fmt: skip

    def states(self, ids: Sequence[int]) -> LayerStates:
        """All layers' states at the step after a path.

        Raises:
            UsageError: as `lens`.
        """

    def split(
        self, ids: Sequence[int], tokens: tuple[int, int], heads: Sequence[int] = ()
    ) -> LogitSplit:
        """The logits of two tokens after a path, split.

        Args:
            heads: layers whose attention is told head by head.

        Raises:
            UsageError: a model whose parts are not known to add up.
        """

    def occlude(
        self,
        ids: Sequence[int],
        hidden: Sequence[range],
        tokens: Sequence[int],
        control: Control,
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """What tokens' logprobs after a path are where stretches of it are invisible to all later
        tokens: a mask, not a deletion, so that positions stay ("attention knockout": Geva et al.,
        arXiv:2304.14767).

        Args:
            hidden: stretches of ids[:-1], each by itself; an empty one hides nothing.

        Yields:
            Index of a stretch, as they are done, and the logprobs of `tokens` (nats).

        Raises:
            UsageError: a model in which more than attention carries tokens on, or whose attention
                takes no mask.
        """  # fmt: skip

    def gradients(
        self, ids: Sequence[int], tokens: Sequence[int], points: int, control: Control
    ) -> Iterator[Progress | Attributions]:
        """An estimate of what each token's embedding did to a target: the logprob of the one token
        after the path, or of the first less that of the second.

        Args:
            points: 0 is gradient x input (Shrikumar et al., arXiv:1605.01713); else integrated
                gradients (Sundararajan et al., arXiv:1703.01365) from embeddings of 0, with so many
                points of a Gauss-Legendre rule.

        Raises:
            UsageError: a model that gradients do not get through.
        """

    def attention(self, ids: Sequence[int]) -> AttentionWeights:
        """Where the last token of a path attended to, in every layer and head.

        Raises:
            UsageError: a model without attention, or one that does not give its weights.
        """
