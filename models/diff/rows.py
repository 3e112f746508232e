"""What two rows of logits say of each other: float64 throughout, whatever the models compute in."""

import math
import threading
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


class Memory(threading.local):
    """Arrays of a thread, to be written over at each step: fresh ones, whose pages the system has
    to give and clear each time, cost several times what is computed in them."""

    def __init__(self) -> None:
        self._held: dict[str, Numbers] = {}

    def of(self, use: str, size: int) -> Numbers:
        """An array for a use, shape [size], holding whatever it was left with."""
        held = self._held.get(use)
        if held is None or len(held) != size:
            held = self._held[use] = np.empty(size)
        return held


class Pairs:
    """Compares rows of two models at the same place, in as many threads as one likes.

    Args:
        shared: the tokens that both have.
        names: of the models, for errors.
    """

    def __init__(self, shared: Shared, names: tuple[str, str]) -> None:
        self._shared, self._names, self._memory = shared, names, Memory()

    def step(self, first: Row, second: Row, position: int, token: int) -> Step:
        """What two rows of raw logits, shapes [V] and [W], say before the token at a position.

        Raises:
            TokexploreError: logits that are no distribution.
        """
        one, p, log_p = self._read(first, token, 0)
        other, q, log_q = self._read(second, token, 1)
        values, mixed = (self._memory.of(use, len(p)) for use in ("values", "mixed"))
        acceptance = min(1.0, float(np.minimum(p, q, out=values).sum()))
        left_out = 0.0, 0.0
        if not self._shared.complete:
            held = float(p.sum()), float(q.sum())
            left_out = max(0.0, 1.0 - held[0]), max(0.0, 1.0 - held[1])
            if not all(held):
                return Step(position, token, one, other, acceptance=acceptance, left_out=left_out)
            for numbers, logs, total in ((p, log_p, held[0]), (q, log_q, held[1])):
                numbers /= total
                logs -= math.log(total)
        js = self._jensen_shannon(p, log_p, q, log_q, mixed)
        with np.errstate(invalid="ignore"):
            ratio = np.subtract(log_p, log_q, out=mixed)
        return Step(
            position, token, one, other,
            kl=max(0.0, self._mean(p, ratio)), kl_back=max(0.0, -self._mean(q, ratio)),
            js=js, acceptance=acceptance, left_out=left_out,
        )  # fmt: skip

    def _read(self, row: Row, token: int, which: int) -> tuple[Reading, Numbers, Numbers]:
        """What one of the two says; its probabilities and logprobs of the shared tokens."""
        name = self._names[which]
        numbers = [self._memory.of(f"{use} {which}", len(row)) for use in ("logprobs", "p")]
        found = softmax(row, token, name, out=(numbers[0], numbers[1]))
        logprobs, p = (
            self._common(values, f"common {use} {which}")
            for use, values in (("logprobs", found.logprobs), ("p", found.probabilities))
        )
        return found.reading, p, logprobs

    def _common(self, values: Numbers, use: str) -> Numbers:
        """The values of the shared tokens, shape [shared]."""
        if self._kept is None:
            return values[: self._shared.rows]
        out = self._memory.of(use, len(self._kept))
        return np.take(values, self._kept, out=out, mode="clip")  # else it is buffered

    @cached_property
    def _kept(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]] | None":
        if not self._shared.unlike:
            return None
        return np.delete(np.arange(self._shared.rows), self._shared.unlike)

    def _mean(self, weights: Numbers, values: Numbers) -> float:
        """The sum of values by probability; what has no probability adds nothing, whatever its
        value.

        Added pairwise by numpy: a dot product would go through threads of its own.
        """
        with np.errstate(invalid="ignore"):
            product = np.multiply(weights, values, out=self._memory.of("values", len(values)))
            mean = float(product.sum())
        if math.isnan(mean):
            held = weights > 0
            mean = float((weights[held] * values[held]).sum())
        return mean

    def _jensen_shannon(
        self, p: Numbers, log_p: Numbers, q: Numbers, log_q: Numbers, logs: Numbers
    ) -> float:
        """Nats: the entropy of the mean of two distributions less the mean of their entropies.

        Args:
            logs: to be written over, as long as the others.
        """
        both = np.add(p, q, out=self._memory.of("both", len(p)))
        if both.min() < _LEAST:
            np.maximum(both, _LEAST, out=both)
        mixed = self._mean(both, np.log(both, out=logs))
        value = 0.5 * (self._mean(p, log_p) + self._mean(q, log_q) - mixed) + math.log(2)
        return min(max(0.0, value), math.log(2))


def softmax(
    row: Row, token: int, name: str, *, out: tuple[Numbers, Numbers] | None = None
) -> Softmax:
    """A row of raw logits as a distribution, and where a token stands in it.

    Args:
        out: where its logprobs and its probabilities are written, each of shape [V].

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
    logprobs, probabilities = out or (np.empty(len(row)), np.empty(len(row)))
    logprobs[:] = row
    logprobs -= top
    logprobs[greedy] = -math.inf
    margin = 0.0 - float(logprobs.max())  # infinite of one token alone
    logprobs[greedy] = 0.0
    np.exp(logprobs, out=probabilities)
    total = float(probabilities.sum())
    logprobs -= math.log(total)
    probabilities *= 1 / total
    rank = 1 + int(np.count_nonzero(row > row[token]))
    return Softmax(logprobs, probabilities, Reading(float(logprobs[token]), rank, greedy, margin))
