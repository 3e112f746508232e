"""What two models say before each token of a path, and what that comes to over all of it."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What one of the two says before a token."""

    logprob: float
    """Of the token, over all rows of this model: nats."""
    rank: int
    """1 + the number of tokens that are more probable; 0 where it is not told."""
    greedy: int
    """The most probable token; of equal ones that with the lowest id."""
    margin: float | None
    """Of it to the second: nats; None where no second one is told."""


class Step(msgspec.Struct, frozen=True):
    """A token of the path, and what both say before it.

    What needs the whole vocabulary of both is None where one lists its first candidates only. The
    divergences are those of the distributions over the tokens that both have.
    """

    position: int
    token: int
    first: Reading
    second: Reading
    kl: float | None = None
    """KL(first‖second): nats, may be infinite."""
    kl_back: float | None = None
    """KL(second‖first)."""
    js: float | None = None
    """Jensen–Shannon divergence: nats, from 0 to log 2."""
    acceptance: float | None = None
    """Σ min(p, q): how probable it is that a draw of one is accepted by the other in speculative
    decoding; tokens that one does not have add nothing."""
    left_out: tuple[float, float] = (0.0, 0.0)
    """What each one holds on tokens that the other does not have."""

    @property
    def delta(self) -> float:
        """Logprob of the token: the second's less the first's (nats); 0 where both hold it
        impossible."""
        one, other = self.first.logprob, self.second.logprob
        return 0.0 if one == other else other - one

    @property
    def parts(self) -> bool:
        """Whether their greedy choices differ."""
        return self.first.greedy != self.second.greedy


class Totals(msgspec.Struct, frozen=True):
    """Of some steps, at least one; what one of them does not tell is None."""

    steps: int
    parted: int
    """Steps at which the greedy choices differ."""
    logprobs: tuple[float, float]
    """Mean logprob of the tokens: the first's and the second's (nats)."""
    kl: float | None
    """Means, of which those of the divergences may be infinite."""
    kl_back: float | None
    js: float | None
    acceptance: float | None
    largest_kl: float | None
    """KL(first‖second) of one step."""
    left_out: tuple[float, float]
    """Mean."""

    @property
    def agreement(self) -> float:
        """Share of the steps at which the greedy choices are the same."""
        return 1 - self.parted / self.steps

    @property
    def perplexities(self) -> tuple[float, float]:
        """Infinite where a number cannot hold it."""
        one, other = (math.exp(-x) if x > -700 else math.inf for x in self.logprobs)
        return one, other


def totals(steps: Sequence[Step]) -> Totals:
    """What some steps, at least one, come to."""
    kl = _known(step.kl for step in steps)
    return Totals(
        len(steps),
        sum(step.parts for step in steps),
        (fmean(s.first.logprob for s in steps), fmean(s.second.logprob for s in steps)),
        None if kl is None else fmean(kl),
        _mean(step.kl_back for step in steps),
        _mean(step.js for step in steps),
        _mean(step.acceptance for step in steps),
        None if kl is None else max(kl),
        (fmean(s.left_out[0] for s in steps), fmean(s.left_out[1] for s in steps)),
    )


def most_different(steps: Iterable[Step], count: int) -> list[Step]:
    """The steps that differ most, first the one that does most: by Jensen–Shannon, where that is
    not known by the token's logprob."""
    size: Callable[[Step], float] = lambda step: abs(step.delta) if step.js is None else step.js  # noqa: E731
    return sorted(steps, key=lambda step: (-size(step), step.position))[:count]


def _known(values: Iterable[float | None]) -> list[float] | None:
    """The values; None where one of them is not known."""
    known = list[float]()
    for value in values:
        if value is None:
            return None
        known.append(value)
    return known


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return None if known is None else fmean(known)
