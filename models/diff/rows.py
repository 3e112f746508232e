"""What two rows of logits say of each other: float64 throughout, whatever the models compute in."""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.diff.vocabularies import Shared
from tokexplore.models.errors import TokexploreError

Row = np.ndarray[tuple[int], np.dtype[np.float32]]
Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
_LEAST = np.finfo(np.float64).tiny


class Softmax(NamedTuple):
    """A model's distribution over all of its rows."""

    logprobs: Numbers
    """f64, shape [V]; minus infinity where the probability is 0."""
    probabilities: Numbers
    """f64, shape [V]."""
    reading: Reading


class Pairs:
    """Compares rows of two models at the same place.

    Args:
        shared: the tokens that both have.
        names: of the models, for errors.
    """

    def __init__(self, shared: Shared, names: tuple[str, str]) -> None:
        self._shared, self._names = shared, names

    def step(self, first: Row, second: Row, position: int, token: int) -> Step:
        """What two rows of raw logits, shapes [V] and [W], say before the token at a position.

        Raises:
            TokexploreError: logits that are no distribution.
        """
        one, other = (
            softmax(row, token, name)
            for row, name in zip((first, second), self._names, strict=True)
        )
        p, q = self._common(one.probabilities), self._common(other.probabilities)
        acceptance = min(1.0, float(np.minimum(p, q).sum()))
        log_p, log_q = self._common(one.logprobs), self._common(other.logprobs)
        left_out = 0.0, 0.0
        if not self._shared.complete:
            held = float(p.sum()), float(q.sum())
            left_out = max(0.0, 1.0 - held[0]), max(0.0, 1.0 - held[1])
            if not all(held):
                return Step(
                    position, token, one.reading, other.reading, acceptance=acceptance,
                    left_out=left_out,
                )  # fmt: skip
            p, q = p / held[0], q / held[1]
            log_p, log_q = log_p - math.log(held[0]), log_q - math.log(held[1])
        with np.errstate(invalid="ignore"):
            ratio = log_p - log_q
        return Step(
            position, token, one.reading, other.reading,
            kl=max(0.0, _mean(p, ratio)), kl_back=max(0.0, _mean(q, -ratio)),
            js=_jensen_shannon(p, log_p, q, log_q), acceptance=acceptance, left_out=left_out,
        )  # fmt: skip

    def _common(self, values: Numbers) -> Numbers:
        """The values of the shared tokens, shape [shared]."""
        return values[: self._shared.rows] if self._kept is None else values[self._kept]

    @cached_property
    def _kept(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]] | None":
        if not self._shared.unlike:
            return None
        return np.delete(np.arange(self._shared.rows), self._shared.unlike)


def softmax(row: Row, token: int, name: str) -> Softmax:
    """A row of raw logits as a distribution, and where a token stands in it.

    Raises:
        TokexploreError: for logits that are no distribution, naming the model.
    """
    greedy = int(row.argmax())
    top = float(row[greedy])
    if not math.isfinite(top):  # of a row with a NaN the NaN is the first
        raise TokexploreError(
            f"the logits of {name} are no numbers (NaN or infinite): its weights are broken, or "
            "its dtype is too coarse for them (float32 is not)."
        )
    logprobs = row.astype(np.float64)
    logprobs -= top
    logprobs[greedy] = -math.inf
    margin = 0.0 - float(logprobs.max())  # infinite of one token alone
    logprobs[greedy] = 0.0
    probabilities = np.exp(logprobs)
    total = float(probabilities.sum())
    logprobs -= math.log(total)
    probabilities /= total
    rank = 1 + int(np.count_nonzero(row > row[token]))
    return Softmax(logprobs, probabilities, Reading(float(logprobs[token]), rank, greedy, margin))


def _mean(weights: Numbers, values: Numbers) -> float:
    """The sum of values by probability; what has no probability adds nothing, whatever its value.

    Added pairwise by numpy: a dot product would go through threads of its own.
    """
    with np.errstate(invalid="ignore"):
        mean = float((weights * values).sum())
    if math.isnan(mean):
        held = weights > 0
        mean = float((weights[held] * values[held]).sum())
    return mean


def _jensen_shannon(p: Numbers, log_p: Numbers, q: Numbers, log_q: Numbers) -> float:
    """Nats: the entropy of the mean of two distributions less the mean of their entropies."""
    both = p + q
    np.maximum(both, _LEAST, out=both)
    mixed = _mean(both, np.log(both))
    value = 0.5 * (_mean(p, log_p) + _mean(q, log_q) - mixed) + math.log(2)
    return min(max(0.0, value), math.log(2))
