"""The user's changes of a tree: each can be taken back, and made again."""

from typing import TYPE_CHECKING

from tokexplore.models.tree.events import (
    Bookmarked,
    Change,
    Edit,
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


class UndoHistory:
    """Makes changes of a tree, and remembers them."""

    def __init__(self, tree: "TokenTree") -> None:
        self._tree = tree
        self._undo: list[tuple[Edit, Edit]] = []
        """Of each change that can be taken back: what makes it again, and its inverse."""
        self._redo: list[tuple[Edit, Edit]] = []

    def change(self, event: Change) -> None:
        """A change by the user, which can be undone.

        Raises:
            ValueError: when the event does not fit the tree.
        """
        self._undo.append((_again(event), _inverse(self._tree, event)))
        self._redo.clear()
        self._tree.append(event, "change")

    @property
    def undoable(self) -> Edit | None:
        """What `undo` would take back, as what would make it again."""
        return self._undo[-1][0] if self._undo else None

    @property
    def redoable(self) -> Edit | None:
        """What `redo` would make again."""
        return self._redo[-1][0] if self._redo else None

    def undo(self) -> Edit | None:
        """Append the inverse of the last undoable change; that inverse, or None."""
        if not self._undo:
            return None
        forward, inverse = self._undo.pop()
        self._tree.append(inverse, "undo")
        self._redo.append((forward, inverse))
        return inverse

    def redo(self) -> Edit | None:
        """Append the last undone change again; that change, or None."""
        if not self._redo:
            return None
        forward, inverse = self._redo.pop()
        self._tree.append(forward, "redo")
        self._undo.append((forward, inverse))
        return forward


def _again(change: Change) -> Edit:
    """What makes a change again after it was taken back."""
    match change:
        case Opened(branch):
            return Unhidden(branch)
        case Extended(node):
            return Restored(node)
    return change


def _inverse(tree: "TokenTree", change: Change) -> Edit:
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
