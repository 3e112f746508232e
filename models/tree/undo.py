"""The user's changes of a tree: each can be taken back, and made again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tokexplore.models.tree.events import (
    Bookmarked,
    Change,
    Edit,
    Ended,
    Event,
    Extended,
    Hidden,
    Labelled,
    Named,
    Noted,
    Opened,
    Origin,
    Restored,
    TokenTaken,
    Unhidden,
    Viewed,
    Withdrawn,
)
from tokexplore.models.tree.visibility import is_out_of_sight

if TYPE_CHECKING:
    from tokexplore.models.tree.tree import TokenTree


_CHOSEN: frozenset[Origin] = frozenset(("prompt", "picked", "typed", "grown"))
"""Origins of tokens that no stream took."""
Sight = Hidden | Unhidden | Opened | Extended | Withdrawn | Restored
"""Changes of what is in sight."""


class Made(NamedTuple):
    """A change that was made, or taken back."""

    again: Edit
    """What makes it again."""
    inverse: Edit
    """What takes it back."""
    unseen: bool
    """Whether it was made where all is out of sight: one that follows brings that into sight."""
    joined: bool
    """Whether it goes with the change before it, and is taken back and made again with that."""


class UndoHistory:
    """Makes changes of a tree, and remembers them.

    What the user does at once may be several changes: each is an event, and all are one step.
    """

    def __init__(self, tree: "TokenTree") -> None:
        self._tree = tree
        self._undo: list[Made] = []
        self._redo: list[Made] = []
        self._generated = 0
        """The token that a stream just took; 0 where another took it, or the stream ended."""
        self._grows = False
        """Whether a tree grew by probability with the last change, and nobody moved since."""

    def change(self, event: Change) -> None:
        """A change by the user, which can be undone.

        Raises:
            ValueError: when the event does not fit the tree.
        """
        again, inverse = _again(event), _inverse(self._tree, event)
        grows = _grows(self._tree, event)
        joined = isinstance(event, Sight) and (self._joins() or (grows and self._grows))
        self._redo.clear()
        self._tree.append(event, "change")
        self._undo.append(Made(again, inverse, _is_unseen(self._tree, event), joined))
        self._grows = grows

    def note(self, event: Event) -> None:
        """Know of an event that is no change: it may tell that the next change goes on with one."""
        match event:
            case TokenTaken(node, origin=origin):
                self._generated = 0 if origin in _CHOSEN else node
            case Ended():
                self._generated = 0
            case Viewed():
                self._grows = False

    def _joins(self) -> bool:
        """Whether a change of what is in sight goes with the one before it.

        So it is where that one was unseen, and where a stream goes on from where the last step left
        tokens that had been there out of sight.
        """
        if self._undo and self._undo[-1].unseen:
            return True
        tree = self._tree
        for made in reversed(self._undo if self._generated else []):
            match made.again:
                case Withdrawn(node) if tree.parent[node] == tree.parent[self._generated]:
                    return True
            if not made.joined:
                break
        return False

    @property
    def undoable(self) -> list[Edit]:
        """What `take_back` would take back, as what would make it again, in that order."""
        count = next((n for n, made in enumerate(reversed(self._undo), 1) if not made.joined), 0)
        return [made.again for made in self._undo[len(self._undo) - count :]]

    @property
    def redoable(self) -> list[Edit]:
        """What `make_again` would make again, in that order."""
        step: list[Edit] = []
        for made in reversed(self._redo):
            if step and not made.joined:
                break
            step.append(made.again)
        return step

    def take_back(self) -> list[Edit]:
        """Take the last step back; the inverses of its changes, in the order of `undoable`."""
        inverses = [self.undo() for _ in self.undoable]
        return [inverse for inverse in reversed(inverses) if inverse is not None]

    def make_again(self) -> list[Edit]:
        """Make the last step that was taken back again; its changes in order."""
        changes = [self.redo() for _ in self.redoable]
        return [change for change in changes if change is not None]

    def undo(self) -> Edit | None:
        """Append the inverse of the last undoable change; that inverse, or None."""
        if not self._undo:
            return None
        made = self._undo.pop()
        self._tree.append(made.inverse, "undo")
        self._grows = False
        self._redo.append(made)
        return made.inverse

    def redo(self) -> Edit | None:
        """Append the last undone change again; that change, or None."""
        if not self._redo:
            return None
        made = self._redo.pop()
        self._tree.append(made.again, "redo")
        self._grows = False
        self._undo.append(made)
        return made.again


def _grows(tree: "TokenTree", change: Change) -> bool:
    """Whether a tree grew by probability with a change."""
    match change:
        case Opened(number):
            return tree.origin[tree.checked_branch(number).head] == "grown"
        case Extended(node):
            return tree.origin[tree.checked_node(node)] == "grown"
    return False


def told(step: Sequence[Edit]) -> Edit:
    """The change that tells what a step of several is: the first that brings something back."""
    return next((change for change in step if isinstance(change, Unhidden | Restored)), step[-1])


def _is_unseen(tree: "TokenTree", change: Change) -> bool:
    """Whether a change is of what lies on something that is out of sight."""
    match change:
        case Hidden(number) | Unhidden(number) | Opened(number):
            branch = tree.branch(number)
            return not branch.root and is_out_of_sight(tree, tree.fork_of(branch))
        case Withdrawn(node) | Restored(node) | Extended(node):
            return is_out_of_sight(tree, tree.parent[node])
    return False


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
