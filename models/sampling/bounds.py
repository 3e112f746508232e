"""What a sampler makes of a distribution of which only the first candidates are stored.

The stored candidates are exact, and so are the mass and the number of the rest; how that mass lies
among the rest is not known. Whatever depends on it is given as bounds.
"""

import math
from itertools import accumulate
from typing import NamedTuple

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings

_BOUNDED = frozenset({"temperature", "seed", "top_k", "top_p", "min_p"})
"""The settings of which bounds are known. Any other that is on leaves none."""
_INERT = frozenset({"typical_p", "top_h", "epsilon_cutoff", "eta_cutoff", "dynamic_range"})
"""Those that do nothing while the sampler is greedy."""
_ROUNDING = 1e-6
"""Relative width of what f32 arithmetic may decide either way at a border."""


class Bounds(NamedTuple):
    """The least and the largest that a figure can be."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        return self.low == self.high


class Figures(NamedTuple):
    """What a sampler makes of a distribution: q of p."""

    kept: int
    entropy: float
    """Nats, of q."""
    kl: float
    """KL(q || p), nats."""
    removed: float
    """The mass in p of the tokens that q lacks."""

    @property
    def choices(self) -> float:
        """The perplexity of q."""
        return math.exp(self.entropy)


class BoundedView(NamedTuple):
    """A distribution as the sampler sees it, as far as the stored candidates tell."""

    settings: SamplingSettings
    kept: Bounds
    """How many candidates are kept, counted in candidate order."""
    stages: tuple[tuple[str, float, float], ...]
    """Each stage that is on: its name, its value, and the most that it keeps."""
    weights: tuple[float, ...]
    """exp((logit - largest) / T) of the stored candidates."""
    total: Bounds
    """Sum of the weights of what is kept."""

    def share(self, index: int) -> Bounds:
        """The sampler's probability of a stored candidate."""
        if index >= self.kept.high:
            return Bounds(0.0, 0.0)
        if self.settings.greedy:
            return Bounds(1.0, 1.0)
        weight = self.weights[index]
        low = weight / self.total.high if index < self.kept.low else 0.0
        return Bounds(low, min(1.0, weight / self.total.low))

    def figures(self, distribution: Distribution) -> Figures | None:
        """The exact figures, where everything that is kept is stored; else None."""
        kept, total = int(self.kept.high), self.total.high
        if not (self.kept.exact and self.total.exact) or kept > len(self.weights):
            return None
        logprobs = [distribution.logprob(index) for index in range(kept)]
        shares = [weight / total for weight in self.weights[:kept]]
        pairs = [(q, math.log(q), p) for q, p in zip(shares, logprobs, strict=True) if q]
        entropy = math.fsum(-q * log_q for q, log_q, _ in pairs)
        kl = math.fsum(q * (log_q - p) for q, log_q, p in pairs)
        removed = -math.expm1(logprobs[0]) if kept == 1 else distribution.tail_mass(kept)
        return Figures(kept, max(0.0, entropy), max(0.0, kl), max(0.0, removed))

    def cut_by(self, index: int) -> tuple[str, float] | None:
        """The first stage that certainly removed a candidate, with its value."""
        return next(((name, value) for name, value, most in self.stages if index >= most), None)


def bounded_view(distribution: Distribution, settings: SamplingSettings) -> BoundedView | None:
    """What the sampler keeps, stage by stage in the order of the sampler.

    None where anything but temperature, top-k, top-p and min-p is on: what a path changes, and
    filters that need every probability of the tail, leave no bounds that say anything.
    """
    known = _BOUNDED | _INERT if settings.greedy else _BOUNDED
    if settings.on - known:
        return None
    if settings.greedy:
        return BoundedView(settings, Bounds(1, 1), (), (1.0,), Bounds(1.0, 1.0))
    logits, temperature = distribution.logit_view, settings.temperature
    weights = [math.exp((logit - logits[0]) / temperature) for logit in logits]
    chain = _Chain(weights, distribution, settings)
    stages = []
    if settings.top_k:
        chain.top_k(settings.top_k)
        stages.append(("top-k", float(settings.top_k), chain.high))
    if settings.top_p < 1:
        chain.top_p(settings.top_p)
        stages.append(("top-p", settings.top_p, chain.high))
    if settings.min_p:
        chain.min_p(settings.min_p)
        stages.append(("min-p", settings.min_p, chain.high))
    kept = Bounds(chain.low, chain.high)
    return BoundedView(settings, kept, tuple(stages), tuple(weights), chain.total)


