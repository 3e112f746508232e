"""The branches in the order in which they are listed, worked out once for a shape of the tree."""

import math

from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import Branch


class BranchOrder:
    """Branches in tree order, each with its depth, and where each of them stands."""

    def __init__(self, tree: TokenTree) -> None:
        self._tree = tree
        self._listed_for: tuple[int, bool] | None = None
        self._listed: list[tuple[Branch, int]] = []
        self._rows: dict[int, int] = {}

    def listed(self, show_hidden: bool) -> list[tuple[Branch, int]]:
        """The branches, hidden ones only when asked for; the list is not to be changed."""
        if self._listed_for != (self._tree.shape, show_hidden):
            self._listed_for = self._tree.shape, show_hidden
            self._listed = self._in_order(show_hidden)
            self._rows = {branch.number: row for row, (branch, _) in enumerate(self._listed)}
        return self._listed

    def row_of(self, number: int, show_hidden: bool) -> int | None:
        """The row of a branch; None where it is not listed."""
        self.listed(show_hidden)
        return self._rows.get(number)

    def _in_order(self, show_hidden: bool) -> list[tuple[Branch, int]]:
        """Each prompt of its own with all that leaves it, in the order in which they were made."""
        tree, rows = self._tree, []
        branches, depth = tree.branches, tree.depth
        stack = [(b.number, 0) for b in reversed(branches) if b.root]
        while stack:
            number, indent = stack.pop()
            branch = branches[number - 1]
            if branch.hidden and not show_hidden:
                continue
            rows.append((branch, indent))
            end = math.inf if show_hidden else depth[branch.tip]
            heads = [(depth[branches[n - 1].head], n) for n in branch.children]
            leaving = [n for at, n in sorted(heads, reverse=True) if at <= end + 1]
            stack += [(n, indent + 1) for n in leaving if not branches[n - 1].root]
        return rows
