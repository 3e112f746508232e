"""What `tokexplore sweep --grid` writes: temperature against top-p, model by model."""

from collections.abc import Iterator, Sequence

from tokexplore.models.display import safe_text
from tokexplore.models.lab.grid import VALUES, Grid, finding
from tokexplore.tui.report.tables import aligned, csv_line

_SHADES = " ░▒▓█"


def table(grids: Sequence[Grid]) -> Iterator[str]:
    """Each model's figures and its heat map, then the finding in one sentence."""
    for grid in grids:
        yield safe_text(
            f"{grid.model} · {grid.steps:,} steps · mean entropy {grid.entropy:.4f} nats"
        )
        yield ""
        yield from _by_value(grid)
        yield ""
        yield from _heat(grid)
        yield ""
        yield _crossings(grid)
        yield ""
    if len(grids) > 1:
        yield from _side_by_side(grids)
        yield ""
    yield finding(grids)


def _side_by_side(grids: Sequence[Grid]) -> Iterator[str]:
    """Of each v the difference of the two in each model."""
    yield "mean entropy with T = v less that with top-p = v, nats (below 0: T moves it more):"
    rows = [("v", *(safe_text(grid.model) for grid in grids))]
    for at, value in enumerate(VALUES):
        points = [grid.by_value[at] for grid in grids]
        rows.append((f"{value:.1f}", *(f"{p.temperature - p.top_p:+.4f}" for p in points)))
    yield from aligned(rows, ">" * (1 + len(grids)))


def _by_value(grid: Grid) -> Iterator[str]:
    rows = [("v", "T = v: H", "top-p = v: H", "T moves more", "top-p moves more")]
    rows += [
        (
            f"{point.value:.1f}",
            f"{point.temperature:+.4f}",
            f"{point.top_p:+.4f}",
            f"{point.temperature_more:.0%} of steps",
            f"{point.top_p_more:.0%} of steps",
        )
        for point in grid.by_value
    ]
    yield "change of the mean entropy (nats):"
    yield from aligned(rows, ">>>>>")


def _heat(grid: Grid) -> Iterator[str]:
    """Mean entropy by T and top-p, shaded; cells of about half the model's entropy are marked."""
    yield "mean entropy (nats) by temperature (down) and top-p (across); = half of the model's:"
    top = max(max(row) for row in grid.heat) or 1.0
    near = _contour(grid)
    rows = [("T", *(f"{value:.1f}" for value in VALUES))]
    for at, (value, row) in enumerate(zip(VALUES, grid.heat, strict=True)):
        cells = [
            f"{'=' if (at, column) in near else ''}{entropy:.2f}"
            f"{_SHADES[min(len(_SHADES) - 1, int(entropy / top * len(_SHADES)))]}"
            for column, entropy in enumerate(row)
        ]
        rows.append((f"{value:.1f}", *cells))
    yield from aligned(rows, ">" * (len(VALUES) + 1))


def _contour(grid: Grid) -> set[tuple[int, int]]:
    """In each row that gets there, the cell whose entropy is nearest to half of the model's."""
    half = grid.entropy / 2
    found = set()
    for at, row in enumerate(grid.heat):
        if min(row) <= half <= max(row):
            found.add((at, min(range(len(row)), key=lambda column: abs(row[column] - half))))
    return found


def _crossings(grid: Grid) -> str:
    points = ", ".join(f"{v:.2f}" for v in grid.crossings)
    text = f"both move the mean entropy alike at v = {points}" if points else "they never cross"
    if grid.step_crossings is None:
        return text
    low, middle, high = grid.step_crossings
    return (
        f"{text}; {grid.crossing_share:.0%} of the steps cross, at a median v of {middle:.2f} "
        f"(quartiles {low:.2f} and {high:.2f})"
    )


def spreadsheet(grids: Sequence[Grid]) -> Iterator[str]:
    """A line for each value of each model."""
    yield csv_line(
        (
            "model", "steps", "model_entropy", "v", "temperature_change", "top_p_change",
            "temperature_more", "top_p_more",
        )
    )  # fmt: skip
    for grid in grids:
        for point in grid.by_value:
            yield csv_line(
                (
                    grid.model, grid.steps, grid.entropy, point.value, point.temperature,
                    point.top_p, point.temperature_more, point.top_p_more,
                )
            )  # fmt: skip
