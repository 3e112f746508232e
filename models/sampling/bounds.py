"""What a sampler makes of a distribution of which only the first candidates are stored.

The stored candidates are exact, and so are the mass and the number of the rest; how that mass lies
among the rest is not known. Whatever depends on it is given as bounds.
"""

import math
from typing import NamedTuple

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.bounded_chain import BoundedChain, Bounds
from tokexplore.models.sampling.settings import BY_FIELD, SamplingSettings


def entropy_bounds(distribution: Distribution) -> Bounds:
    """What the entropy (nats) of a distribution can be whose first candidates are known.

    The mass of the rest lies among so many others that none is more probable than the last one
    listed: least where as few of them as can be have all of it, most where all have the same.
    """
    if distribution.entropy is not None:
        return Bounds(distribution.entropy, distribution.entropy)
    logprobs = [distribution.logprob(index) for index in range(len(distribution))]
    head = math.fsum(-math.exp(logprob) * logprob for logprob in logprobs)
    mass, others = distribution.tail_mass(), distribution.vocabulary - len(distribution)
    most = math.exp(logprobs[-1])
    if not mass or others < 1 or not most:
        return Bounds(head, head)
    full, left = divmod(mass, most)
    low = head - full * most * logprobs[-1] - (left * math.log(left) if left else 0.0)
    return Bounds(low, max(low, head + mass * math.log(others / mass)))


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

    None where a stage is in force of which the table has no bound: what a path changes, and filters
    that need every probability of the tail, leave none that say anything.
    """
    stages = settings.in_force()
    steps = [stage.bound for stage in stages if stage.bound is not None]
    if len(steps) < len(stages) or settings.on - BY_FIELD.keys():
        return None
    if settings.greedy:
        return BoundedView(settings, Bounds(1, 1), (), (1.0,), Bounds(1.0, 1.0))
    chain, most = BoundedChain(distribution, settings.temperature), []
    for stage, step in zip(stages, steps, strict=True):
        value = getattr(settings, stage.field)
        step(chain, value)
        if stage.kind == "filter":
            most.append((stage.name, float(value), chain.high))
    kept = Bounds(chain.low, chain.high)
    return BoundedView(settings, kept, tuple(most), tuple(chain.weights), chain.total)
