"""Pictures of sweeps for papers and slides, drawn by matplotlib (the extra `plots`)."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.lab.continuations import summarise
from tokexplore.models.lab.grid import VALUES, Grid
from tokexplore.models.lab.sweep import Outcome

KINDS = (".svg", ".png", ".pdf")
_SIDE = 4.2
"""Inches of one panel."""
_SHOWN = 30
"""Tokens of a distribution that are drawn."""


def check_plot(file: str) -> None:
    """Refuse a picture that cannot be drawn, before anything is computed.

    Raises:
        UsageError: another kind of file, or matplotlib is not installed.
    """
    if Path(file).suffix.lower() not in KINDS:
        raise UsageError(f"--plot {file} is no picture that can be drawn: {', '.join(KINDS)}.")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'tokexplore[plots]'.")


def plot_sweep(outcomes: Sequence[tuple[str, Outcome]], file: str) -> None:
    """The sorted probabilities of each setting, and the curves of its continuations.

    Args:
        outcomes: with the names of their models.
    """
    figure, (shape, surprisal, entropy) = _panels(3)
    several = len({model for model, _ in outcomes}) > 1
    for model, outcome in outcomes:
        name = outcome.settings.short(with_seed=False)
        label = f"{model} {name}" if several else name
        if outcome.effect is not None:
            shares = list(outcome.effect.probability_view[:_SHOWN])
            shape.plot(range(1, len(shares) + 1), shares, marker=".", label=label)
        figures = summarise(outcome.runs)
        steps = range(1, len(figures.surprisal_curve) + 1)
        surprisal.plot(steps, figures.surprisal_curve, label=label)
        if figures.entropy_curve:
            entropy.plot(steps, figures.entropy_curve, label=label)
    _named(shape, "next token", "rank", "probability")
    _named(surprisal, "surprisal of the continuations", "step", "nats, the model's")
    _named(entropy, "entropy along the continuations", "step", "nats, the model's")
    _save(figure, file)


def plot_grids(grids: Sequence[Grid], file: str) -> None:
    """Of each model the change of the mean entropy by v, and its heat map of T and top-p."""
    figure, panels = _panels(2 * len(grids))
    for grid, change, heat in zip(grids, panels[::2], panels[1::2], strict=True):
        points = grid.by_value
        change.plot(VALUES, [p.temperature for p in points], marker="o", label="temperature = v")
        change.plot(VALUES, [p.top_p for p in points], marker="s", label="top-p = v")
        for v in grid.crossings:
            change.axvline(v, color="grey", linestyle=":")
        _named(change, f"{grid.model}, {grid.steps:,} steps", "v", "change of mean entropy, nats")
        image = heat.pcolormesh(VALUES, VALUES, grid.heat, shading="nearest")
        heat.contour(VALUES, VALUES, grid.heat, levels=6, colors="white", linewidths=0.8)
        figure.colorbar(image, ax=heat, label="mean entropy, nats")
        heat.set(title=grid.model, xlabel="top-p", ylabel="temperature")
    _save(figure, file)


def _panels(count: int) -> tuple[Any, Sequence[Any]]:
    """A figure with panels beside each other; nothing of it is shown on a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIDE * count, _SIDE), layout="constrained")
    return figure, figure.subplots(1, count)


def _named(panel: Any, title: str, across: str, up: str) -> None:
    panel.set(title=title, xlabel=across, ylabel=up)
    if panel.lines:
        panel.legend(fontsize="small")


def _save(figure: Any, file: str) -> None:
    try:
        figure.savefig(file)
    except OSError as error:
        raise UsageError(f"--plot {file} cannot be written: {reason_of(error)}.") from None
