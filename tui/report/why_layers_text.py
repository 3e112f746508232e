"""What each layer did to a choice between two tokens, in words and a table."""

import math
from collections.abc import Iterator
from typing import Literal

from tokexplore.models.api.interpreter import LogitSplit, Part
from tokexplore.models.display import safe_text
from tokexplore.tui.report.diff_text import small
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.tui.report.why_values import Asked
from tokexplore.widgets.bars import from_middle
from tokexplore.widgets.numbers import logprob_text

Order = Literal["layer", "size"]
BAR = 25
"""Cells of a bar."""
_TOKEN = 14


def layers_lines(asked: Asked, split: LogitSplit, order: Order) -> Iterator[str]:
    """A row for each part, with a bar, and the check."""
    yield layers_title(asked, split)
    largest = largest_difference(split)
    head, *rows = layers_table(asked, split, order)
    bars = [
        from_middle(part.difference / largest if largest else 0.0, BAR)
        for part in in_order(split, order)
    ]
    table = [(*head, ""), *((*row, bar) for row, bar in zip(rows, bars, strict=True))]
    yield from aligned(table, "<>>><")
    yield from layers_notes(split)


def layers_title(asked: Asked, split: LogitSplit) -> str:
    """Which difference is split."""
    one, other = (asked.vocabulary.show(token) for token in split.tokens)
    return f"What each part added to logit({one}) − logit({other})"


def layers_table(asked: Asked, split: LogitSplit, order: Order) -> Iterator[tuple[str, ...]]:
    """A head, and a row for each part: its name, what it adds to the difference and to each
    logit."""
    names = (cut(asked.vocabulary.show(token), _TOKEN) for token in split.tokens)
    yield ("part", "difference", *(f"logit {name}" for name in names))
    for part in in_order(split, order):
        figures = (part.difference, *part.logits)
        yield (part_name(part), *(signed(figure) for figure in figures))


def in_order(split: LogitSplit, order: Order) -> list[Part]:
    """The parts as they are added up, or the largest difference first."""
    if order == "layer":
        return list(split.parts)
    return sorted(split.parts, key=lambda part: -abs(part.difference))


def largest_difference(split: LogitSplit) -> float:
    """Of one part, without its sign."""
    return max((abs(part.difference) for part in split.parts), default=0.0)


def part_name(part: Part) -> str:
    """A part in words: `layer 3 attention, head 2`."""
    kind = part.name or part.kind if part.kind == "other" else _WORDS.get(part.kind, part.kind)
    name = f"layer {part.layer} {kind}" if part.layer else kind
    return safe_text(name if part.head is None else f"{name}, head {part.head}")


_WORDS = {"mlp": "MLP", "bias": "bias of norm and head"}


def layers_notes(split: LogitSplit) -> Iterator[str]:
    """The check, and what the split does not show."""
    yield (
        f"Check: the parts add up to {signed(split.total)}; the model's difference is "
        f"{signed(split.difference)}, of logits {signed(split.logits[0])} and "
        f"{signed(split.logits[1])}: {split.error:.2g} apart."
    )
    if split.slope != 1.0:
        yield (
            f"A scale or soft cap after the head made {small(split.slope)} of each unit of "
            "difference; the parts are told with it."
        )
    yield (
        "The final norm is held as it was at this step: the parts say what was added, not what "
        "the model would say without one of them, nor what a part did through later ones."
    )


def signed(value: float) -> str:
    """A figure with its sign and four decimals, in powers of ten where that would be zero."""
    size = "∞" if math.isinf(value) else logprob_text(abs(value))
    return f"{'−' if value < 0 else '+'}{size}"
