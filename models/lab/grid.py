"""Which moves the entropy more at the same value v: temperature = v, or top-p = v?

Every step of a text is asked: the model's distribution there has the entropy H; with T = v it is
H(T), with top-p = v (at T = 1) it is H(p). Both are lower than H for v < 1.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean, median

import msgspec

from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.sampling.settings import SamplingSettings

VALUES = tuple(round(0.1 * n, 1) for n in range(1, 11))
"""v, and the axes of the grid of T x top-p."""
_SAME = 1e-9


class ByValue(msgspec.Struct, frozen=True):
    """One v over all steps of a text."""

    value: float
    temperature: float
    """Mean of H(T = v) - H, nats."""
    top_p: float
    """Mean of H(top-p = v) - H, nats."""
    temperature_more: float
    """Share of the steps where the temperature moves the entropy more."""
    top_p_more: float
    """Share of the steps where top-p does; the rest are moved alike."""


class Grid(msgspec.Struct, frozen=True):
    """What one model says about one text."""

    model: str
    steps: int
    entropy: float
    """Mean of H, nats."""
    by_value: tuple[ByValue, ...]
    heat: tuple[tuple[float, ...], ...]
    """Mean entropy (nats) by temperature (rows) and top-p (columns), both `VALUES`."""
    crossings: tuple[float, ...]
    """Every v between 0.1 and 0.9 at which both move the mean entropy alike."""
    step_crossings: tuple[float, float, float] | None
    """Quartiles of the v at which single steps cross, over all their crossings."""
    crossing_share: float
    """Share of the steps that cross at all."""


def positions(length: int, most: int) -> list[int]:
    """The steps of a text of so many tokens that are asked: at most `most`, evenly spread."""
    every = list(range(1, length))
    if most <= 0 or len(every) <= most:
        return every
    return [every[round(at * (len(every) - 1) / max(1, most - 1))] for at in range(most)]


def grid(
    engine: Engine,
    ids: Sequence[int],
    steps: Sequence[int],
    control: Control,
    report: Callable[[int], None],
) -> Grid | None:
    """Ask every step of a text; those done where it is cancelled, None where none is.

    Args:
        ids: the text.
        steps: how many tokens of it stand before each step.
        report: told how many steps are done.
    """
    settings = [SamplingSettings(t, top_p=p) for t in VALUES for p in VALUES]
    base: list[float] = []
    tables: list[list[float]] = []
    for done, length in enumerate(steps, 1):
        effects = engine.effects(tuple(ids[:length]), settings, length)
        base.append(effects[0].model_entropy)
        tables.append([effect.entropy for effect in effects])
        report(done)
        if control.cancelled:
            break
    return summary(engine.info.name, base, tables) if base else None


def summary(model: str, base: Sequence[float], tables: Sequence[Sequence[float]]) -> Grid:
    """The figures of some steps.

    Args:
        base: H of each step.
        tables: of each step, H by temperature (rows) and top-p, flat; shape [steps, 100].
    """
    size, last = len(VALUES), len(VALUES) - 1
    by_t = [[table[row * size + last] for row in range(size)] for table in tables]
    by_p = [[table[last * size + column] for column in range(size)] for table in tables]
    differences = [
        [(t - h) - (p - h) for t, p in zip(ts, ps, strict=True)]
        for h, ts, ps in zip(base, by_t, by_p, strict=True)
    ]
    points = []
    for at, value in enumerate(VALUES):
        moved = [d[at] for d in differences]
        points.append(
            ByValue(
                value,
                fmean([ts[at] - h for h, ts in zip(base, by_t, strict=True)]),
                fmean([ps[at] - h for h, ps in zip(base, by_p, strict=True)]),
                fmean([d < -_SAME for d in moved]),
                fmean([d > _SAME for d in moved]),
            )
        )
    single = [crossings(each) for each in differences]
    every = [v for found in single for v in found]
    return Grid(
        model=model,
        steps=len(base),
        entropy=fmean(base),
        by_value=tuple(points),
        heat=tuple(
            tuple(fmean([table[row * size + column] for table in tables]) for column in range(size))
            for row in range(size)
        ),
        crossings=crossings([fmean([d[at] for d in differences]) for at in range(size)]),
        step_crossings=_quartiles(every) if every else None,
        crossing_share=fmean([bool(found) for found in single]),
    )


def crossings(differences: Sequence[float]) -> tuple[float, ...]:
    """Every v from 0.1 to 0.9 at which a difference changes its sign, by linear interpolation.

    At v = 1 both do nothing: it does not count.
    """
    found = []
    inner = list(zip(VALUES, differences, strict=True))[:-1]
    for (v, d), (w, e) in pairwise(inner):
        if (d < -_SAME and e > _SAME) or (d > _SAME and e < -_SAME):
            found.append(v + (w - v) * d / (d - e))
    return tuple(found)


def finding(grids: Sequence[Grid]) -> str:
    """One sentence: at which v which of the two moves the entropy more, and how far that holds."""
    inner = len(VALUES) - 1
    lower = [
        [grid.by_value[at].temperature - grid.by_value[at].top_p for grid in grids]
        for at in range(inner)
    ]
    by_t = [VALUES[at] for at in range(inner) if all(d < 0 for d in lower[at])]
    by_p = [VALUES[at] for at in range(inner) if all(d > 0 for d in lower[at])]
    split = [v for v in VALUES[:inner] if v not in by_t and v not in by_p]
    parts = [
        f"{name} lowers the mean entropy more at v = {ranges(values)}"
        for name, values in (("the temperature", by_t), ("top-p", by_p))
        if values
    ]
    if split:
        parts.append(f"the models differ at v = {ranges(split)}")
    shares = [point.top_p_more for grid in grids for point in grid.by_value[:inner]]
    points = sorted(v for grid in grids for v in grid.crossings)
    at = f", crossing at {', '.join(f'{v:.2f}' for v in points)}" if points else ", never crossing"
    models = "1 model" if len(grids) == 1 else f"{len(grids)} models"
    return (
        f"Over {sum(grid.steps for grid in grids):,} steps of {models}, at the same v: "
        f"{'; '.join(parts)}{at}; of single steps, top-p moves it more at {min(shares):.0%} to "
        f"{max(shares):.0%}, depending on v."
    )


def ranges(values: Sequence[float]) -> str:
    """Values of the grid in a few characters: `0.1–0.3, 0.7`."""
    runs: list[list[float]] = []
    for value in values:
        if runs and round(value - runs[-1][-1], 6) == 0.1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{r[0]:.1f}" if len(r) == 1 else f"{r[0]:.1f}–{r[-1]:.1f}" for r in runs)


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    middle = len(ordered) // 2
    low, high = ordered[: max(1, middle)], ordered[-max(1, middle) :]
    return median(low), median(ordered), median(high)
