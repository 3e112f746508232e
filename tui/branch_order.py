"""The branches in the order in which they are listed, worked out once for a shape of the tree."""

from tokexplore.models.tree import TokenTree
from tokexplore.models.trie import ROOT, Branch


class BranchOrder:
    """Branches in tree order, each with its depth, and where each of them stands."""

    def __init__(self, tree: TokenTree) -> None:
        self._tree = tree
        self._known: tuple[int, bool] | None = None
        self._listed: list[tuple[Branch, int]] = []
        self._rows: dict[int, int] = {}

    def listed(self, show_hidden: bool) -> list[tuple[Branch, int]]:
        """The branches, hidden ones only when asked for; the list is not to be changed."""
        if self._known != (self._tree.shape, show_hidden):
            self._known = self._tree.shape, show_hidden
            self._listed = self._in_order(show_hidden)
            self._rows = {branch.number: row for row, (branch, _) in enumerate(self._listed)}
        return self._listed

    def row_of(self, number: int, show_hidden: bool) -> int | None:
        """The row of a branch; None where it is not listed."""
        self.listed(show_hidden)
        return self._rows.get(number)

    def _in_order(self, show_hidden: bool) -> list[tuple[Branch, int]]:
        tree, rows = self._tree, []
        branches, depth = tree.branches, tree.depth
        stack = [(b.number, 0) for b in reversed(branches) if tree.fork_of(b) == ROOT]
        while stack:
            number, indent = stack.pop()
            branch = branches[number - 1]
            if branch.hidden and not show_hidden:
                continue
            rows.append((branch, indent))
            children = branch.children
            if len(children) > 1:
                children = sorted(children, key=lambda n: (depth[branches[n - 1].head], n))
            for child in reversed(children):
                prompt = tree.begins_prompt(branches[child - 1].head)
                stack.append((child, indent if prompt else indent + 1))
        return rows
