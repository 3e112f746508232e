"""The path in view as what its widgets show, kept up to date by redoing only what changed."""

import math
from array import array
from bisect import bisect_left
from functools import partial

from tokexplore.models.tree import ROOT
from tokexplore.tui.explorer import LONGEST_CHARACTER, Explorer
from tokexplore.widgets.heat import NONE, Colouring, level
from tokexplore.widgets.transcript import Cell


class PathView:
    """Cells, entropies and close calls of the explorer's path, index by index."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self.cells: list[Cell] = []
        self._nodes: list[int] = []
        """The node of each cell: the explorer may be on another path before the next update."""
        self.entropies = array("d")
        """Nats; NaN where not known."""
        self.close = array("q")
        """Indices of close calls, rising."""
        self._shown: dict[int, str] = {}
        """Visible forms by token id, of the tokens that were met."""
        self.recolour("surprisal")

    def recolour(self, colouring: Colouring) -> None:
        """Colour by something else: `level` is another function, of an index into `cells`."""
        self.colouring: Colouring = colouring
        self.level = partial(self._level, colouring)

    def update(self) -> int:
        """Bring the lists up to date; how many cells at the start stayed as they were."""
        explorer = self._explorer
        known = len(self.cells)
        settled = min(explorer.settle(), known)
        keep = max(0, settled - LONGEST_CHARACTER)
        pieces, old = self._pieces(keep), self.cells[keep:settled]
        del self.cells[keep:], self._nodes[keep:], self.entropies[keep:]
        del self.close[bisect_left(self.close, keep) :]
        for index, piece in enumerate(pieces, keep):
            self._add(index, piece)
        pairs = zip(old, self.cells[keep:], strict=False)
        same = next((at for at, (a, b) in enumerate(pairs) if a != b), None)
        return min(settled, len(self.cells)) if same is None else keep + same

    def _pieces(self, start: int) -> list[str]:
        """Running text from `start` on, decoded from far enough before it."""
        explorer = self._explorer
        if explorer.vocabulary is None:
            return []
        early = max(0, start - LONGEST_CHARACTER)
        ids = [explorer.tree.token[n] for n in explorer.nodes[early:]]
        return explorer.vocabulary.pieces(ids)[start - early :]

    def _add(self, index: int, piece: str) -> None:
        explorer, tree = self._explorer, self._explorer.tree
        assert explorer.vocabulary is not None
        node = explorer.nodes[index]
        token = tree.token[node]
        before = tree.distribution.figures(explorer.nodes[index - 1] if index else ROOT)
        self._nodes.append(node)
        shown = self._shown.get(token)
        if shown is None:
            shown = self._shown[token] = explorer.vocabulary.show(token)
        self.cells.append(
            Cell(
                text=piece,
                origin=tree.origin[node],
                fork=tree.is_fork(node),
                special=token in explorer.vocabulary.special,
                shown=shown,
            )
        )
        self.entropies.append(math.nan if before is None else before.entropy)
        if before is not None and before.margin < explorer.close_call:
            self.close.append(index)

    def _level(self, colouring: Colouring, index: int) -> int:
        """The heat of the token at an index; NONE where nothing is known before it."""
        tree = self._explorer.tree
        before = tree.distribution.figures(self._nodes[index - 1] if index else ROOT)
        if before is None:
            return NONE
        if colouring == "entropy":
            return level("entropy", before.entropy)
        logprob = tree.logprob[self._nodes[index]]
        if colouring == "surprisal" or math.isnan(logprob):
            return level("surprisal", -logprob)
        return level("probability", math.exp(min(0.0, logprob - before.top_logprob)))
