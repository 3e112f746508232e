"""Effects of hidden stretches: how they lie in each other, and whether an estimate by token agrees
with them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.models.interpret.rank_correlation import spearman
from tokexplore.models.interpret.units import Unit, UnitKind

_KINDS: tuple[tuple[UnitKind, ...], ...] = (
    ("turn", "template"), ("sentence",), ("word",), ("token",),
)  # fmt: skip


class Nested(NamedTuple):
    """A stretch that was hidden, and where it lies."""

    occluded: Occluded
    depth: int
    """How many others of the list it lies in."""
    finest: bool
    """Whether none of the others lies in it."""


class Agreement(msgspec.Struct, frozen=True):
    """How far an estimate ranks stretches of one kind as hiding them does."""

    kind: UnitKind
    """`turn` is what stands between the turns of a chat too."""
    units: int
    """How many of that kind were hidden."""
    correlation: float | None
    """Spearman's, from -1 to 1; None where all are equal."""


def nested(occluded: Sequence[Occluded]) -> list[Nested]:
    """Stretches in reading order, each before those that lie in it."""
    order = sorted(occluded, key=lambda each: (each.unit.start, -each.unit.end))
    found, ends = list[Nested](), list[int]()
    for at, each in enumerate(order):
        while ends and ends[-1] <= each.unit.start:
            ends.pop()
        follows = order[at + 1].unit if at + 1 < len(order) else None
        finest = follows is None or follows.start >= each.unit.end
        found.append(Nested(each, len(ends), finest))
        ends.append(each.unit.end)
    return found


def total(unit: Unit, scores: Sequence[float]) -> float:
    """What an estimate by token says of a stretch: the sum over it."""
    return math.fsum(scores[unit.start : unit.end])


def agreements(occluded: Sequence[Occluded], scores: Sequence[float]) -> list[Agreement]:
    """How far an estimate agrees with what hiding stretches did, by their kind, the coarsest first,
    where several of one were hidden.

    Args:
        scores: by token of the path.
    """
    found = list[Agreement]()
    for kinds in _KINDS:
        alike = [each for each in occluded if each.unit.kind in kinds]
        if len(alike) > 1:
            sums = [total(each.unit, scores) for each in alike]
            correlation = spearman([each.effect for each in alike], sums)
            found.append(Agreement(kinds[0], len(alike), correlation))
    return found
