"""The candidate table's values and their drawing: pure functions from values to strips."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import SPACE, safe_text
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cells import cut, fit, line, width
from tokexplore.widgets.figures import count, logprob_text, percent

CURSOR, TAKEN, FORK, SKIPPED, TIED = "›", "●", "┬", "┊", "="

ColumnSet = Literal["standard", "id", "text"]
"""`standard` shows what fits, `id` never leaves the id out, `text` leaves room for long tokens."""
COLUMN_SETS: tuple[ColumnSet, ...] = get_args(ColumnSet)


class CandidateRow(NamedTuple):
    """One candidate."""

    rank: int
    """1 + the number of strictly larger logits."""
    tied: bool
    """Whether another token has the same logit."""
    text: str
    """The token's display form."""
    special: bool
    id: int
    logprob: float
    """The model's raw logprob (nats)."""
    cumulative: float | None
    """The model's probability of this row and all rows above it; None leaves the cell empty."""
    sampler: float | None
    """The sampler's probability; None where it was cut or is not known."""
    cut: str = ""
    """What cut it (`p .75`, `k 40`); empty where it was kept."""
    tie: bool = False
    """The sampler's cut falls between this row and another one with the same logit."""
    taken: bool = False
    branches: tuple[int, ...] = ()
    """Numbers of the branches that have this token here."""


class CandidatePage(NamedTuple):
    """A run of rows in candidate order (or in the order of a search's hits)."""

    rows: Sequence[CandidateRow]
    first: int
    """Index of the first row, from 0."""
    total: int
    """How many rows there are in all: the vocabulary, or all hits."""
    rest_count: int
    """Rows after this page."""
    rest_mass: float | None
    """The model's probability of the rows after this page; None where it is not known."""
    top_logprob: float
    """Logprob (nats) of the most probable candidate: bars are scaled to it."""
    note: str = ""
    """Where the numbers come from, in a word or two: `live`, `recomputed`."""
    outside: CandidateRow | None = None
    """The taken token where it is not in this page."""
    step: int = 0
    """Which distribution this is a page of: the view of another one begins at its top."""


class Columns(NamedTuple):
    """Width of each column in cells; 0 leaves it out."""

    width: int
    rank: int
    token: int
    id: int
    logprob: int
    model: int
    bar: int
    cumulative: int
    sampler: int


class CandidateStyles(NamedTuple):
    """The colours of a row, background included."""

    base: Style
    head: Style
    here: Style
    """The cursor's mark."""
    taken: Style
    """The taken row's mark and token."""
    token: Style
    special: Style
    """Special tokens, so that a text that only looks like one is told apart."""
    fork: Style
    number: Style
    muted: Style
    bar: Style
    sampler: Style
    cut: Style
    cut_bar: Style

    def on(self, background: Style) -> "CandidateStyles":
        """The same colours on another background."""
        return CandidateStyles(*(style + background for style in self))


class Window(NamedTuple):
    """Which rows are on screen: `rows` of them from index `top`, and a taken row below them."""

    top: int
    rows: int
    pinned: CandidateRow | None


# Columns in the order in which they are let in: name, cost in cells with the gap before it,
# and the cells that the token (and the bar, once there is one) must still have then.
_ADMISSION: dict[ColumnSet, tuple[tuple[str, int, int], ...]] = {
    "standard": (
        ("model", 8, 8),
        ("sampler", 11, 10),
        ("logprob", 11, 10),
        ("bar", 8, 12),
        ("cumulative", 8, 15),
        ("id", 8, 19),
    ),
    "id": (
        ("model", 8, 8),
        ("id", 8, 8),
        ("sampler", 11, 8),
        ("logprob", 11, 8),
        ("bar", 8, 12),
        ("cumulative", 8, 15),
    ),
    "text": (("model", 8, 8), ("sampler", 11, 16), ("logprob", 11, 24)),
}
_GAP = 2
_PIN_FROM = 3  # lines; in fewer a pinned row would leave too little of the order itself
_WIDEST_BAR = 72
_SHORTEST_TOKEN, _TOKEN, _WIDEST_TOKEN = 12, 26, 40


