"""A sum that is added to for long and loses nothing."""

import math


class ExactSum:
    """The exact sum of all numbers that were added, whatever their order: Shewchuk's partials
    ("Adaptive Precision Floating-Point Arithmetic", 1997), as in `math.fsum`."""

    def __init__(self) -> None:
        self._partials: list[float] = []
        """Numbers that do not overlap, whose sum is the exact one."""

    def add(self, number: float) -> None:
        """Add a finite number."""
        partials = list[float]()
        for partial in self._partials:
            if abs(number) < abs(partial):
                number, partial = partial, number
            high = number + partial
            if low := partial - (high - number):
                partials.append(low)
            number = high
        partials.append(number)
        self._partials = partials

    @property
    def value(self) -> float:
        """The sum, rounded once."""
        return math.fsum(self._partials)
