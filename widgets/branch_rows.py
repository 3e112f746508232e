"""The branch list's values and their drawing: the tree as a flat list of visible rows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import safe_text
from tokexplore.widgets.cell_text import cut, fit, line, width
from tokexplore.widgets.numbers import logprob_text, probability_text, short_count

CURSOR, CURRENT, LIVE, HIDDEN, MARKED = "›", "●", "▶", "×", "◆"
ENDED, STOPPED = "■", "‖"
_DEEPER, _MORE, _LAST, _THROUGH, _NOTHING = "…", "├", "└", "│", " "


class BranchRow(NamedTuple):
    """One branch."""

    number: int
    depth: int
    """How many forks it is away from the branch that the list starts with."""
    fork_step: int | None
    """Step at which it leaves its branch; None where that was given its token there."""
    token: str
    """Its first own token, in display form."""
    length: int
    """Tokens since the fork."""
    mean_logprob: float | None
    """Mean of the model's logprobs (nats) since the fork; None where none is known."""
    words: str
    """The beginning of its text."""
    current: bool = False
    hidden: bool = False
    live: bool = False
    marked: bool = False
    name: str = ""
    fork_position: int | None = None
    """Position of its first own token where the branch that it left was given another one there."""
    ended: str = ""
    """Why it ended (`eos`, `interrupted`); empty where it did not."""
    total_logprob: float | None = None
    """The model's logprob (nats) of all tokens since the fork; None where one is not known."""


class BranchStyles(NamedTuple):
    """The colours of a row, background included."""

    base: Style
    head: Style
    here: Style
    current: Style
    token: Style
    muted: Style
    words: Style
    live: Style
    tree: Style

    def on(self, background: Style) -> "BranchStyles":
        """The same colours on another background."""
        return BranchStyles(*(style + background for style in self))


class BranchColumns(NamedTuple):
    """Widths in cells; 0 leaves a column out."""

    width: int
    tree: int
    """Guide lines and the number."""
    at: int
    token: int
    words: int
    """Words on the same line; 0 where they stand below, or nowhere."""
    length: int
    mean: int
    mass: int = 0


@lru_cache(maxsize=64)
def columns_for(cells: int, *, words_beside: bool = False) -> BranchColumns:
    """Column widths that fill `cells` cells; with `words_beside` the words share the line."""
    tree = 5 if cells < 60 else 8
    mean = 7 if cells >= 28 else 0
    mass = 10 if cells >= 60 else 0
    length = 5 if cells >= 22 else 0
    at = 6 if cells >= 17 else 0
    free = cells - 2 - tree - at - length - mean - mass - 1
    words = max(0, free - (16 if cells < 96 else 24)) if words_beside else 0
    return BranchColumns(cells, tree, at, max(0, free - words), words, length, mean, mass)


def guides(depths: Sequence[int], first: int, last: int) -> list[list[bool]]:
    """For rows `first` to `last` (not included): per level from 1, whether that level goes on.

    A level goes on where a later row stands on it before a shallower one comes. Looks ahead
    only as far as the levels of these rows are undecided.
    """
    deepest = max(depths[first:last], default=0)
    going = [False] * (deepest + 1)
    undecided = deepest
    for index in range(last, len(depths)):
        depth = depths[index]
        if depth <= undecided:
            going[depth] = depth > 0
            undecided = depth - 1
        if undecided < 1:
            break
    result: list[list[bool]] = []
    for index in range(last - 1, first - 1, -1):
        depth = depths[index]
        result.append(going[1 : depth + 1])
        if depth:
            going[depth] = True
        for level in range(depth + 1, deepest + 1):
            going[level] = False
    result.reverse()
    return result


def tree_text(going: Sequence[bool], label: str, cells: int) -> str:
    """Guide lines and a label: `│└3`; the outermost levels give way to `…` when it is deep."""
    lines = [_THROUGH if level else _NOTHING for level in going[:-1]]
    if going:
        lines.append(_MORE if going[-1] else _LAST)
    return _from_the_right(lines, label, cells)


def _tree_beside(going: Sequence[bool], label: str, at: str, columns: BranchColumns) -> str:
    """`tree_text` and a blank: longer than its column where what stands beside it leaves room."""
    both = columns.tree + columns.at
    most = both - len(at) - bool(at) - 1
    cells = min(max(columns.tree - 1, len(going) + len(label)), max(most, len(label)), both)
    return (tree_text(going, label, cells) + " ")[:both]


