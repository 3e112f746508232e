"""Branches compared from their fork on: values, where they meet again, and their lines."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from tokexplore.models.display import NEWLINE, TAB, counted, safe_text
from tokexplore.widgets.cell_text import width
from tokexplore.widgets.numbers import count

MEETING_RUN = 8
"""Tokens that must be the same in a row before two texts are said to meet again."""
NARROWEST = 26
"""Cells that a column needs to stand beside others."""
RULE = " │ "

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
    given: bool = False
    """Whether it is prompt."""


class CompareColumn(NamedTuple):
    """A branch from the fork on."""

    number: int
    name: str
    cells: Sequence[CompareCell]
    mean: float | None
    """Mean of the model's logprobs (nats) since the fork that are known, prompt left out."""
    sum: float | None
    """Sum of the model's logprobs (nats) since the fork, prompt left out; None where one of them is
    not known."""
    live: bool = False
    ended: str = ""

    @property
    def given(self) -> int:
        """How many of the cells are prompt."""
        return sum(cell.given for cell in self.cells)

    @property
    def scored(self) -> int:
        """How many tokens the mean is of."""
        return sum(not cell.given and cell.surprisal is not None for cell in self.cells)

    @property
    def size(self) -> str:
        """How many tokens there are, and of how many of them the figures are where not of all."""
        tokens = counted(len(self.cells), "token")
        partly = self.mean is not None and self.scored < len(self.cells)
        return f"{count(self.scored)} of {tokens}" if partly else tokens

    @property
    def left_out(self) -> list[str]:
        """What the figures are not of."""
        unscored = len(self.cells) - self.given - self.scored
        kinds = [(self.given, "of prompt"), (unscored if self.scored else 0, "not scored")]
        return [f"{count(number)} {kind}" for number, kind in kinds if number]


Meeting = tuple[int | None, ...]
"""For each column the index of the cell where it meets others again; None where it does not."""


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


def at_line_start(text: str) -> str:
    """A line does not begin with the space that parted its first word from the line above."""
    return text.lstrip(" ") or text


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
        joined = bool(text) and text[0] != " " and width(text[0]) == 1
        if self._must_begin(index):
            self._begin(index, width(at_line_start(text)))
        elif self._used + wide <= self._cells:
            self._used += wide
        elif joined and self._word > self.starts[-1] and self._word_used + wide <= self._cells:
            self._begin(self._word, self._word_used + wide)
        else:
            self._begin(index, width(at_line_start(text)))
        if joined and self._word >= self.starts[-1]:
            self._word_used += wide
        else:
            self._word, self._word_used = index, width(at_line_start(text))

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
