"""What a server has to do while it answers the same request: conditions, and runs at once."""

import random
from collections.abc import Iterator, Sequence
from itertools import groupby

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.traffic import Traffic
from tokexplore.models.lab.conditions import Condition, Knob
from tokexplore.models.lab.mates import MatePrompts

CONCURRENCY = (1, 4, 16)
"""Requests at once where nothing else was asked."""


def served_conditions(
    engine: Engine,
    prompt: Sequence[int],
    length: int,
    knobs: Sequence[Knob],
    runs: int,
    *,
    concurrency: Sequence[int] = CONCURRENCY,
    seed: int = 0,
) -> list[Condition]:
    """A condition for each run, the plain one first: of each condition `runs` or, where several
    of them run at once, as many more as fill the last group.

    They take turns, so that a plan that is stopped early has some of each.

    Args:
        length: tokens that a run may add to the prompt.
        concurrency: how many requests run at once, by turns.
    """
    kinds = list(_kinds(knobs, concurrency))
    drawn_by = random.Random(f"tokexplore/conditions/{seed}")
    prompts = MatePrompts(engine, len(prompt), length, drawn_by) if "batch" in knobs else None
    dealt: list[Condition] = []
    for turn in range(runs):
        for kind in kinds:
            if turn * kind.copies < runs:
                others = prompts.of_any_length(len(kind.beside)) if prompts else ()
                traffic = Traffic(kind.copies, others, kind.cold)
                dealt += [Condition(traffic=traffic)] * kind.copies
    return dealt


def _kinds(knobs: Sequence[Knob], concurrency: Sequence[int]) -> Iterator[Traffic]:
    """One of each kind of condition; what runs beside is only counted."""
    for cold in (False, True) if "cache" in knobs else (False,):
        yield Traffic(cold=cold)
    for at_once in sorted({size for size in concurrency if size > 1}):
        for cold in (False, True) if "cache" in knobs else (False,):
            if "copies" in knobs:
                yield Traffic(copies=at_once, cold=cold)
            if "batch" in knobs:
                yield Traffic(beside=((),) * (at_once - 1), cold=cold)


def groups(conditions: Sequence[Condition]) -> Iterator[list[int]]:
    """The numbers of the runs that are made together, in order."""
    for condition, alike in groupby(range(len(conditions)), key=conditions.__getitem__):
        numbers = list(alike)
        size = condition.traffic.copies if condition.traffic else 1
        for first in range(0, len(numbers), size):
            yield numbers[first : first + size]