def below_text(going: Sequence[bool], deeper: bool, cells: int) -> str:
    """The guide lines of a row's second line."""
    lines = [_THROUGH if level else _NOTHING for level in going]
    return _from_the_right(lines, _THROUGH if deeper else " ", cells)


def _from_the_right(lines: list[str], label: str, cells: int) -> str:
    room = max(0, cells - len(label))
    if len(lines) > room:
        lines = [_DEEPER, *lines[len(lines) - room + 1 :]] if room else []
    return fit("".join(lines) + label, cells)


def head_strip(columns: BranchColumns, styles: BranchStyles, *, bits: bool = False) -> Strip:
    """The line of column names."""
    place = max(columns.tree, len("branch "))
    at = max(0, columns.tree + columns.at - place)
    parts = ["  ", fit("branch", place), fit("at", at), fit("token", columns.token)]
    parts += [fit("", columns.words), fit("len", columns.length, "right")]
    parts += [fit("bits/t" if bits else "lp/tok", columns.mean, "right")]
    parts += [fit("mass", columns.mass, "right")]
    return line([Segment("".join(parts), styles.head)], columns.width, styles.base)


def row_strip(
    row: BranchRow,
    going: Sequence[bool],
    columns: BranchColumns,
    styles: BranchStyles,
    *,
    cursor: bool,
    bits: bool = False,
) -> Strip:
    """A branch's numbers; `styles` carry the cursor's background already."""
    style = styles.muted if row.hidden else styles.current if row.current else styles.token
    at = "" if row.fork_step is None else f"@{short_count(row.fork_step)}"
    if row.fork_position is not None:
        at = f"p{short_count(row.fork_position)}"
    mean = "" if row.mean_logprob is None else logprob_text(row.mean_logprob, bits=bits, digits=2)
    mass = "" if row.total_logprob is None else probability_text(row.total_logprob)
    label = f"{row.number}{MARKED if row.marked else ''}"
    tree = _tree_beside(going, label, at if columns.at else "", columns)
    split = len(tree.rstrip()) - len(label)
    segments = [
        Segment(CURSOR if cursor else " ", styles.here),
        Segment(state_of(row), styles.live if row.live else style),
        Segment(tree[: max(0, split)], styles.tree),
        Segment(tree[max(0, split) :], styles.current if row.marked else style),
        Segment(fit(at, columns.tree + columns.at - len(tree)), styles.muted),
        *_token_segments(row, columns.token - 1, style, styles),
    ]
    if columns.words:
        segments.append(
            Segment(fit(cut(_words(row), columns.words - 1), columns.words), styles.words)
        )
    numbers = fit(short_count(row.length), columns.length, "right")
    segments += [
        Segment(numbers, styles.muted),
        Segment(fit(mean, columns.mean, "right"), styles.token),
    ]
    if columns.mass:
        segments.append(Segment(fit(mass, columns.mass, "right"), styles.muted))
    return line(segments, columns.width, styles.base)


def words_strip(
    row: BranchRow,
    going: Sequence[bool],
    deeper: bool,
    columns: BranchColumns,
    styles: BranchStyles,
) -> Strip:
    """A branch's second line: its first words, under its step and token."""
    lead = below_text(going, deeper, columns.tree)
    room = columns.width - 2 - columns.tree - 1
    segments = [Segment("  " + lead, styles.tree), Segment(cut(_words(row), room), styles.words)]
    return line(segments, columns.width, styles.base)


def state_of(row: BranchRow) -> str:
    """One sign for how a branch stands: streaming, in view, hidden."""
    return LIVE if row.live else CURRENT if row.current else HIDDEN if row.hidden else " "


def end_mark(reason: str) -> str:
    """How a branch ended, in a sign and a word; one that was only stopped has the sign alone."""
    return STOPPED if reason == "interrupted" else f"{ENDED} {safe_text(reason)}"


def _words(row: BranchRow) -> str:
    """The words of a branch, after the reason why it ended."""
    words = safe_text(row.words)
    return f"{end_mark(row.ended)} {words}" if row.ended else words


def _token_segments(row: BranchRow, room: int, style: Style, styles: BranchStyles) -> list[Segment]:
    token, name = cut(safe_text(row.token), room), safe_text(row.name)
    left = room - width(token)
    if not token:
        return [Segment(fit(name, room) + " ", style)]
    name = cut(f" {name}", left) if name and left > 3 else ""
    blank = " " * (left - width(name) + 1)
    return [Segment(token, style), Segment(name, styles.muted), Segment(blank, styles.base)]
