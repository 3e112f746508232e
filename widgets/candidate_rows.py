"""The candidate table's values, and which rows and columns of them fit."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

ColumnSet = Literal["standard", "id", "text"]
"""`standard` shows what fits, `id` never leaves the id out, `text` leaves room for long tokens."""
COLUMN_SETS: tuple[ColumnSet, ...] = get_args(ColumnSet)


class CandidateRow(NamedTuple):
    """One candidate."""

    rank: int
    """1 + the number of strictly larger logits; 0 where it is not known."""
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
    sampler_high: float | None = None
    """Where only bounds of it are known: the upper one, `sampler` being the lower one."""
    character: str = ""
    """What the token begins or makes here, where it holds a character only in part."""
    second: float | None = None
    """A second model's logprob (nats); None where it is not known."""
    chosen: bool = False
    """Whether it is the second model's most probable token."""
    for_futures: bool = False
    """Whether the user chose it for the futures of the step."""

    @property
    def delta(self) -> float | None:
        """The second model's logprob less the first one's (nats); 0 where both hold it
        impossible."""
        if self.second is None:
            return None
        return 0.0 if self.second == self.logprob else self.second - self.logprob


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
    rest_words: str = "more"
    """What is said of the number of rows after this page."""
    second: bool = False
    """Whether a second model reads along."""
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
    second: int
    delta: int


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
_BESIDE = (("model", 8, 8), ("second", 8, 8), ("delta", 9, 8))
"""What comes before all others where a second model reads along."""
GAP = 2
_PIN_FROM = 3  # lines; in fewer a pinned row would leave too little of the order itself
_WIDEST_BAR = 72
_SHORTEST_TOKEN, _TOKEN, _WIDEST_TOKEN = 12, 26, 40


@lru_cache(maxsize=64)
def columns_for(
    cells: int,
    column_set: ColumnSet = "standard",
    rank_digits: int = 4,
    *,
    second: bool = False,
) -> Columns:
    """Column widths that fill `cells` cells: what matters least is left out first."""
    rank = max(len("rank"), rank_digits) + 1
    free = cells - 2 - rank - 1 - 1
    cost: dict[str, int] = {}
    order = _ADMISSION[column_set]
    if second:
        order = (*_BESIDE, *(one for one in order if one[0] != "model"))
    for name, need, spare in order:
        if free - need < spare:
            break
        cost[name] = need - GAP
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
        *(cost.get(name, 0) for name in Columns._fields[3:]),
    )


def next_column_set(
    current: ColumnSet, cells: int, rank_digits: int = 4, *, second: bool = False
) -> ColumnSet:
    """The next set of columns that looks different at this width; `current` where none does."""
    at = COLUMN_SETS.index(current)
    order = COLUMN_SETS[at + 1 :] + COLUMN_SETS[:at]
    looks = {s: columns_for(cells, s, rank_digits, second=second) for s in COLUMN_SETS}
    return next((s for s in order if looks[s] != looks[current]), current)


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
        return page.outside if page.outside.rank > end or not page.outside.rank else None
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