@lru_cache(maxsize=64)
def columns_for(cells: int, column_set: ColumnSet = "standard", rank_digits: int = 4) -> Columns:
    """Column widths that fill `cells` cells: what matters least is left out first."""
    rank = max(2, rank_digits) + 1
    free = cells - 2 - rank - 1 - 1
    cost: dict[str, int] = {}
    for name, need, spare in _ADMISSION[column_set]:
        if free - need < spare:
            break
        cost[name] = need - _GAP
        free -= need
    token = free
    if "bar" in cost:
        token = min(free, _TOKEN, _SHORTEST_TOKEN + max(0, free - _SHORTEST_TOKEN) * 2 // 5)
        longer = min(free - token, _WIDEST_BAR - cost["bar"])
        cost["bar"] += longer
        token = min(free - longer, _WIDEST_TOKEN)
    return Columns(
        cells,
        rank,
        max(0, token),
        *(cost.get(name, 0) for name in ("id", "logprob", "model", "bar", "cumulative", "sampler")),
    )


def next_column_set(current: ColumnSet, cells: int, rank_digits: int = 4) -> ColumnSet:
    """The next set of columns that looks different at this width; `current` where none does."""
    here = columns_for(cells, current, rank_digits)
    at = COLUMN_SETS.index(current)
    order = COLUMN_SETS[at + 1 :] + COLUMN_SETS[:at]
    return next((s for s in order if columns_for(cells, s, rank_digits) != here), current)


def rank_digits(page: CandidatePage) -> int:
    """Digits that the rank column needs, steady while a page of one vocabulary is shown."""
    highest = max((row.rank for row in (*page.rows[-1:], page.outside) if row), default=0)
    return len(str(max(page.total, highest)))


def window_of(page: CandidatePage, cursor: int, top: int, height: int) -> Window:
    """The rows to show in `height` lines so that `cursor` is among them, moving as little as
    possible from `top`.

    A taken row further down gets the last line, below the rest; a cursor on it is seen there, so
    the view does not leave the most probable rows for it.
    """
    on_taken = (row := row_at(page, cursor)) is not None and row.taken
    pin = height >= _PIN_FROM and on_taken and cursor >= top + height
    follow = min(max(0, top), max(0, page.total - height)) if pin else cursor
    fitted = _fitted(page.total, follow, top, height)
    pinned = _taken_below(page, fitted + height)
    if pinned is None or height < _PIN_FROM:
        return Window(fitted, min(height, page.total - fitted), None)
    fitted = _fitted(page.total, follow, top, height - 1)
    return Window(fitted, min(height - 1, page.total - fitted), pinned)


def row_at(page: CandidatePage, index: int) -> CandidateRow | None:
    """The row at an index of the candidate order; None where the page does not have it."""
    at = index - page.first
    return page.rows[at] if 0 <= at < len(page.rows) else None


def _fitted(total: int, cursor: int, top: int, height: int) -> int:
    if cursor < top:
        top = cursor
    elif cursor >= top + height:
        top = cursor - height + 1
    return max(0, min(top, total - height))


def _taken_below(page: CandidatePage, end: int) -> CandidateRow | None:
    if page.outside is not None:
        return page.outside if page.outside.rank > end else None
    first = max(0, end - page.first)
    return next((row for row in page.rows[first:] if row.taken), None)


def rest_of(page: CandidatePage, window: Window) -> tuple[int, float | None]:
    """Number and mass of the rows below the window, the pinned row left out."""
    end = window.top + window.rows
    below = page.rows[max(0, end - page.first) :]
    number = page.rest_count + len(below) - (window.pinned is not None)
    if page.rest_mass is None or page.first > end:
        return number, None
    mass = page.rest_mass + math.fsum(math.exp(row.logprob) for row in below)
    if window.pinned is not None:
        mass -= math.exp(window.pinned.logprob)
    return number, max(0.0, mass)


def head_strip(columns: Columns, note: str, styles: CandidateStyles, *, bits: bool) -> Strip:
    """The line of column names; the note stands over the bars, or after the last name."""
    parts = [" " * 2, "#".rjust(columns.rank - 1), "  ", "token".ljust(columns.token)]
    parts += [_right("id", columns.id), _right("bits" if bits else "logprob", columns.logprob)]
    parts += [_right("model", columns.model)]
    if columns.bar:
        parts.append(" " * _GAP + fit(note, columns.bar))
    parts += [_right("cum", columns.cumulative), _right("sampler", columns.sampler)]
    return line([Segment("".join(parts), styles.head)], columns.width, styles.base)


def row_strip(
    row: CandidateRow,
    columns: Columns,
    top_logprob: float,
    styles: CandidateStyles,
    *,
    cursor: bool,
    bits: bool,
) -> Strip:
    """One candidate; `styles` carry the cursor's background already."""
    number, muted = (styles.cut, styles.cut) if row.cut else (styles.number, styles.muted)
    rank = f"{row.rank}".rjust(columns.rank - 1) + (TIED if row.tied else " ")
    segments = [
        Segment(CURSOR if cursor else " ", styles.here),
        Segment(TAKEN if row.taken else " ", styles.taken),
        Segment(rank + " ", muted),
        *_token_segments(row, columns.token, styles),
        Segment(_right(str(row.id), columns.id), muted),
        Segment(
            _right(logprob_text(row.logprob, bits=bits), columns.logprob)
            + _right(percent(math.exp(row.logprob)), columns.model),
            number,
        ),
    ]
    if columns.bar:
        share = math.exp(row.logprob - top_logprob) if row.logprob > -math.inf else 0.0
        style = styles.cut_bar if row.cut else styles.bar
        segments.append(Segment(" " * _GAP + bar(share, columns.bar), style))
    if columns.cumulative:
        text = "" if row.cumulative is None else percent(row.cumulative)
        segments.append(Segment(_right(text, columns.cumulative), muted))
    if columns.sampler:
        style = styles.cut if row.cut else styles.sampler
        segments.append(
            Segment(_right(_sampler_text(row, columns.sampler), columns.sampler), style)
        )
    return line(segments, columns.width, styles.base)


def rest_strip(
    columns: Columns,
    number: int,
    mass: float | None,
    note: str,
    styles: CandidateStyles,
    *,
    skipped: bool = False,
) -> Strip:
    """How many rows are not shown, and their probability together; the last line, but for a
    taken row far down, which it is `skipped` to.

    The note stands at its end where there are no bars for it to stand over.
    """
    before = columns.token + _span(columns.id) + _span(columns.logprob)
    text = "  " + fit(SKIPPED if skipped else "", columns.rank - 1, "right") + "  "
    text += fit(f"{count(number)} more" if number else "", before)
    text += _right("" if mass is None or not number else percent(mass), columns.model)
    if not columns.bar:
        text += fit(note, columns.width - width(text) - 1, "right")
    return line([Segment(text, styles.muted)], columns.width, styles.base)


def message_strip(cells: int, text: str, style: Style) -> Strip:
    """A line of plain words where there are no rows."""
    return line([Segment("  " + safe_text(text), style)], cells, style)


def _token_segments(row: CandidateRow, room: int, styles: CandidateStyles) -> list[Segment]:
    mark = _branch_mark(row.branches, max(0, room - 6))
    text = cut(safe_text(row.text), room - len(mark))
    if row.taken:
        style = styles.taken
    elif row.special:
        style = styles.special
    else:
        style = styles.cut if row.cut else styles.token
    lead = len(text) - len(text.lstrip(SPACE)) if style is styles.token else 0
    blank = " " * (room - width(text) - len(mark))
    return [
        Segment(text[:lead], styles.muted),
        Segment(text[lead:], style),
        Segment(mark, styles.fork),
        Segment(blank, styles.base),
    ]


def _branch_mark(branches: tuple[int, ...], room: int) -> str:
    """` ┬2,5`, shortened to ` ┬2+1` and then to ` ┬` where there is no room."""
    if not branches:
        return ""
    forms = [f" {FORK}{','.join(map(str, branches))}", f" {FORK}"]
    if len(branches) > 1:
        forms.insert(1, f" {FORK}{branches[0]}+{len(branches) - 1}")
    return next((form for form in forms if len(form) <= room), "")


def _sampler_text(row: CandidateRow, room: int) -> str:
    text = row.cut or ("" if row.sampler is None else percent(row.sampler))
    if not row.tie:
        return text
    return f"{text} tie" if len(text) + 4 <= room else f"{text}{TIED}"


def _right(text: str, cells: int) -> str:
    """Text at the right of a column, with the gap before it; nothing where the column is out."""
    return " " * _GAP + fit(text, cells, "right") if cells else ""


def _span(cells: int) -> int:
    return cells + _GAP if cells else 0
