"""The noise floor: one path computed in several ways, and which of its steps could flip."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import msgspec
import numpy as np

from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.api.instruments import Execution
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.flips import scale
from tokexplore.models.lab.mates import mates
from tokexplore.models.lab.repeat import EngineOf

LONGEST = 1024
"""Steps of a path that are measured at most."""

STREAMED, PREFILLED = "token by token", "one pass"
"""The two ways that a path which was streamed can be had again without a batch."""

Row = np.ndarray[tuple[int], np.dtype[np.float32]]


class Way(msgspec.Struct, frozen=True):
    """One way to compute the logits along a path."""

    name: str
    condition: Condition = Condition()
    stepwise: bool = True
    """Token by token as a stream does; else in one prefill pass."""


class Pair(msgspec.Struct, frozen=True):
    """Two ways, step by step; all in logits (nats), lists as long as the path has steps."""

    first: int
    second: int
    """Places in the list of ways."""
    logit: tuple[float, ...]
    """Largest difference of a logit over the vocabulary."""
    logit_median: tuple[float, ...]
    """Median difference over the vocabulary."""
    logprob: tuple[float, ...]
    """Largest difference of a logprob."""
    gap: tuple[float, ...]
    """Difference of the gap of the first way's top two candidates, with its sign."""
    flips: tuple[int, ...]
    """Steps, from 0, at which their first candidates differ."""

    @property
    def exact(self) -> bool:
        """Whether both are the same to the last bit."""
        return not any(self.logit)


class Noise(msgspec.Struct, frozen=True):
    """What was measured along a path."""

    ways: tuple[Way, ...]
    steps: int
    pairs: tuple[Pair, ...]
    margins: tuple[tuple[float, ...], ...]
    """By way: the gap of its own top two at each step, nats."""
    ties: tuple[tuple[int, ...], ...]
    """By way: steps, from 0, at which its top two logits are the same."""

    def place(self, name: str) -> int:
        """The place of a way in the list of all."""
        return [way.name for way in self.ways].index(name)

    def pair(self, first: str, second: str) -> Pair:
        """The pair of two ways, named in their order."""
        places = self.place(first), self.place(second)
        return next(p for p in self.pairs if (p.first, p.second) == places)

    @property
    def sigma(self) -> float | None:
        """The noise of a gap (nats), from one pass against the stream; see `scale`."""
        return scale(self.pair(STREAMED, PREFILLED).gap)


def usual_ways(engine: Engine, prompt: Sequence[int], length: int) -> list[Way]:
    """The ways that are worth comparing on this model, the reference first.

    Args:
        length: tokens of the path after its prompt.
    """
    info = engine.info
    ways = [] if info.dtype == "float32" else [_reference()]
    ways += [Way(STREAMED), Way("token by token again"), Way(PREFILLED, stepwise=False)]
    if info.capabilities.batches and not info.borders.between(len(prompt), len(prompt) + length):
        for batch in (2, 8):
            others = mates(engine, prompt, length, batch - 1, seed=batch)
            name = f"batch of {batch}"
            ways.append(Way(name, Condition(Execution(others, row=batch // 2))))
    ways += [
        Way(kernel, Condition(Execution(attention=kernel)))
        for kernel in engine.bench.attentions[1:]
    ]
    return ways


def _reference() -> Way:
    return Way("float32, one pass", Condition(dtype="float32"), stepwise=False)


def measure(
    ids: Sequence[int],
    first: int,
    ways: Sequence[Way],
    engine_of: EngineOf,
    control: Control,
    report: Callable[[int, int], None],
) -> Noise | None:
    """Compute a path in every way, side by side, and compare; None where it was cancelled at once.

    Args:
        ids: the path; its last `LONGEST` steps are measured.
        first: tokens of it that come before the first step.
        report: told how many steps are done of how many.
    """
    first = max(first, len(ids) - LONGEST)
    total = len(ids) - first
    rows = []
    for way in ways:
        engine = engine_of(way.condition)
        if engine is None:
            return None
        rows.append(_rows(ids[:-1], first, way, engine, control))
    found = _Collected(len(ways))
    for done, step in enumerate(zip(*rows, strict=False), 1):
        found.add(step)
        report(done, total)
    return found.noise(ways) if found.steps else None


def _rows(
    ids: Sequence[int], first: int, way: Way, engine: Engine, control: Control
) -> Iterator[Row]:
    """The row of logits after ids[:first], ids[:first + 1], ...: f32, shape [V]."""
    wanted = first
    for done, logits in engine.bench.trace(
        ids, first, way.condition.execution, control, stepwise=way.stepwise
    ):
        for back in range(len(logits) - 1, -1, -1):
            if done - back == wanted:
                wanted += 1
                yield logits[len(logits) - 1 - back]


class _Collected:
    """Differences of all pairs of ways, growing step by step."""

    def __init__(self, ways: int) -> None:
        self.steps = 0
        self._pairs = list(combinations(range(ways), 2))
        self._figures: list[list[tuple[float, float, float, float]]] = [[] for _ in self._pairs]
        self._flips: list[list[int]] = [[] for _ in self._pairs]
        self._margins: list[list[float]] = [[] for _ in range(ways)]

    def add(self, rows: Sequence[Row]) -> None:
        """One step as every way computed it."""
        tops = [_top_two(row) for row in rows]
        sums = [_log_sum_exp(row) for row in rows]
        for margins, row, (a, b) in zip(self._margins, rows, tops, strict=True):
            margins.append(float(row[a]) - float(row[b]))
        for at, (i, j) in enumerate(self._pairs):
            with np.errstate(invalid="ignore"):
                difference = rows[j] - rows[i]
            difference = difference[np.isfinite(difference)]
            size, (a, b) = np.abs(difference), tops[i]
            gaps = [float(rows[n][a]) - float(rows[n][b]) for n in (i, j)]
            self._figures[at].append(
                (
                    float(size.max()),
                    float(np.median(size)),
                    float(np.abs(difference - (sums[j] - sums[i])).max()),
                    gaps[1] - gaps[0],
                )
            )
            if tops[i][0] != tops[j][0]:
                self._flips[at].append(self.steps)
        self.steps += 1

    def noise(self, ways: Sequence[Way]) -> Noise:
        pairs = []
        for (i, j), figures, flips in zip(self._pairs, self._figures, self._flips, strict=True):
            logit, median, logprob, gap = zip(*figures, strict=True)
            pairs.append(Pair(i, j, logit, median, logprob, gap, tuple(flips)))
        ties = (
            tuple(at for at, margin in enumerate(margins) if not margin)
            for margins in self._margins
        )
        return Noise(
            tuple(ways), self.steps, tuple(pairs), tuple(map(tuple, self._margins)), tuple(ties)
        )


def _top_two(row: Row) -> tuple[int, int]:
    """The first two ids in candidate order."""
    first = int(row.argmax())  # the lowest of equal ones
    rest = row.copy()
    rest[first] = -np.inf
    return first, int(rest.argmax())


def _log_sum_exp(row: Row) -> float:
    top = float(row.max())
    return top + float(np.log(np.exp(row - np.float32(top)).sum()))
