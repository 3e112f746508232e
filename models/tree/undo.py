"""The user's changes of a tree: each can be taken back, and made again."""

from collections.abc import Iterable, Sequence
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
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import begins, is_out_of_sight

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
    joined: bool
    """Whether it goes with the change before it, and is taken back and made again with that."""
    taken: Origin | None
    """How the token was taken that came into the tree or into sight with it; None where the change
    is of what was there."""


class Step(NamedTuple):
    """What is taken back at once, and made again."""

    changes: list[Edit]
    """What makes it again, in that order."""
    taken: Origin | None
    """How the token was taken that it began with; None where it is of what was there."""


class UndoHistory:
    """Makes changes of a tree, and remembers them.

    What the user does at once may be several changes: each is an event, and all are one step.
    """

    def __init__(self, tree: "TokenTree") -> None:
        self._tree = tree
        self._undo: list[Made] = []
        self._redo: list[Made] = []
        self._taken = ROOT
        """The token that was just taken; the root where another change was made since, or its
        stream ended."""
        self._by: Origin = "prompt"
        """How that was taken."""
        self._grows = False
        """Whether a tree grew by probability with the last change, and nobody moved since."""
        self._unseen: int | None = None
        """The place behind the last change, where all that it is of is out of sight: one that
        follows brings that into sight."""

    def change(self, event: Change) -> None:
        """A change by the user, which can be undone.

        Raises:
            ValueError: when the event does not fit the tree.
        """
        again, inverse = _again(event), _inverse(self._tree, event)
        taken = self._came_with(event)
        place = self._joins(taken) if isinstance(event, Sight) else None
        self._tree.append(event, "change")
        if place is None:
            self._redo.clear()
        at = len(self._undo) if place is None else place
        self._undo.insert(at, Made(again, inverse, place is not None, taken))
        self._unseen = at + 1 if _is_unseen(self._tree, event) else None
        self._grows = taken == "grown"
        if taken is None:
            self._taken = ROOT

    def note(self, event: Event) -> None:
        """Know of an event that is no change: it may tell that the next change goes on with one."""
        match event:
            case TokenTaken(node, origin=origin):
                self._taken, self._by = node, origin
            case Ended():
                self._taken = ROOT
            case Viewed():
                self._grows = False

    def _came_with(self, change: Change) -> Origin | None:
        """How the token was taken that comes into the tree, or into sight, with a change."""
        tree = self._tree
        match change:
            case Opened(number):
                return tree.origin[tree.checked_branch(number).head]
            case Extended(node):
                return tree.origin[tree.checked_node(node)]
            case Hidden() | Unhidden() | Withdrawn() | Restored():
                away = self._taken != ROOT and is_out_of_sight(tree, self._taken)
                return self._by if away else None
        return None

    def _joins(self, taken: Origin | None) -> int | None:
        """The place of a change of what is in sight that goes with one before it.

        So it does where that one was unseen, where a tree grows on, and where a stream goes on from
        where a step left tokens that had been there out of sight.
        """
        if self._unseen is not None:
            return self._unseen
        if taken == "grown":
            return len(self._undo) if self._grows else None
        return None if taken is None or taken in _CHOSEN else self._behind_what_it_goes_on_from()

    def _behind_what_it_goes_on_from(self) -> int | None:
        """The place behind the step that left off where the token that was just taken goes on.

        Others may have been made since: branches stream beside each other. None where something
        else goes on there, or what has been made since is of the path of that token.
        """
        tree, node = self._tree, self._taken
        if node == ROOT:
            return None
        left = tree.children[tree.parent[node]]
        if any(not is_out_of_sight(tree, child) for child in left if child != node):
            return None
        way, end, since = set(tree.path(node)), len(self._undo), False
        for at in reversed(range(end)):
            made = self._undo[at]
            if made.again == Withdrawn(left[0]):
                return end
            since = since or begins(tree, made.again) in way
            if not made.joined:
                end = at
                if since:
                    break
        return None

    @property
    def undoable(self) -> Step | None:
        """What `take_back` would take back."""
        count = next((n for n, made in enumerate(reversed(self._undo), 1) if not made.joined), 0)
        return _step(self._undo[len(self._undo) - count :])

    @property
    def redoable(self) -> Step | None:
        """What `make_again` would make again."""
        step: list[Made] = []
        for made in reversed(self._redo):
            if step and not made.joined:
                break
            step.append(made)
        return _step(step)

    def take_back(self) -> list[Edit]:
        """Take the last step back; the inverses of its changes, in the order of `undoable`."""
        step = self.undoable
        inverses = [self.undo() for _ in step.changes] if step else []
        return [inverse for inverse in reversed(inverses) if inverse is not None]

    def make_again(self) -> list[Edit]:
        """Make the last step that was taken back again; its changes in order."""
        step = self.redoable
        changes = [self.redo() for _ in step.changes] if step else []
        return [change for change in changes if change is not None]

    def undo(self, recorded: Edit | None = None) -> Edit | None:
        """Append the inverse of the last undoable change; that inverse, or None.

        Args:
            recorded: the inverse that a record tells: steps may have been told apart in another way
                when it was made.
        """
        back = _found((made.inverse for made in reversed(self._undo)), recorded)
        if back is None:
            return None
        made = self._undo.pop(-1 - back)
        self._tree.append(made.inverse, "undo")
        self._forget()
        self._redo.append(made)
        return made.inverse

    def redo(self, recorded: Edit | None = None) -> Edit | None:
        """Append the last undone change again; that change, or None.

        Args:
            recorded: as for `undo`.
        """
        back = _found((made.again for made in reversed(self._redo)), recorded)
        if back is None:
            return None
        made = self._redo.pop(-1 - back)
        self._tree.append(made.again, "redo")
        self._forget()
        self._undo.append(made)
        return made.again

    def _forget(self) -> None:
        """What comes next goes on with nothing."""
        self._taken, self._grows, self._unseen = ROOT, False, None


def _step(made: Sequence[Made]) -> Step | None:
    return Step([each.again for each in made], made[0].taken) if made else None


def _found(edits: Iterable[Edit], recorded: Edit | None) -> int | None:
    """How many edits come before the first one, or before the first that a record tells."""
    return next((n for n, one in enumerate(edits) if recorded is None or one == recorded), None)


def told(step: Step) -> Edit:
    """The change that tells what a step of several is: the first that brings something back."""
    back = (change for change in step.changes if isinstance(change, Unhidden | Restored))
    return next(back, step.changes[-1])


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
