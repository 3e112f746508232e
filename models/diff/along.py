"""Two engines along one path: both read the same tokens, and only a chunk of rows is held."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tokexplore.models.api.engine import Control, Engine, ScoredToken
from tokexplore.models.api.instruments import Logits
from tokexplore.models.api.whole_row import whole_row
from tokexplore.models.diff.rows import Pairs, softmax
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.diff.vocabularies import Shared


def along(
    first: Engine,
    second: Engine,
    ids: Sequence[int],
    start: int,
    shared: Shared,
    control: Control,
    *,
    whole: bool = False,
) -> Iterator[Step]:
    """What both say before each token of ids[start:] (start >= 1), in order; fewer where it is
    cancelled.

    Args:
        whole: ask for the whole vocabulary of each step also where that is a request of its own.

    Raises:
        UsageError: a path that one of them cannot have, or an engine that tells nothing of tokens
            that it is given.
    """
    if all(tells_all(engine, whole=whole) for engine in (first, second)):
        return _whole(first, second, ids, start, shared, control)
    return _listed(first, second, ids, start, control)


def tells_all(engine: Engine, *, whole: bool = False) -> bool:
    """Whether an engine is asked for the whole vocabulary: where that costs a request a step, only
    if it was asked for or nothing else can be had."""
    can = engine.info.capabilities
    return can.lists_all or (can.whole_rows and (whole or not can.prompt_scores))


def _rows(engine: Engine, ids: Sequence[int], start: int, control: Control) -> Iterator[Logits]:
    """`Engine.logits`, or the same a step at a time."""
    if engine.info.capabilities.lists_all:
        yield from engine.logits(ids, start, control)
        return
    for position in range(start, len(ids)):
        if control.cancelled:
            return
        yield whole_row(engine, ids[:position])[0][None]  # [1, V]


def _whole(
    first: Engine,
    second: Engine,
    ids: Sequence[int],
    start: int,
    shared: Shared,
    control: Control,
) -> Iterator[Step]:
    """Row by row of the whole vocabulary."""
    pairs = Pairs(shared, (first.info.name, second.info.name))
    position = start
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets go of Python's lock
        for ours, theirs in _side_by_side(
            _rows(first, ids, start, control), _rows(second, ids, start, control)
        ):
            places = range(position, position + len(ours))
            tokens = ids[position : places.stop]
            yield from pool.map(pairs.step, ours, theirs, places, tokens)
            position = places.stop


def _side_by_side(
    firsts: Iterator[Logits], seconds: Iterator[Logits]
) -> Iterator[tuple[Logits, Logits]]:
    """Chunks of rows at the same places: as many at a time as both have."""
    ours, theirs = next(firsts, None), next(seconds, None)
    while ours is not None and theirs is not None:
        count = min(len(ours), len(theirs))
        yield ours[:count], theirs[:count]
        ours = ours[count:] if count < len(ours) else None
        theirs = theirs[count:] if count < len(theirs) else None
        if ours is None:
            ours = next(firsts, None)
        if theirs is None:
            theirs = next(seconds, None)


def _listed(
    first: Engine, second: Engine, ids: Sequence[int], start: int, control: Control
) -> Iterator[Step]:
    """By what is told of each token where not all candidates are."""
    firsts, seconds = (readings(engine, ids, start, control) for engine in (first, second))
    places = range(start, len(ids))
    for position, ours, theirs in zip(places, firsts, seconds, strict=False):  # less if cancelled
        yield Step(position, ids[position], ours, theirs)


def readings(engine: Engine, ids: Sequence[int], start: int, control: Control) -> Iterator[Reading]:
    """What one model says before each token of ids[start:], in order; fewer where it is cancelled.

    Raises:
        UsageError: a path that it cannot have, or an engine that tells nothing of given tokens.
    """
    can = engine.info.capabilities
    if can.whole_rows and not can.prompt_scores:
        for position in range(start, len(ids)):
            if control.cancelled:
                return
            row, _ = whole_row(engine, ids[:position])
            yield softmax(row, ids[position], engine.info.name).reading
        return
    for event in engine.score(ids, start, control):
        if isinstance(event, ScoredToken):
            told, standing = event.distribution, event.standing
            margin = told.margin if told.margin_known else None
            yield Reading(standing.logprob, standing.rank, told.id_view[0], margin)