class _Chain:
    """The bounds of what is left after each stage."""

    def __init__(
        self, weights: list[float], distribution: Distribution, settings: SamplingSettings
    ) -> None:
        self.weights = weights
        self.sums = list(accumulate(weights))
        self.low, self.high = len(weights), distribution.vocabulary
        self.rest = _rest(distribution, settings.temperature, weights[-1])

    @property
    def total(self) -> Bounds:
        """Weight of what is left."""
        stored = len(self.weights)
        high = self.sums[min(self.high, stored) - 1] + (self.rest.high if self.high > stored else 0)
        if self.low < stored or self.high <= stored:
            return Bounds(self.sums[min(self.low, stored) - 1], high)
        return Bounds(self.sums[-1] + self.rest.low, high)

    def _keep(self, low: int, high: int) -> None:
        """At least `low` and at most `high` candidates pass a stage."""
        if high <= len(self.weights):
            self.rest = Bounds(0.0, 0.0)
        elif low <= len(self.weights):
            self.rest = Bounds(0.0, self.rest.high)
        self.low, self.high = min(self.low, low), min(self.high, high)

    def top_k(self, count: int) -> None:
        stored = len(self.weights)
        if count > stored:
            share = (count - stored) / max(1, self.high - stored)
            # The first of the rest hold at least their share by number.
            self.rest = Bounds(self.rest.low * min(1.0, share), self.rest.high)
            self.high = self.high if count < self.high else min(self.high, count)
            return
        border = self.weights[count - 1]
        passing = sum(weight >= border for weight in self.weights)
        self._keep(passing, passing if passing < stored or self.high == stored else self.high)

    def top_p(self, value: float) -> None:
        total = self.total
        low = self._first(total.low * value * (1 - _ROUNDING))
        high = self._first(total.high * value * (1 + _ROUNDING))
        self._keep(low or len(self.weights), high or self.high)

    def _first(self, mass: float) -> int:
        """How many stored candidates hold this weight together; 0 where all do not."""
        return next((n for n, known in enumerate(self.sums, 1) if known >= mass), 0)

    def min_p(self, value: float) -> None:
        stored = len(self.weights)
        low = sum(weight >= value * (1 + _ROUNDING) for weight in self.weights)
        high = sum(weight >= value * (1 - _ROUNDING) for weight in self.weights)
        self._keep(max(1, low), high if high < stored else self.high)


def _rest(distribution: Distribution, temperature: float, last: float) -> Bounds:
    """Bounds of the weight of all candidates that are not stored.

    `last` is the weight of the last stored one, which none of them exceeds. Given their number and
    the sum of their probabilities at temperature 1, the sum of the probabilities' powers 1/T lies
    between an even spread and one that is as uneven as can be (Jensen's inequality).
    """
    count = distribution.vocabulary - len(distribution)
    mass = distribution.tail_mass()
    if count <= 0 or mass <= 0.0:
        return Bounds(0.0, 0.0)
    top = math.exp(distribution.logprob(0))
    ratio = mass / top
    cap = last**temperature  # the last stored candidate's probability over the first one's
    even = count * (ratio / count) ** (1 / temperature)
    if cap <= 0.0:
        return Bounds(0.0, even) if temperature > 1 else Bounds(even, ratio ** (1 / temperature))
    full = min(count, math.floor(ratio / cap))
    uneven = full * last + max(0.0, ratio - full * cap) ** (1 / temperature)
    # The mass is a difference of sums: what rounding leaves of a tiny one is no more than this.
    slack = 1 + 1e-9 / max(mass, 1e-9)
    return Bounds(min(even, uneven) / slack, min(max(even, uneven) * slack, count * last * slack))
