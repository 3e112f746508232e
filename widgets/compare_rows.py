"""Branches compared from their fork on: values, wrapping, and drawing as pure functions."""

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import NEWLINE, SPACE, TAB, safe_text
from tokexplore.widgets.branch_rows import end_mark
from tokexplore.widgets.cells import cut, cut_left, fit, line, width
from tokexplore.widgets.figures import count, logprob_text

MEETING_RUN = 8
"""Tokens that must be the same in a row before two texts are said to meet again."""
LIVE, MEETS = "▶", "═"
NARROWEST = 36
"""Cells that a column needs to stand beside others."""
RULE = " │ "
UNIT = "logprob since the fork, nats"

Mode = Literal["text", "tokens"]
"""`text` runs the tokens on and wraps them; `tokens` gives each its own line with its surprisal."""


class CompareCell(NamedTuple):
    """A token of a branch."""

    text: str
    """What it adds to the running text."""
    surprisal: float | None
    """Nats; None where it is not known."""
    level: int
    """Level of the heat ramp; below 0 for none."""


class CompareColumn(NamedTuple):
    """A branch from the fork on."""

    number: int
    name: str
    cells: Sequence[CompareCell]
    mean: float | None
    """Mean of the model's logprobs (nats) since the fork."""
    sum: float | None
    """Sum of the model's logprobs (nats) since the fork."""
    live: bool = False
    ended: str = ""


Meeting = tuple[int | None, ...]
"""For each column the index of the cell where it meets others again; None where it does not."""


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


class Line(NamedTuple):
    """A line of one column: `kind` and the cells from `first` to `last` (not included)."""

    kind: Literal["cells", "meets", "blank", "head", "numbers"]
    first: int = 0
    last: int = 0


Row = list[tuple[int, Line]]
"""The lines that stand side by side, each with the index of its column."""


@lru_cache(maxsize=8192)
def shown(text: str) -> str:
    """Running text on one line and safe: breaks as `⏎`, controls visible."""
    return safe_text(text.replace("\n", NEWLINE).replace("\t", TAB))


def meeting(
    a: Sequence[Hashable], b: Sequence[Hashable], run: int = MEETING_RUN
) -> tuple[int, int] | None:
    """Where two token sequences first run the same again for at least `run` tokens.

    Of all places the one that is earliest in `a`, then earliest in `b`, as indices of the first
    equal token; None where there is none. Every window of `run` tokens is hashed once: O(n).
    """
    places: dict[tuple[Hashable, ...], int] = {}
    for j in range(len(b) - run + 1):
        places.setdefault(tuple(b[j : j + run]), j)
    for i in range(len(a) - run + 1):
        found = places.get(tuple(a[i : i + run]))
        if found is not None:
            return i, found
    return None


class Wrapper:
    """Where the lines of a growing text begin; lines before the last word are never touched again.

    A word of several tokens goes to the next line whole. Wide characters (Chinese) begin a word
    each.
    """

    def __init__(self, cells: int, breaks: Sequence[int], mode: Mode) -> None:
        """Lines of `cells` cells, a new one at each index of `breaks` in any case."""
        self.key = (cells, tuple(breaks), mode)
        self.starts: list[int] = []
        """Index of the first token of each line."""
        self._cells, self._breaks, self._mode = cells, frozenset(breaks), mode
        self._used = 0
        self._word = 0
        """Index of the token that the last word begins with."""
        self._word_used = 0
        self._seen: list[CompareCell] = []

    def extend(self, tokens: Sequence[CompareCell]) -> bool:
        """Wrap what is new in `tokens`; False where they are not a continuation of the last ones.

        Only the last token seen is compared: a stream appends, and a change of path replaces
        the wrapper.
        """
        seen = self._seen
        if len(tokens) < len(seen) or (seen and tokens[len(seen) - 1] != seen[-1]):
            return False
        for index in range(len(seen), len(tokens)):
            self._add(index, shown(tokens[index].text))
            seen.append(tokens[index])
        return True

    def _add(self, index: int, text: str) -> None:
        wide = width(text)
        joined = bool(text) and text[0] != " " and cell_len(text[0]) == 1
        if self._must_begin(index):
            self._begin(index, width(_at_line_start(text)))
        elif self._used + wide <= self._cells:
            self._used += wide
        elif joined and self._word > self.starts[-1] and self._word_used + wide <= self._cells:
            self._begin(self._word, self._word_used + wide)
        else:
            self._begin(index, width(_at_line_start(text)))
        if joined and self._word >= self.starts[-1]:
            self._word_used += wide
        else:
            self._word, self._word_used = index, width(_at_line_start(text))

    def _must_begin(self, index: int) -> bool:
        return (
            not self.starts
            or self._mode == "tokens"
            or index in self._breaks
            or shown(self._seen[-1].text).endswith(NEWLINE)
        )

    def _begin(self, index: int, used: int) -> None:
        self.starts.append(index)
        self._used = used


