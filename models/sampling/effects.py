"""What sampling settings do to a distribution, in figures."""

import math

import msgspec

from tokexplore.models.sampling.sampler_view import SamplerView

SHOWN = 50
"""The most probable tokens that an effect lists."""


class StageEffect(msgspec.Struct, frozen=True):
    """What one stage did to the distribution that came to it."""

    stage: str
    value: float
    kept: int
    """Tokens with a probability after it."""
    removed: int
    """Tokens that it took their probability from."""
    moved: float
    """Probability that it moved: the total variation distance between before and after. Of a stage
    that removes tokens, the mass that they had."""
    entropy: float
    """Nats, after it."""


class Effect(msgspec.Struct, frozen=True):
    """The whole vocabulary under some settings, exactly.

    p is the model's distribution, q the sampler's.
    """

    view: SamplerView
    model_entropy: float
    """Nats, of p."""
    entropy: float
    """Nats, of q."""
    kl: float
    """KL(q || p) = sum q log(q / p), nats. (KL(p || q) is infinite where anything is cut.)"""
    removed: float
    """The mass in p of the tokens that q lacks."""
    stages: tuple[StageEffect, ...]
    """Those that are on, in their order."""
    ids: bytes
    """u32, shape [N]: the tokens that q holds for most probable, equal ones by id."""
    probabilities: bytes
    """f64, shape [N]: their probabilities in q."""

    @property
    def choices(self) -> float:
        """The effective number of choices, exp H of q: its perplexity."""
        return math.exp(self.entropy)

    @property
    def id_view(self) -> "memoryview[int]":
        return memoryview(self.ids).cast("I")

    @property
    def probability_view(self) -> "memoryview[float]":
        return memoryview(self.probabilities).cast("d")


class Draws(msgspec.Struct, frozen=True):
    """How often each token was drawn; those never drawn are left out."""

    count: int
    ids: bytes
    """u32, shape [N], the most frequent first."""
    counts: bytes
    """u32, shape [N]."""

    def of(self, token: int) -> int:
        """How often a token was drawn."""
        ids, counts = memoryview(self.ids).cast("I"), memoryview(self.counts).cast("I")
        return next((n for i, n in zip(ids, counts, strict=True) if i == token), 0)
