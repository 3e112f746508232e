"""The logit lens in words and tables: what each layer's state says."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.api.interpreter import LayerReading, LensStep
from tokexplore.models.display import safe_text
from tokexplore.tui.report.diff_text import rank_text, small
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.tui.report.why_values import Asked, GridStep, Lensed
from tokexplore.widgets.numbers import logprob_text, percent

TITLE = "What each layer says (logit lens)"
_PLACES = ("most probable", "2nd", "3rd", "4th", "5th")
"""Heads of the columns of `LENS_TOP` tokens."""
_TOKEN = 12
"""Cells of a token in a table."""
_STEPS = 6
"""Steps of the grid beside each other."""


def lens_lines(asked: Asked, found: Lensed) -> Iterator[str]:
    """The table of the step that is asked about, and the grid of those before it."""
    yield TITLE
    if found.last is not None:
        yield from aligned(list(lens_table(asked, found.last)), lens_sides(asked, found.last))
    if len(found.grid) > 1 or found.last is None:
        yield from _grid(asked, found.grid)
    yield from lens_notes(asked, found)


def lens_table(asked: Asked, step: LensStep) -> Iterator[tuple[str, ...]]:
    """A head, and a row for each layer."""
    named = [cut(asked.vocabulary.show(each.token), _TOKEN) for each in asked.named]
    columns = [part for name in named for part in (f"logprob {name}", "rank")]
    yield ("layer", *_PLACES[: len(step.layers[0].top)], *columns, "entropy", "KL")
    for layer, reading in enumerate(step.layers):
        yield (str(layer), *_cells(asked, reading))


def lens_sides(asked: Asked, step: LensStep) -> str:
    """Of the columns of the table: `<` or `>` each."""
    return ">" + "<" * len(step.layers[0].top) + ">>" * len(asked.named) + ">>"


def lens_notes(asked: Asked, found: Lensed) -> Iterator[str]:
    """What was checked, what the figures are, and what they do not show."""
    if found.last is None:
        yield "It was stopped before the step after the prompt."
    yield (
        "Layer 0 is the embedding; entropy and KL(model's own distribution ‖ the layer's) in nats."
    )
    yield (
        "Check: the last layer, so read, gives the model's own logits to "
        f"{found.error:.2g} (largest |Δlogit|)."
    )
    if asked.tuned:
        yield safe_text(
            f"Read by the tuned lens in {asked.tuned}: its translators were trained to foresee "
            "what the last layer says, and know more than the layer does."
        )
    else:
        yield (
            "Every layer is read as if it were the last. Few models were trained for that: what "
            "early layers seem to say can mislead."
        )


def grid_rows(asked: Asked, grid: Sequence[GridStep]) -> Iterator[tuple[str, ...]]:
    """Layers by steps: where a step is, what the path goes on with there, and what each layer would
    have said, with its probability."""
    show = asked.vocabulary.show
    yield ("position", *(str(step.position) for step in grid))
    yield (
        "goes on",
        *("" if s.taken is None else cut(show(s.taken), _TOKEN) for s in grid),
    )
    for layer in range(len(grid[0].layers)):
        yield (str(layer), *(said(asked, *step.layers[layer]) for step in grid))


def said(asked: Asked, token: int, logprob: float) -> str:
    """A token and its probability."""
    return f"{cut(asked.vocabulary.show(token), _TOKEN)} {percent(math.exp(logprob))}"


def _grid(asked: Asked, grid: Sequence[GridStep]) -> Iterator[str]:
    for start in range(0, len(grid), _STEPS):
        steps = grid[start : start + _STEPS]
        yield ""
        yield from aligned(list(grid_rows(asked, steps)), ">" + "<" * len(steps))
    yield ""


def _cells(asked: Asked, reading: LayerReading) -> Iterator[str]:
    for each in reading.top:
        yield said(asked, each.token, each.logprob)
    for each in reading.asked:
        yield logprob_text(each.logprob)
        yield rank_text(each.rank)
    yield small(reading.entropy)
    yield small(reading.divergence)
