"""Sparse experts: routing along a path, what moves it, and what limited experts would do."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tokexplore.models.api.engine import Control, Engine, StreamRequest
from tokexplore.models.api.instruments import Capacity, Execution, Routing
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.forks import summarise
from tokexplore.models.lab.mates import mates
from tokexplore.models.lab.repeat import Plan, Run, run_group, same_logits

IMPLEMENTATIONS = ("eager", "grouped_mm", "batched_mm")


class Rerouted(msgspec.Struct, frozen=True):
    """A token that two executions send to other experts at a layer."""

    step: int
    """From 0."""
    layer: int
    lost: tuple[int, ...]
    """Experts of the first execution only."""
    won: tuple[int, ...]
    """Experts of the second only."""
    margin: float | None
    """The router's, in the first."""


def rerouted(a: Routing, b: Routing) -> list[Rerouted]:
    """Where two executions of one path route differently, by step and layer."""
    found = []
    for step, (one, other) in enumerate(zip(a.chosen, b.chosen, strict=True)):
        for place, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            if set(mine) != set(theirs):
                lost = tuple(expert for expert in mine if expert not in theirs)
                won = tuple(expert for expert in theirs if expert not in mine)
                margin = a.margins[step][place]
                found.append(Rerouted(step, a.layers[place], lost, won, margin))
    return found


class Content(msgspec.Struct, frozen=True):
    """How far the words of other rows move a row, the shapes being the same."""

    implementation: str
    largest: float
    """Of all |Δlogit| between two sets of mates."""
    again: float
    """The same between two runs of one set: the control."""


def content_dependence(
    engine: Engine,
    ids: Sequence[int],
    first: int,
    implementations: Sequence[str],
    batch: int,
    control: Control,
) -> Iterator[Content]:
    """The same path beside other rows of the same lengths, for each implementation of experts.

    Args:
        implementations: empty names stand for the model's own.
    """
    chance = np.random.default_rng(0)
    lengths = [first] * (batch - 1)
    rows = [
        tuple(tuple(chance.integers(0, engine.info.vocabulary, n).tolist()) for n in lengths)
        for _ in range(2)
    ]
    for name in implementations:
        traced = []
        for others in (rows[0], rows[1], rows[0]):
            execution = Execution(others, row=1, experts=name)
            steps = engine.bench.trace(ids, first, execution, control, stepwise=True)
            traced.append([logits for _, logits in steps])  # of [1, V] each
        if control.cancelled:
            return
        base, other, again = map(np.concatenate, traced)
        yield Content(name, _largest(base, other), _largest(base, again))


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        difference = np.abs(a - b)
    return float(np.nanmax(difference))


class Limited(NamedTuple):
    """Repeat runs under one capacity."""

    capacity: Capacity | None
    """None is the model as it is."""
    runs: int
    unique: int
    first_fork: int | None
    as_plain: int
    """Runs with the same logits as without limits beside the same mates, bit for bit."""
    control: bool
    """Whether the first batch again gave the same logits, bit for bit."""


def capacity_sweep(
    engine: Engine,
    request: StreamRequest,
    capacities: Sequence[Capacity],
    runs: int,
    batch: int,
    control: Control,
    report: Callable[[int, int], None],
) -> Iterator[Limited]:
    """The same request, row 1, in `runs` batches with other mates: as it is, then limited.

    All mates are as long as the request's prompt, so that only what they say differs, and all rows
    are prefilled together, so that they compete there too.
    """
    total, done = (len(capacities) + 1) * (runs + 1), 0
    same_length = [mates_of(engine, request, batch, number) for number in range(runs)]
    plain: list[Run] = []
    for capacity in (None, *capacities):
        conditions = tuple(
            Condition(Execution(others, row=1, together=True, capacity=capacity))
            for others in same_length
        )
        plan = Plan(request, conditions)
        results: list[Run] = []
        for number in (*range(runs), 0):  # the first batch again is the control
            results += run_group(plan, [number], lambda _: engine, control)
            if control.cancelled:
                return
            done += 1
            report(done, total)
        again = results.pop()
        plain = plain or results
        as_plain = sum(map(same_logits, results, plain))
        figures, same = summarise(results), same_logits(again, results[0])
        yield Limited(capacity, runs, figures.unique, figures.first_fork, as_plain, same)


def mates_of(
    engine: Engine, request: StreamRequest, batch: int, number: int
) -> tuple[tuple[int, ...], ...]:
    """Other prompts of the request's own length."""
    length = len(request.ids)
    drawn = mates(engine, request.ids, request.max_new_tokens, batch - 1, seed=number)
    return tuple((mate * length)[:length] for mate in drawn)
