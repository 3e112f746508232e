"""Two engines along one path: both read the same tokens, and only a chunk of rows is held."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tokexplore.models.api.engine import Control, Engine, ScoredToken
from tokexplore.models.api.instruments import Logits
from tokexplore.models.diff.rows import Pairs
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.diff.vocabularies import Shared


def along(
    first: Engine,
    second: Engine,
    ids: Sequence[int],
    start: int,
    shared: Shared,
    control: Control,
) -> Iterator[Step]:
    """What both say before each token of ids[start:] (start >= 1), in order; fewer where it is
    cancelled.

    Raises:
        UsageError: a path that one of them cannot have, or an engine without prompt scores.
    """
    both = first, second
    if all(engine.info.capabilities.lists_all for engine in both):
        return _whole(first, second, ids, start, shared, control)
    return _listed(first, second, ids, start, control)


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
            first.logits(ids, start, control), second.logits(ids, start, control)
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
    firsts, seconds = (_scored(engine, ids, start, control) for engine in (first, second))
    for ours, theirs in zip(firsts, seconds, strict=False):  # one is shorter when cancelled
        token = ours.standing.token
        yield Step(ours.position, token, _reading(ours), _reading(theirs))


def _scored(
    engine: Engine, ids: Sequence[int], start: int, control: Control
) -> Iterator[ScoredToken]:
    for event in engine.score(ids, start, control):
        if isinstance(event, ScoredToken):
            yield event


def _reading(scored: ScoredToken) -> Reading:
    told, standing = scored.distribution, scored.standing
    margin = told.margin if told.margin_known else None
    return Reading(standing.logprob, standing.rank, told.id_view[0], margin)