def column_widths(cells: int, columns: int) -> list[int]:
    """Widths of columns side by side; a single full width where they must be stacked."""
    room = cells - 2 - len(RULE) * (columns - 1)
    if columns < 2 or room // columns < NARROWEST:
        return [max(1, cells - 2)]
    return [room // columns + (index < room % columns) for index in range(columns)]


def rows_of(
    columns: Sequence[CompareColumn],
    wrappers: Sequence[Wrapper],
    meets: Sequence[Meeting],
    *,
    stacked: bool,
) -> list[Row]:
    """The rows below the heads; where texts meet again, their lines are brought to one height."""
    lines = [
        _lines(wrapper, len(column.cells))
        for column, wrapper in zip(columns, wrappers, strict=True)
    ]
    if stacked:
        rows: list[Row] = []
        for index, column_lines in enumerate(lines):
            marked = _with_meetings(column_lines, [meet[index] for meet in meets])
            rows += [[(index, Line("head"))], [(index, Line("numbers"))]]
            rows += [[(index, one)] for one in marked] + [[(index, Line("blank"))]]
        return rows[:-1]
    aligned = _aligned(lines, meets)
    height = max(map(len, aligned), default=0)
    blank = Line("blank")
    return [
        [(c, own[y] if y < len(own) else blank) for c, own in enumerate(aligned)]
        for y in range(height)
    ]


def _lines(wrapper: Wrapper, total: int) -> list[Line]:
    ends = [*wrapper.starts[1:], total][: len(wrapper.starts)]
    return [Line("cells", first, last) for first, last in zip(wrapper.starts, ends, strict=True)]


def _with_meetings(lines: list[Line], indices: Sequence[int | None]) -> list[Line]:
    wanted = set(indices)
    marked: list[Line] = []
    for one in lines:
        if one.first in wanted:
            marked.append(Line("meets", one.first))
        marked.append(one)
    return marked


def _aligned(lines: list[list[Line]], meets: Sequence[Meeting]) -> list[list[Line]]:
    done: list[list[Line]] = [[] for _ in lines]
    at = [0] * len(lines)
    for meet in meets:
        members = [c for c, index in enumerate(meet) if index is not None]
        for c in members:
            while at[c] < len(lines[c]) and lines[c][at[c]].first < (meet[c] or 0):
                done[c].append(lines[c][at[c]])
                at[c] += 1
        height = max((len(done[c]) for c in members), default=0)
        for c in members:
            done[c] += [Line("blank")] * (height - len(done[c]))
            done[c].append(Line("meets", meet[c] or 0))
    return [own + rest[start:] for own, rest, start in zip(done, lines, at, strict=True)]


def shared_strip(text: str, tokens: int, cells: int, styles: CompareStyles) -> Strip:
    """The prefix that the branches share, folded to the end of its text."""
    label = f" shared {count(tokens)} {'token' if tokens == 1 else 'tokens'}  "
    unit = f"  {UNIT} " if cells >= 2 * len(UNIT) else ""
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
            return [Segment(fit(_numbers(column), cells), styles.muted)]
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


def _numbers(column: CompareColumn) -> str:
    parts = []
    if column.mean is not None:
        parts.append(f"mean {logprob_text(column.mean, digits=2)}")
    if column.sum is not None:
        parts.append(f"sum {logprob_text(column.sum, digits=2)}")
    number = len(column.cells)
    return " · ".join([*parts, f"{count(number)} {'token' if number == 1 else 'tokens'}"])


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
        text = cut(text if place else _at_line_start(text), free)
        lead = len(text) - len(text.lstrip(" "))
        segments.append(Segment(text[:lead], styles.base))
        segments.append(Segment(text[lead:], _heat(token.level, styles)))
        free -= width(text)
    segments.append(Segment(" " * free, styles.base))
    return segments


def _token_line(index: int, token: CompareCell, cells: int, styles: CompareStyles) -> list[Segment]:
    number = fit(str(index + 1), 5, "right")
    value = token.surprisal
    known = value is not None and not math.isnan(value)
    figure = fit(f"{value:.2f}" if known else "", 8, "right")
    text = cut(shown(token.text).replace(" ", SPACE), max(0, cells - 15))
    blank = " " * max(0, cells - 15 - width(text))
    return [
        Segment(f"{number}  ", styles.muted),
        Segment(text, _heat(token.level, styles)),
        Segment(blank + figure, styles.base),
    ]


def _heat(level: int, styles: CompareStyles) -> Style:
    return styles.heat[level] if 0 <= level < len(styles.heat) else styles.base


def _at_line_start(text: str) -> str:
    """A line does not begin with the space that parted its first word from the line above."""
    return text.lstrip(" ") or text
