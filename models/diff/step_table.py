"""Compared steps as numbers: a fifth of what they take as objects."""

import math
from array import array
from collections.abc import Iterator, Mapping

from tokexplore.models.diff.steps import Reading, Step

_WIDTH = 16
_NOWHERE = -1


class StepTable(Mapping[int, Step]):
    """Steps by node, in the order in which they came first; a later one takes another's place."""

    def __init__(self) -> None:
        self._nodes = array("q")
        """In order."""
        self._places = array("q")
        """Of each node: its place in that order, or `_NOWHERE`."""
        self._values = array("d")
        """`_WIDTH` of each step, in that order; NaN is None."""

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[int]:
        return iter(self._nodes)

    def __contains__(self, node: object) -> bool:
        return isinstance(node, int) and self._place(node) != _NOWHERE

    def __getitem__(self, node: int) -> Step:
        place = self._place(node)
        if place == _NOWHERE:
            raise KeyError(node)
        at = _WIDTH * place
        position, token, *told = self._values[at : at + _WIDTH]
        kl, kl_back, js, acceptance = map(_known, told[8:12])
        return Step(
            int(position), int(token), _reading(told[:4]), _reading(told[4:8]),
            kl, kl_back, js, acceptance, (told[12], told[13]),
        )  # fmt: skip

    def __setitem__(self, node: int, step: Step) -> None:
        place = self._place(node)
        if place == _NOWHERE:
            place = len(self._nodes)
            if (missing := node + 1 - len(self._places)) > 0:
                self._places.extend([_NOWHERE] * missing)
            self._places[node] = place
            self._nodes.append(node)
            self._values.extend([math.nan] * _WIDTH)
        values = (
            step.position, step.token, *_numbers(step.first), *_numbers(step.second),
            step.kl, step.kl_back, step.js, step.acceptance, *step.left_out,
        )  # fmt: skip
        for offset, value in enumerate(values, _WIDTH * place):
            self._values[offset] = math.nan if value is None else value

    def _place(self, node: int) -> int:
        return self._places[node] if 0 <= node < len(self._places) else _NOWHERE


def _numbers(reading: Reading) -> tuple[float | None, ...]:
    return reading.logprob, reading.rank, reading.greedy, reading.margin


def _reading(numbers: list[float]) -> Reading:
    logprob, rank, greedy, margin = numbers
    return Reading(logprob, int(rank), int(greedy), _known(margin))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
