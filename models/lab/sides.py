"""What the runs of an experiment read of two tokens: the sides of a fork or of a close call."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from tokexplore.models.lab.forks import texts
from tokexplore.models.tree.study import CloseCall, Fork, Study

Place = Fork | CloseCall
"""A step at which runs read two tokens."""
Pair = tuple[float | None, float | None]


class Sides(msgspec.Struct, frozen=True):
    """What some runs read of the two: the same numbers to the last bit."""

    runs: tuple[int, ...]
    logits: Pair
    """Raw, of the first and the second token; None where one was not kept."""
    logprobs: Pair
    """The model's (nats); None where they were not kept."""
    margin: float | None
    """Of the first less the second (nats), None where one was not kept."""
    taken: tuple[int, ...]
    """The tokens that these runs took, each once."""


class Spread(NamedTuple):
    """The margins of all runs that have one (nats)."""

    runs: int
    lowest: float
    median: float
    highest: float

    @property
    def width(self) -> float:
        """How far they lie apart."""
        return self.highest - self.lowest


def sides_of(place: Place) -> list[Sides]:
    """What was read at a place, the most frequent first."""
    took = {run: (token,) for token, runs in _choices(place) for run in runs}
    found = []
    for reading in place.readings:
        first, second = reading.logits[:2]
        by: dict[float | None, list[int]] = {}
        lses: Sequence[float | None] = (None,) * len(reading.runs)
        for run, lse in zip(reading.runs, reading.lse or lses, strict=True):
            by.setdefault(lse, []).append(run)
        for lse, runs in by.items():
            found.append(
                Sides(
                    tuple(runs),
                    (first, second),
                    (_less(first, lse), _less(second, lse)),
                    _less(first, second),
                    tuple(dict.fromkeys(t for run in runs for t in took.get(run, reading.taken))),
                )
            )
    return sorted(found, key=lambda sides: (-len(sides.runs), sides.runs))


def _choices(place: Place) -> Sequence[tuple[int, tuple[int, ...]]]:
    return place.choices if isinstance(place, Fork) else ()


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def spread_of(sides: Sequence[Sides]) -> Spread | None:
    """How the margins of all runs lie; None where no run has one."""
    margins = sorted(s.margin for s in sides for _ in s.runs if s.margin is not None)
    if not margins:
        return None
    return Spread(len(margins), margins[0], median(margins), margins[-1])


def tried(study: Study, others: Sequence[Study]) -> dict[tuple[str, ...], int]:
    """What was varied of the same request under the same settings, and how many texts it gave;
    experiments that were stopped early have not tried all that they were to vary.

    Args:
        others: the experiments on this request, in order: of what was varied twice the last counts.
    """
    alike = (one for one in others if (one.setting, one.dtype) == (study.setting, study.dtype))
    whole = (one for one in alike if len(one.runs) >= one.planned)
    return {one.varied: len(texts(one.runs)) for one in whole if len(one.runs) > 1}


def untried(study: Study, others: Sequence[Study]) -> tuple[str, ...]:
    """What the model could vary and never did, under these settings."""
    done = {knob for varied in tried(study, others) for knob in varied}
    return tuple(knob for knob in study.offered or () if knob not in done)
