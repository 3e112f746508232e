"""How each change of a tree is taken back, and made again."""

from typing import TYPE_CHECKING

from tokexplore.models.events import (
    Bookmarked,
    Change,
    Hidden,
    Labelled,
    Named,
    Noted,
    Opened,
    Unhidden,
)

if TYPE_CHECKING:
    from tokexplore.models.tree import TokenTree


def again(change: Change) -> Change:
    """What makes a change again after it was taken back."""
    return Unhidden(change.branch) if isinstance(change, Opened) else change


def inverse(tree: "TokenTree", change: Change) -> Change:
    """What takes a change back, from the tree as it is before the change.

    Raises:
        ValueError: for a branch that is not in the tree.
    """
    match change:
        case Named(branch):
            return Named(branch, tree.known_branch(branch).name)
        case Hidden(branch):
            return Unhidden(branch)
        case Unhidden(branch) | Opened(branch):
            return Hidden(branch)
        case Bookmarked(node):
            return Bookmarked(node, node in tree.bookmarks)
        case Labelled(node):
            return Labelled(node, tree.labels.get(node, ""))
        case Noted(node):
            return Noted(node, tree.notes.get(node, ""))
