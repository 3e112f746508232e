"""Many futures of a step as lanes: a head of figures over the text, coloured by surprisal."""

import math
from collections.abc import Sequence
from copy import copy

from tokexplore.models.display import RunningText
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.futures import Futures, Lane
from tokexplore.tui.presenters.why.text import Coloured, ColouredLines
from tokexplore.widgets.cell_text import cut, width
from tokexplore.widgets.heat import level
from tokexplore.widgets.numbers import BARS, percent
from tokexplore.widgets.role_lines import Piece, Role, Row, heat_role

LEAST_COLUMNS = 36
"""Cells of a lane that stands beside others; where there are fewer, lanes stand below each
other."""
_INSET = "  "
_HIGHEST = 5.0
"""Entropy (nats) of a full bar, at least."""


def lane_head(futures: Futures, lane: Lane, place: int, columns: int, *, here: bool) -> list[Row]:
    """The token that a lane begins with, its probability, how it stands, and its entropies."""
    tree, vocabulary = futures.tree, futures.vocabulary
    mark = "▶" if lane.live else {"": "‖", "interrupted": "‖"}.get(futures.ended(lane), "■")
    name = cut(vocabulary.show(tree.token[lane.head]), max(6, columns // 3))
    logprob = tree.logprob[lane.head]
    share = "" if math.isnan(logprob) else percent(math.exp(logprob))
    times = f" ×{lane.times}" if lane.times > 1 else ""
    first: list[Piece] = [
        Piece(f"{'›' if here else ' '}{place:>2} ", "here" if here else "muted"),
        Piece(f"{mark} ", "sampler" if lane.live else "muted"),
        Piece(name, "here" if here else "bold"),
        Piece(f" {share}{times}"),
    ]
    figures = [f"{len(lane.nodes)} tok"]
    if not math.isnan(lane.logprob):
        figures += [f"Σ {lane.logprob:.2f}", f"{futures.mean(lane):.2f} a token"]
    if reason := futures.ended(lane):
        figures.append(reason)
    if twin := futures.twin(lane):
        figures.append(f"= lane {twin}")
    second = [Piece("     "), Piece(cut(" · ".join(figures), columns - 6), "muted")]
    room = columns - sum(width(piece.text) for piece in first) - 2
    if room >= 8:
        first += [Piece("  "), Piece(entropies(tree, lane.nodes, room), "close")]
    return [first, second]


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
    """How many lanes there are, and what was left out."""
    lanes = len(futures.lanes)
    mass = math.fsum(
        math.exp(futures.tree.logprob[lane.head])
        for lane in futures.lanes
        if not math.isnan(futures.tree.logprob[lane.head])
    )
    words = [
        f"{lanes} futures, sorted by {futures.order}",
        f"together {percent(mass)} of the model's probability",
    ]
    if shown < lanes:
        words.append(f"{shown} of them in view")
    if futures.left_out:
        words.append(f"{futures.left_out} more candidates above that mass have no lane")
    return " · ".join(words)
