"""The path in view as what its widgets show, kept up to date by redoing only what changed."""

import math

from tokexplore.models.distribution import Distribution
from tokexplore.models.tree import ROOT
from tokexplore.tui.explorer import LONGEST_CHARACTER, Explorer
from tokexplore.widgets.heat import NONE, Colouring, level
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

    def recolour(self, colouring: Colouring) -> None:
        """Colour by something else from the next update on."""
        self.colouring = colouring
        nodes, told = self._explorer.nodes[: len(self.cells)], self._explorer.tree.distribution
        before = [told.get(node) for node in (ROOT, *nodes)]
        self.cells = [
            cell._replace(level=self._level(node, distribution))
            for cell, node, distribution in zip(self.cells, nodes, before, strict=False)
        ]

    def update(self) -> int:
        """Bring the lists up to date; how many cells at the start stayed as they were."""
        explorer = self._explorer
        keep = max(0, min(explorer.settle(), len(self.cells)) - LONGEST_CHARACTER)
        pieces = self._pieces(keep)
        del self.cells[keep:], self.entropies[keep:]
        self.close = {index for index in self.close if index < keep}
        for index in range(keep, len(explorer.nodes)):
            self._add(index, pieces[index - keep])
        return keep

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
        before = tree.distribution.get(explorer.nodes[index - 1] if index else ROOT)
        value = self._value(node, before)
        self.cells.append(
            Cell(
                text=piece,
                origin=tree.origin[node],
                level=NONE if value is None else level(self.colouring, value),
                fork=tree.is_fork(node),
                special=token in explorer.vocabulary.special,
                shown=explorer.vocabulary.show(token),
            )
        )
        self.entropies.append(None if before is None else before.entropy)
        if before is not None and before.margin < explorer.close_call:
            self.close.add(index)

    def _value(self, node: int, before: Distribution | None) -> float | None:
        if before is None:
            return None
        if self.colouring == "entropy":
            return before.entropy
        logprob = self._explorer.tree.logprob[node]
        if math.isnan(logprob):
            return None
        if self.colouring == "surprisal":
            return -logprob
        return math.exp(min(0.0, logprob - before.logprob(0)))
