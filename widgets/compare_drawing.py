"""Drawing branches side by side: pure functions from values to strips of an exact width."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import SPACE, counted, safe_text
from tokexplore.widgets.branch_rows import LIVE, end_mark
from tokexplore.widgets.cell_text import cut, cut_left, fit, line, width
from tokexplore.widgets.compare_rows import (
    MEETING_RUN,
    RULE,
    CompareCell,
    CompareColumn,
    Line,
    Mode,
    Row,
    at_line_start,
    shown,
)
from tokexplore.widgets.numbers import logprob_text

MEETS = "═"
UNIT = "logprob since the fork, nats"
LEAVES_OUT = "logprob generated since the fork, nats"
"""Where a text has prompt after the fork."""
PROMPT_TOKEN = "^"


class CompareStyles(NamedTuple):
    """The colours of the comparison, background included."""

    base: Style
    muted: Style
    rule: Style
    head: Style
    live: Style
    meets: Style
    heat: tuple[Style, ...]
    """One for each level of the heat ramp."""


def shared_strip(
    text: str, tokens: int, columns: Sequence[CompareColumn], cells: int, styles: CompareStyles
) -> Strip:
    """The prefix that the branches share, folded to the end of its text, and the figures' unit."""
    label = f" shared {counted(tokens, 'token')}  "
    unit = LEAVES_OUT if any(column.given for column in columns) else UNIT
    unit = f"  {unit} " if cells >= 2 * len(unit) else ""
    room = max(0, cells - width(label) - width(unit))
    end = fit(cut_left(shown(text), room), room)
    return line(
        [Segment(label, styles.muted), Segment(end, styles.base), Segment(unit, styles.muted)],
        cells,
        styles.base,
    )


def row_strip(
    row: Row,
    columns: Sequence[CompareColumn],
    widths: Sequence[int],
    mode: Mode,
    cells: int,
    styles: CompareStyles,
) -> Strip:
    """One row of the comparison in exactly `cells` cells."""
    segments = [Segment(" ", styles.base)]
    for place, (index, one) in enumerate(row):
        if place:
            segments.append(Segment(RULE, styles.rule))
        segments += line_segments(one, columns[index], widths[place], mode, styles)
    return line(segments, cells, styles.base)


def line_segments(
    one: Line, column: CompareColumn, cells: int, mode: Mode, styles: CompareStyles
) -> list[Segment]:
    """One line of one column in exactly `cells` cells."""
    match one.kind:
        case "head":
            return _head(column, cells, styles)
        case "numbers":
            return [Segment(fit(_numbers(column, cells), cells), styles.muted)]
        case "meets":
            return _meets(column, one.first, cells, styles)
        case "blank":
            return [Segment(" " * cells, styles.base)]
        case "cells" if mode == "tokens":
            return _token_line(one.first, column.cells[one.first], cells, styles)
        case "cells":
            return _text_line(column.cells[one.first : one.last], cells, styles)


def _head(column: CompareColumn, cells: int, styles: CompareStyles) -> list[Segment]:
    state = LIVE if column.live else end_mark(column.ended) if column.ended else ""
    title = cut(
        f"{column.number} {safe_text(column.name)}".rstrip(), max(0, cells - width(state) - 1)
    )
    blank = " " * max(0, cells - width(title) - width(state))
    state_style = styles.live if column.live else styles.muted
    return [
        Segment(title, styles.head),
        Segment(blank, styles.base),
        Segment(cut(state, cells), state_style),
    ]


def _numbers(column: CompareColumn, cells: int) -> str:
    """The column's figures, as many as fit whole: what they are not of goes first, then the sum."""
    size = [column.size]
    mean, total = (
        [] if value is None else [f"{name} {logprob_text(value, digits=2)}"]
        for name, value in (("mean", column.mean), ("sum", column.sum))
    )
    forms = (
        [*mean, *total, *size, *column.left_out], [*mean, *total, *size], [*mean, *size],
        [*mean, column.size.removesuffix(" tokens")], size,
    )  # fmt: skip
    return next((form for form in map(" · ".join, forms) if width(form) <= cells), "")


def _meets(column: CompareColumn, first: int, cells: int, styles: CompareStyles) -> list[Segment]:
    text = "".join(shown(cell.text) for cell in column.cells[first : first + MEETING_RUN]).strip()
    words = cut(f"{MEETS} meets again: “{text}…” ", cells)
    rest = MEETS * max(0, cells - width(words))
    return [Segment(words, styles.meets), Segment(rest, styles.rule)]


def _text_line(tokens: Sequence[CompareCell], cells: int, styles: CompareStyles) -> list[Segment]:
    segments: list[Segment] = []
    free = cells
    for place, token in enumerate(tokens):
        text = shown(token.text)
        text = cut(text if place else at_line_start(text), free)
        lead = len(text) - len(text.lstrip(" "))
        segments.append(Segment(text[:lead], styles.base))
        segments.append(Segment(text[lead:], _heat(token.level, styles)))
        free -= width(text)
    segments.append(Segment(" " * free, styles.base))
    return segments


def _token_line(index: int, token: CompareCell, cells: int, styles: CompareStyles) -> list[Segment]:
    number = fit(str(index + 1), 5, "right") + (PROMPT_TOKEN if token.given else " ")
    value = token.surprisal
    has_value = value is not None and not math.isnan(value)
    figure = fit(f"{value:.2f}" if has_value else "", 8, "right")
    text = cut(shown(token.text).replace(" ", SPACE), max(0, cells - 15))
    blank = " " * max(0, cells - 15 - width(text))
    return [
        Segment(f"{number} ", styles.muted),
        Segment(text, _heat(token.level, styles)),
        Segment(blank + figure, styles.base),
    ]


def _heat(level: int, styles: CompareStyles) -> Style:
    return styles.heat[level] if 0 <= level < len(styles.heat) else styles.base
