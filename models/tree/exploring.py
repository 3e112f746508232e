"""Going on from anywhere in a tree, so that undo knows what that did."""

from collections.abc import Iterable

from tokexplore.models.tree.events import Extended, Opened, Origin, Restored, Unhidden
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT


def explore(
    tree: TokenTree,
    parent: int,
    tokens: Iterable[int],
    origin: Origin,
    *,
    extends: bool = False,
    **details: object,
) -> int:
    """Take tokens one after the other so that undo knows what this did; the last one's node.

    Args:
        extends: going on at the end of a branch is a change too, and not the branch growing.
        details: as for `TokenTree.take`.
    """
    leaf, first = parent, len(tree)
    for token in tokens:
        leaf = tree.take(leaf, token, origin, **details)
    bring_back(tree, leaf)
    if 1 < first < len(tree):  # what the tree begins with is there to stay
        branch = tree.branch(tree.branch_of[first])
        if branch.head == first:
            tree.history.change(Opened(branch.number))
        elif extends:
            tree.history.change(Extended(first))
    return leaf


def bring_back(tree: TokenTree, node: int) -> None:
    """Bring a node into sight, with all that it comes from."""
    while node != ROOT:
        branch = tree.branch(tree.branch_of[node])
        if tree.depth[node] > tree.depth[branch.tip]:
            hiding = (n for n in tree.withdrawn if tree.branch_of[n] == branch.number)
            for first in sorted(n for n in hiding if tree.depth[n] <= tree.depth[node]):
                tree.history.change(Restored(first))
        if branch.hidden:
            tree.history.change(Unhidden(branch.number))
        node = ROOT if branch.root else tree.fork_of(branch)
