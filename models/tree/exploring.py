"""Going on from anywhere in a tree, so that undo knows what that did."""

from collections.abc import Container, Iterable

from tokexplore.models.tree.events import (
    Extended,
    Hidden,
    Opened,
    Origin,
    Restored,
    Unhidden,
    Withdrawn,
)
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.models.tree.visibility import is_out_of_sight


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
    if 1 < first < len(tree):  # what the tree begins with is there to stay
        branch = tree.branch(tree.branch_of[first])
        if branch.head == first:
            tree.history.change(Opened(branch.number))
        elif extends:
            tree.history.change(Extended(first))
    bring_back(tree, leaf)
    return leaf


def bring_back(tree: TokenTree, leaf: int) -> None:
    """Bring a node into sight, with all that it comes from and nothing else.

    What else would come with that stays away by changes of its own. They are made first, as are
    those of the branches that come off others: undo takes all back with the last one, which brings
    them into sight.
    """
    node = leaf if is_out_of_sight(tree, leaf) else ROOT
    way = set(tree.path(node))
    while node != ROOT:
        branch = tree.branch(tree.branch_of[node])
        _keep_away(tree, branch, node, way)
        hiding = (n for n in way & tree.withdrawn if tree.branch_of[n] == branch.number)
        for last in sorted(hiding, reverse=True):
            tree.history.change(Restored(last))
        if branch.hidden:
            tree.history.change(Unhidden(branch.number))
        node = ROOT if branch.root else tree.fork_of(branch)


def _keep_away(tree: TokenTree, branch: Branch, last: int, way: Container[int]) -> None:
    """Let nothing come back with the nodes of a branch up to `last` but what is on the way."""
    if not is_out_of_sight(tree, last):
        return
    after = next(iter(tree.children[last]), ROOT)
    if after != ROOT and after not in tree.withdrawn:
        tree.history.change(Withdrawn(after))
    for number in branch.children:
        other = tree.branch(number)
        fork = tree.fork_of(other)
        if other.root or other.hidden or other.head in way or fork not in way:
            continue
        if is_out_of_sight(tree, fork):
            tree.history.change(Hidden(number))
