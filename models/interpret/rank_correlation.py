"""How far two lists of figures agree on what is more and what is less."""

import math
from collections.abc import Sequence


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties with their mean rank (Spearman 1904; Kendall and Gibbons,
    "Rank Correlation Methods", 1990); None of fewer than two pairs, or where all are equal."""
    one, other = _ranks(first), _ranks(second)
    mean = (len(one) + 1) / 2
    across = math.fsum((a - mean) * (b - mean) for a, b in zip(one, other, strict=True))
    spread = math.fsum((a - mean) ** 2 for a in one) * math.fsum((b - mean) ** 2 for b in other)
    return across / math.sqrt(spread) if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for at in order[start:end]:
                ranks[at] = (start + 1 + end) / 2
            start = end
    return ranks
