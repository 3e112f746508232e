"""What can come after a path: the most probable tokens, and what all others have together."""

import math
from array import array

import msgspec

from tokexplore.models.distribution import Distribution


class NextTokens(msgspec.Struct, frozen=True):
    """Some next tokens after a path in the order of their probability, equal ones by id.

    The probability is the model's, or the sampler's under some settings; all of a step add up to 1.
    """

    ids: bytes
    """u32, native order, shape [K]."""
    shares: bytes
    """f64, native order, shape [K]: their probabilities, summed over the whole vocabulary in f64
    where the engine has that."""
    rest: float
    """Probability of all tokens that come after them in that order."""
    more: bool
    """Whether these can be asked for."""
    distribution: Distribution | None = None
    """What the model said after the path; None where it was told before."""

    def __len__(self) -> int:
        return len(self.ids) // 4

    @property
    def id_view(self) -> "memoryview[int]":
        return memoryview(self.ids).cast("I")

    @property
    def share_view(self) -> "memoryview[float]":
        return memoryview(self.shares).cast("d")


def of_listed(distribution: Distribution, count: int) -> NextTokens:
    """The model's own, of an engine that lists the first candidates and no others."""
    listed = range(min(count, len(distribution)))
    shares = array("d", [math.exp(distribution.logprob(at)) for at in listed])
    ids = distribution.ids[: 4 * len(shares)]
    rest = max(0.0, 1.0 - math.fsum(shares))
    return NextTokens(ids, shares.tobytes(), rest, more=False, distribution=distribution)
