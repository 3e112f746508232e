"""Drawing the candidate table: pure functions from values to strips of an exact width."""

import math
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import SPACE, safe_text
from tokexplore.widgets.bars import bar, from_middle
from tokexplore.widgets.candidate_rows import GAP, CandidateRow, Columns
from tokexplore.widgets.cell_text import cut, cut_whole, fit, line, width
from tokexplore.widgets.numbers import count, logprob_text, percent, unit_of

CURSOR, TAKEN, FORK, SKIPPED, TIED = "›", "●", "┬", "┊", "="
CHOSEN = "◇"
"""Marks the second model's most probable token where it was not taken."""
FOR_FUTURES = "+"
"""Marks a row that the futures begin with, in the gap before the token."""
WIDEST = 2.0
"""Nats at which the bar of a difference is full."""
_SHORTEST_CHARACTER = 5
"""Cells of what a token leads to that say anything: ` = 你`."""


class CandidateStyles(NamedTuple):
    """The colours of a row, background included."""

    base: Style
    head: Style
    here: Style
    """The marks of the cursor and of rows that the user chose."""
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
    less: Style
    """What the second model holds less probable."""
    more: Style

    def on(self, background: Style) -> "CandidateStyles":
        """The same colours on another background."""
        return CandidateStyles(*(style + background for style in self))


def head_strip(columns: Columns, note: str, styles: CandidateStyles, *, bits: bool) -> Strip:
    """The line of column names; the note stands over the bars, or after the last name."""
    parts = [" " * 2, "rank".rjust(columns.rank - 1), "  ", "token".ljust(columns.token)]
    parts += [_right("id", columns.id), _right("bits" if bits else "logprob", columns.logprob)]
    parts += [_right("model", columns.model), _right("second", columns.second)]
    parts += [_right("Δ bits" if bits else "Δ nats", columns.delta)]
    if columns.bar:
        parts.append(" " * GAP + fit(note, columns.bar))
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
    rank = str(row.rank or "?").rjust(columns.rank - 1) + (TIED if row.tied else " ")
    segments = [
        Segment(CURSOR if cursor else " ", styles.here),
        Segment(TAKEN if row.taken else CHOSEN if row.chosen else " ", styles.taken),
        Segment(rank, muted),
        Segment(FOR_FUTURES if row.for_futures else " ", styles.here),
        *_token_segments(row, columns.token, styles),
        Segment(_right(str(row.id), columns.id), muted),
        Segment(
            _right(logprob_text(row.logprob, bits=bits), columns.logprob)
            + _right(percent(math.exp(row.logprob)), columns.model),
            number,
        ),
    ]
    if columns.second:
        segments += _beside_segments(row, columns, styles, bits=bits)
    if columns.bar and columns.second:
        style = styles.more if (row.delta or 0.0) > 0 else styles.less
        segments.append(Segment(" " * GAP + from_middle(_share_of(row), columns.bar), style))
    elif columns.bar:
        share = math.exp(row.logprob - top_logprob) if row.logprob > -math.inf else 0.0
        style = styles.cut_bar if row.cut else styles.bar
        segments.append(Segment(" " * GAP + bar(share, columns.bar), style))
    if columns.cumulative:
        text = "" if row.cumulative is None else percent(row.cumulative)
        segments.append(Segment(_right(text, columns.cumulative), muted))
    if columns.sampler:
        style = styles.cut if row.cut else styles.sampler
        segments.append(
            Segment(_right(_sampler_text(row, columns.sampler), columns.sampler), style)
        )
    return line(segments, columns.width, styles.base)


def _beside_segments(
    row: CandidateRow, columns: Columns, styles: CandidateStyles, *, bits: bool
) -> list[Segment]:
    """What a second model says of the row, and by how much it differs; blank is not known."""
    second, delta = "", ""
    if row.second is not None and row.delta is not None:
        second, delta = percent(math.exp(min(0.0, row.second))), _signed(row.delta, bits=bits)
    style = styles.more if (row.delta or 0.0) > 0 else styles.less
    known = styles.cut if row.cut else styles.number
    parts = [Segment(_right(second, columns.second), known)]
    return [*parts, Segment(_right(delta, columns.delta), style)]


def _signed(nats: float, *, bits: bool) -> str:
    """A difference of logprobs with its sign, in at most seven cells."""
    value = nats / unit_of(bits=bits)[1]
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    if value and abs(value) < 5e-4:
        return f"{value:+.0e}".replace("-", "−", 1)
    digits = 3 if abs(value) < 99.9 else 0
    return f"{value:+.{digits}f}".replace("-", "−") if value else "0"


def _share_of(row: CandidateRow) -> float:
    """How far a row's bar goes from the middle, of `WIDEST` nats either way."""
    return 0.0 if row.delta is None else max(-1.0, min(1.0, row.delta / WIDEST))


def rest_strip(
    columns: Columns,
    number: int,
    mass: float | None,
    note: str,
    styles: CandidateStyles,
    *,
    words: str = "more",
    skipped: bool = False,
) -> Strip:
    """How many rows are not shown, and their probability together; the last line, but for a
    taken row far down, which it is `skipped` to.

    The note stands at its end where there are no bars for it to stand over.
    """
    before = columns.token + _span(columns.id) + _span(columns.logprob)
    text = "  " + fit(SKIPPED if skipped else "", columns.rank - 1, "right") + "  "
    text += fit(cut_whole(f"{count(number)} {words}" if number else "", before), before)
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
    left = room - width(text) - len(mark)
    character = cut(f" {safe_text(row.character)}", left) if row.character else ""
    if width(character) < _SHORTEST_CHARACTER:
        character = ""
    blank = " " * (left - width(character))
    return [
        Segment(text[:lead], styles.muted),
        Segment(text[lead:], style),
        Segment(character, styles.muted),
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
    text = row.cut or _share_text(row, room)
    if not row.tie:
        return text
    return f"{text} tie" if len(text) + 4 <= room else f"{text}{TIED}"


def _share_text(row: CandidateRow, room: int) -> str:
    """The sampler's probability; bounds of it are rounded outwards."""
    low, high = row.sampler, row.sampler_high
    if low is None:
        return ""
    if high is None or percent(low) == percent(high):
        return percent(low)
    high = min(1.0, high)
    forms = [
        f"{math.floor(low * scale) / scale * 100:.{digits}f}–"
        f"{math.ceil(high * scale) / scale * 100:.{digits}f}%"
        for digits, scale in ((1, 1000), (0, 100))
    ]
    return next((form for form in forms if width(form) <= room), forms[-1])


def _right(text: str, cells: int) -> str:
    """Text at the right of a column, with the gap before it; nothing where the column is out."""
    return " " * GAP + fit(text, cells, "right") if cells else ""


def _span(cells: int) -> int:
    return cells + GAP if cells else 0
