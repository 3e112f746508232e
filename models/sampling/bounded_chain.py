"""The least and the most that stages leave, where only the first candidates are stored."""

import math
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from tokexplore.models.distribution import Distribution

_ROUNDING = 1e-6
"""Relative width of what f32 arithmetic may decide either way at a border."""
_SERVER_ROUNDING = 1e-3
"""How far an incomplete distribution's logprobs (nats) and their sum may be off: servers round."""


class Bounds(NamedTuple):
    """The least and the largest that a figure can be."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        return self.low == self.high


class BoundedChain:
    """The bounds of what is left after each stage: a method for each stage that has some."""

    def __init__(self, distribution: Distribution, temperature: float) -> None:
        logits = distribution.logit_view
        self.weights = [math.exp((logit - logits[0]) / temperature) for logit in logits]
        """exp((logit - largest) / T) of the stored candidates."""
        self.sums = list(accumulate(self.weights))
        self._error = 0.0 if distribution.complete else _SERVER_ROUNDING / temperature
        self._rounding = max(_ROUNDING, self._error)
        self.low, self.high = len(self.weights), distribution.vocabulary
        """How many candidates are left, counted in candidate order."""
        self.rest = _rest(distribution, temperature, self.weights[-1])
        """Weight of those that are left and not stored."""

    @property
    def total(self) -> Bounds:
        """Weight of what is left."""
        stored = len(self.weights)
        high = self.sums[min(self.high, stored) - 1] + (self.rest.high if self.high > stored else 0)
        if self.low < stored or self.high <= stored:
            return Bounds(self.sums[min(self.low, stored) - 1], high)
        return Bounds(self.sums[-1] + self.rest.low, high)

    def nothing(self, value: float) -> None:
        """Of a stage that leaves all: the temperature is in the weights, the seed in the draw."""

    def top_k(self, value: float) -> None:
        count, stored = int(value), len(self.weights)
        if count > stored:
            share = (count - stored) / max(1, self.high - stored)
            # The first of the rest hold at least their share by number.
            self.rest = Bounds(self.rest.low * min(1.0, share), self.rest.high)
            self.high = self.high if count < self.high else min(self.high, count)
            return
        border = self.weights[count - 1] * (1 - self._error)
        passing = sum(weight >= border for weight in self.weights)
        high = passing if passing < stored or self.high == stored else self.high
        self._keep(count if self._error else passing, high)

    def top_p(self, value: float) -> None:
        total = self.total
        low = self._first(total.low * value * (1 - self._rounding))
        high = self._first(total.high * value * (1 + self._rounding))
        self._keep(low or len(self.weights), high or self.high)

    def min_p(self, value: float) -> None:
        stored = len(self.weights)
        low = sum(weight >= value * (1 + self._rounding) for weight in self.weights)
        high = sum(weight >= value * (1 - self._rounding) for weight in self.weights)
        self._keep(max(1, low), high if high < stored else self.high)

    def _keep(self, low: int, high: int) -> None:
        """At least `low` and at most `high` candidates pass a stage."""
        if high <= len(self.weights):
            self.rest = Bounds(0.0, 0.0)
        elif low <= len(self.weights):
            self.rest = Bounds(0.0, self.rest.high)
        self.low, self.high = min(self.low, low), min(self.high, high)

    def _first(self, mass: float) -> int:
        """How many stored candidates hold this weight together; 0 where all do not."""
        return next((n for n, cumulative in enumerate(self.sums, 1) if cumulative >= mass), 0)


BoundStep = Callable[[BoundedChain, float], None]
"""What a stage of some value leaves of a chain."""


def _rest(distribution: Distribution, temperature: float, last: float) -> Bounds:
    """Bounds of the weight of all candidates that are not stored.

    `last` is the weight of the last stored one, which none of them exceeds. Given their number and
    the sum of their probabilities at temperature 1, the sum of the probabilities' powers 1/T lies
    between an even spread and one that is as uneven as can be (Jensen's inequality).
    """
    count = distribution.vocabulary - len(distribution)
    mass = distribution.tail_mass()
    if count <= 0 or (mass <= 0.0 and distribution.complete):
        return Bounds(0.0, 0.0)
    top = math.exp(distribution.logprob(0))
    if not distribution.complete:
        low = min(_spreads(count, max(0.0, mass - _SERVER_ROUNDING) / top, temperature, last))
        high = max(_spreads(count, (mass + _SERVER_ROUNDING) / top, temperature, last))
        most = count * last
        return Bounds(min(low, most), min(high, most))
    even, uneven = _spreads(count, mass / top, temperature, last)
    if last**temperature <= 0.0:
        return Bounds(0.0, even) if temperature > 1 else Bounds(even, uneven)
    # The mass is a difference of sums: what rounding leaves of a tiny one is no more than this.
    slack = 1 + 1e-9 / max(mass, 1e-9)
    return Bounds(min(even, uneven) / slack, min(max(even, uneven) * slack, count * last * slack))


def _spreads(count: int, ratio: float, temperature: float, last: float) -> tuple[float, float]:
    """The weight of so many candidates, spread evenly and as unevenly as can be.

    Args:
        ratio: their probability over that of the first candidate.
    """
    cap = last**temperature  # the last stored candidate's probability over the first one's
    even = count * (ratio / count) ** (1 / temperature)
    if cap <= 0.0:
        return even, ratio ** (1 / temperature)
    full = min(count, math.floor(ratio / cap))
    return even, full * last + max(0.0, ratio - full * cap) ** (1 / temperature)
