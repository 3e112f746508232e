"""What floating-point formats can tell apart, and sums of what they cannot hold."""

import math
from collections.abc import Sequence

FRACTION_BITS = {"float32": 23, "float16": 10, "bfloat16": 7}
"""Bits after the leading one of a number in each format (IEEE 754, and bfloat16)."""
LOW_PRECISION = ("float16", "bfloat16")
"""Formats whose steps are as large as the differences that matter."""


def grid_step(value: float, dtype: str) -> float | None:
    """The gap between neighbouring numbers of a format at this magnitude; None for others.

    Zero and what is smaller than the format's normal numbers has no step here.
    """
    bits = FRACTION_BITS.get(dtype)
    if bits is None or not math.isfinite(value) or abs(value) < 1e-4:
        return None
    return 2.0 ** (math.floor(math.log2(abs(value))) - bits)


def log_sum_exp(logs: Sequence[float]) -> float:
    """Natural logarithm of the sum of what has these natural logarithms, however small that is;
    minus infinity for none."""
    most = max(logs, default=-math.inf)
    if most == -math.inf:
        return most
    return most + math.log(math.fsum(math.exp(log - most) for log in logs))
