"""How each change of a tree is taken back, and made again."""

from typing import TYPE_CHECKING

from tokexplore.models.tree.events import (
    Bookmarked,
    Change,
    Extended,
    Hidden,
    Labelled,
    Named,
    Noted,
    Opened,
    Restored,
    Unhidden,
    Withdrawn,
)

if TYPE_CHECKING:
    from tokexplore.models.tree.tree import TokenTree


def again(change: Change) -> Change:
    """What makes a change again after it was taken back."""
    match change:
        case Opened(branch):
            return Unhidden(branch)
        case Extended(node):
            return Restored(node)
    return change


def inverse(tree: "TokenTree", change: Change) -> Change:
    """What takes a change back, from the tree as it is before the change.

    Raises:
        ValueError: for a branch that is not in the tree.
    """
    match change:
        case Named(branch):
            return Named(branch, tree.checked_branch(branch).name)
        case Hidden(branch):
            return Unhidden(branch)
        case Unhidden(branch) | Opened(branch):
            return Hidden(branch)
        case Withdrawn(node):
            return Restored(node)
        case Restored(node) | Extended(node):
            return Withdrawn(node)
        case Bookmarked(node):
            return Bookmarked(node, node in tree.bookmarks)
        case Labelled(node):
            return Labelled(node, tree.labels.get(node, ""))
        case Noted(node):
            return Noted(node, tree.notes.get(node, ""))
