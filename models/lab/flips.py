"""Which steps the noise of their margins could flip."""

import math
from collections.abc import Sequence
from statistics import fmean

SIGMAS = 3.0
"""A step could flip where its margin is at most so many standard deviations of the noise."""
LEAST = 8
"""Steps that an estimate of the noise rests on at least."""


def scale(gaps: Sequence[float]) -> float | None:
    """The noise of a gap of two logits: the root mean square of its differences between two ways.

    None where there are fewer than `LEAST`.
    """
    if len(gaps) < LEAST:
        return None
    return math.sqrt(fmean(gap * gap for gap in gaps))


def could_flip(margin: float, noise: float) -> bool:
    """Whether a step's margin (nats) is within the noise: at most `SIGMAS` times its scale."""
    return noise > 0 and margin <= SIGMAS * noise
