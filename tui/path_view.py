"""The path in view as what its widgets show, kept up to date by redoing only what changed."""

import math

import numpy as np

from tokexplore.models.shelf import Figures
from tokexplore.models.tree import ROOT
from tokexplore.tui.explorer import LONGEST_CHARACTER, Explorer
from tokexplore.widgets.heat import NONE, Colouring, level, levels
from tokexplore.widgets.transcript import Cell


class PathView:
    """Cells, entropies and close calls of the explorer's path, index by index."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self.colouring: Colouring = "surprisal"
        self.cells: list[Cell] = []
        self.entropies: list[float | None] = []
        self.close: set[int] = set()
        """Indices of close calls."""
        self._shown: dict[int, str] = {}
        """Visible forms by token id, of the tokens that were met."""
        self._recoloured = False

    def recolour(self, colouring: Colouring) -> None:
        """Colour by something else from the next update on."""
        self.colouring, self._recoloured = colouring, True

    def update(self) -> int:
        """Bring the lists up to date; how many cells at the start stayed as they were."""
        explorer = self._explorer
        known = len(self.cells)
        keep = max(0, min(explorer.settle(), known) - LONGEST_CHARACTER)
        pieces = self._pieces(keep)
        del self.cells[keep:], self.entropies[keep:]
        self.close.difference_update(range(keep, known))
        recoloured, self._recoloured = self._recoloured, False
        if recoloured:
            self.cells = self._recolour_cells()
        for index, piece in enumerate(pieces, keep):
            self._add(index, piece)
        return 0 if recoloured else keep

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
        shown = self._shown.get(token)
        if shown is None:
            shown = self._shown[token] = explorer.vocabulary.show(token)
        self.cells.append(
            Cell(
                text=piece,
                origin=tree.origin[node],
                level=self._level(node, before),
                fork=tree.is_fork(node),
                special=token in explorer.vocabulary.special,
                shown=shown,
            )
        )
        self.entropies.append(None if before is None else before.entropy)
        if before is not None and before.margin < explorer.close_call:
            self.close.add(index)

    def _recolour_cells(self) -> list[Cell]:
        """The cells in their new colours, all at once: a path may have 100,000 of them."""
        explorer, tree = self._explorer, self._explorer.tree
        count = len(self.cells)
        before = np.array([ROOT, *explorer.nodes[: max(0, count - 1)]][:count], np.int64)
        entropy, _, top = tree.distribution.table(before).T
        if self.colouring == "entropy":
            colours = levels("entropy", entropy)
        else:
            logprob = np.array([tree.logprob[n] for n in explorer.nodes[:count]], np.float64)
            logprob[np.isnan(top)] = math.nan
            if self.colouring == "surprisal":
                colours = levels("surprisal", -logprob)
            else:
                colours = levels("probability", np.exp(np.minimum(0.0, logprob - top)))
        pairs = zip(self.cells, colours, strict=True)
        return [c if c.level == new else Cell(c[0], c[1], new, *c[3:]) for c, new in pairs]

    def _level(self, node: int, before: Figures | None) -> int:
        """The heat of a token that came from a distribution; NONE where it is not known."""
        if before is None:
            return NONE
        if self.colouring == "entropy":
            return level("entropy", before.entropy)
        logprob = self._explorer.tree.logprob[node]
        if self.colouring == "surprisal" or math.isnan(logprob):
            return level("surprisal", -logprob)
        return level("probability", math.exp(min(0.0, logprob - before.top_logprob)))
