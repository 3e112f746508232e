"""Many futures of a step as lanes: a head of figures over the text, coloured by surprisal."""

import math
from collections.abc import Sequence
from copy import copy

from tokexplore.models.display import RunningText, counted
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.futures import Futures, Lane, Order
from tokexplore.tui.presenters.sources import shared_passes
from tokexplore.tui.presenters.why.text import Coloured, ColouredLines
from tokexplore.widgets.cell_text import cut, fit, width
from tokexplore.widgets.heat import level
from tokexplore.widgets.numbers import BARS, percent
from tokexplore.widgets.role_lines import Piece, Role, Row, heat_role

LEAST_COLUMNS = 36
"""Cells of a lane that stands beside others; where there are fewer, lanes stand below each
other."""
_INSET = "  "
_HIGHEST = 5.0
"""Entropy (nats) of a full bar, at least."""
_ONE_LINE, _WIDE = 70, 100
"""Cells of a lane whose head is one line, and of one that has room for all its figures there."""
_NAME, _FIGURES, _WIDE_FIGURES = 12, 30, 44
"""Cells of a one-line head's parts."""
_UNDER = "  "
_ORDERS: dict[Order, str] = {
    "begun": "as they began",
    "mass": "by mass",
    "mean": "by nats a token",
}


def lane_head(futures: Futures, lane: Lane, columns: int, *, here: bool) -> list[Row]:
    """The token that a lane begins with, its probability, how it stands, and its entropies.

    Returns:
        One line where all of it fits there, so that lanes below each other have their figures in
        columns; else two.
    """
    tree, vocabulary = futures.tree, futures.vocabulary
    mark = "▶" if lane.live else {"": "‖", "interrupted": "‖"}.get(futures.ended(lane), "■")
    logprob = tree.logprob[lane.head]
    share = "?" if math.isnan(logprob) else percent(math.exp(logprob))
    times = f" ×{lane.times}" if lane.times > 1 else ""
    room = (_NAME if columns >= _ONE_LINE else max(6, columns // 3)) - len(times)
    name = fit(cut(vocabulary.show(tree.token[lane.head]), room), room)
    first: list[Piece] = [
        Piece(f"{'›' if here else ' '}{lane.number:>2} ", "here" if here else "muted"),
        Piece(f"{mark} ", "sampler" if lane.live else "muted"),
        Piece(f"{share:>5} "),
        Piece(name, "here" if here else "bold"),
        Piece(f"{times}  "),
    ]
    if columns < _ONE_LINE:
        second = Piece(_figures(futures, lane, columns - len(_UNDER)), "muted")
        return [[*first, *_strip(tree, lane, columns, first)], [Piece(_UNDER), second]]
    figures = _WIDE_FIGURES if columns >= _WIDE else _FIGURES
    first.append(Piece(fit(_figures(futures, lane, figures), figures + 2), "muted"))
    return [[*first, *_strip(tree, lane, columns, first)]]


def _figures(futures: Futures, lane: Lane, room: int) -> str:
    """As many of a lane's figures as there is room for, what says most first."""
    reason, twin, total = futures.ended(lane), futures.twin(lane), lane.logprob
    parts = [reason, f"= lane {twin}" if twin else ""]
    if not math.isnan(total):
        parts += [f"Σ {total:.2f}", f"{futures.mean(lane):.2f}/tok"]
    parts = list(filter(None, (*parts, f"{len(lane.nodes)} tok")))
    while len(parts) > 1 and width(" · ".join(parts)) > room:
        parts.pop()
    return cut(" · ".join(parts), room)


def _strip(tree: TokenTree, lane: Lane, columns: int, before: Row) -> list[Piece]:
    """The entropies of a lane's steps in what a line has left; nothing where that is little."""
    room = columns - sum(width(piece.text) for piece in before) - 2
    if room < 6:
        return []
    return [Piece("H ", "muted"), Piece(entropies(tree, lane.nodes, room), "bar")]


def entropies(tree: TokenTree, nodes: Sequence[int], room: int) -> str:
    """The entropies at a lane's last steps as bars.

    What is full moves on by half of the room at once: by each step, all cells of it would be new.
    """
    half = max(1, room // 2)
    first = half * max(0, -(-(len(nodes) - room) // half))
    values = list[float | None]()
    for node in nodes[first:]:
        figures = tree.distribution.figures(tree.parent[node])
        values.append(figures.entropy if figures else None)
    most = max([_HIGHEST, *(value for value in values if value is not None)])
    top = len(BARS) - 1
    return "".join("·" if v is None else BARS[min(top, int(v / most * len(BARS)))] for v in values)


class LaneText:
    """A lane's text as it grows, each token on the heat of its surprisal.

    Args:
        columns: cells of a line.
    """

    def __init__(self, tree: TokenTree, vocabulary: Vocabulary, lane: Lane, columns: int) -> None:
        self._tree, self._vocabulary, self._lane = tree, vocabulary, lane
        self.columns = columns
        self._begin()

    def _begin(self) -> None:
        self._lines = ColouredLines(max(8, self.columns - len(_INSET)))
        self._running = RunningText()
        self._count = 0
        """Tokens that are laid out."""
        self._unscored = list[int]()
        """Those of them whose logprob was not known."""

    def last(self, count: int) -> list[Row]:
        """The last lines, with all that has come."""
        logprob = self._tree.logprob
        if not all(math.isnan(logprob[node]) for node in self._unscored):
            self._begin()
        nodes = self._lane.nodes[self._count :]
        self._unscored += [node for node in nodes if math.isnan(logprob[node])]
        self._lines.add([self._coloured(node) for node in nodes])
        self._count += len(nodes)
        held = copy(self._running).finish()  # of a character that is not whole
        ends = [(held, self._heat(self._lane.leaf))] if held else []
        return [[Piece(_INSET), *row] for row in self._lines.last(count, ends)]

    def _coloured(self, node: int) -> Coloured:
        token = self._tree.token[node]
        data = self._vocabulary.bytes_of(token) or f"<id {token}>".encode()
        return self._running.push(data), self._heat(node)

    def _heat(self, node: int) -> Role:
        return heat_role(level("surprisal", -self._tree.logprob[node]))


def lanes_note(futures: Futures, shown: int) -> str:
    """How many lanes there are, and what was left out; where their dtype is coarse, a second line
    on the passes that they shared."""
    lanes = len(futures.lanes)
    mass = math.fsum(
        math.exp(futures.tree.logprob[lane.head])
        for lane in futures.lanes
        if not math.isnan(futures.tree.logprob[lane.head])
    )
    words = [
        f"{shown} of {lanes} futures in view" if shown < lanes else counted(lanes, "future"),
        _ORDERS[futures.order],
        f"together {percent(mass)} of the probability",
    ]
    if more := futures.left_out:
        have = "has" if more == 1 else "have"
        words.append(f"{counted(more, 'more candidate')} above that mass {have} no lane")
    coarse = shared_passes(futures.rows, futures.dtype)
    return "\n".join(" · ".join(line) for line in (words, coarse) if line)
