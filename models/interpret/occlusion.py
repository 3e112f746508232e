"""Which words of a path did it: each made invisible, the coarse ones first, then what is inside
those that mattered."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.units import Unit, UnitKind, inside, plain

SHARE = 0.1
"""A stretch is looked into where its effect is this share of the largest one of its kind ..."""
LEAST = 0.01
"""... and at least so many nats."""

_FINENESS: dict[UnitKind, int] = {
    "turn": 0, "template": 0, "sentence": 1, "word": 2, "token": 3,
}  # fmt: skip


class OcclusionPlan(msgspec.Struct, frozen=True, tag=True):
    """What comes next: told before a round of stretches is hidden."""

    logprobs: tuple[float, ...]
    """Of the target's tokens where nothing is hidden, nats."""
    units: tuple[Unit, ...]
    cost: float
    """Tokens to be computed, over those of the path: so many forward passes of it."""


class Occluded(msgspec.Struct, frozen=True, tag=True):
    """A stretch was invisible."""

    unit: Unit
    logprobs: tuple[float, ...]
    """Of the target's tokens then, nats."""
    effect: float
    """What it did to the target, nats: the logprob of the one token, or of the first less that of
    the second, as it is less as it is with the stretch hidden. Above 0 it pushed towards."""


def occlusion(
    engine: Engine,
    ids: Sequence[int],
    tokens: Sequence[int],
    control: Control,
    *,
    blocks: Sequence[Unit] = (),
    finest: UnitKind = "token",
    everything: bool = False,
) -> Iterator[OcclusionPlan | Occluded]:
    """Hide the stretches of a path, round by round.

    The last token is never hidden: the prediction is made at its place.

    Raises:
        UsageError: nothing comes before the last token, or the model gives a token no probability.

    Args:
        tokens: the target: one token after the path, or two whose difference it is.
        blocks: where to begin, such as the turns of a chat; by default with the sentences, and
            what stands in front of them.
        finest: no stretches finer than these are hidden.
        everything: look into all stretches, not only into those that mattered.
    """
    end = len(ids) - 1
    pieces = engine.vocabulary.pieces(ids)
    special = [token in engine.vocabulary.special for token in ids]
    units = _clipped(blocks or plain(pieces, special), end)
    if not units:
        raise UsageError("nothing comes before the last token of this path: there is none to hide.")
    unhidden = engine.interpreter.occlude(ids, [range(0)], tokens, control)
    _, base = next(iter(unhidden), (0, ()))
    for token, logprob in zip(tokens, base, strict=False):
        if not math.isfinite(logprob):
            raise UsageError(
                f"the model gives {engine.vocabulary.show(token)} no probability at this step: ask "
                "about another token."
            )
    while units and base and not control.cancelled:
        yield OcclusionPlan(base, tuple(units), cost(len(ids), units))
        done = list[Occluded]()
        hidden = [unit.tokens for unit in units]
        for at, logprobs in engine.interpreter.occlude(ids, hidden, tokens, control):
            effect = target(base) - target(logprobs)
            done.append(Occluded(units[at], logprobs, effect))
            yield done[-1]
        units = _finer(done, pieces, finest, everything=everything)


def target(logprobs: Sequence[float]) -> float:
    """The logprob of the one token, or the first's less the second's (nats)."""
    return logprobs[0] - (logprobs[1] if len(logprobs) > 1 else 0.0)


def cost(length: int, units: Sequence[Unit]) -> float:
    """Forward passes of the path that it takes to hide each unit by itself."""
    return sum(length - unit.start - 1 for unit in units) / length


def _finer(
    done: Sequence[Occluded], pieces: Sequence[str], finest: UnitKind, *, everything: bool
) -> list[Unit]:
    largest = max((abs(each.effect) for each in done), default=0.0)
    least = max(LEAST, SHARE * largest)
    found = list[Unit]()
    for each in sorted(done, key=lambda each: each.unit.start):
        if everything or abs(each.effect) >= least:
            found += inside(each.unit, pieces)
    return [unit for unit in found if _FINENESS[unit.kind] <= _FINENESS[finest]]


def _clipped(blocks: Sequence[Unit], end: int) -> list[Unit]:
    ends = [msgspec.structs.replace(unit, end=min(unit.end, end)) for unit in blocks]
    return [unit for unit in ends if unit.start < unit.end]
