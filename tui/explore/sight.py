"""What takes branches out of sight and brings them back; the path in view goes along."""

from collections.abc import Sequence
from functools import partial

from tokexplore.models.tree.events import Edit, Hidden, Restored, Unhidden
from tokexplore.models.tree.exploring import bring_back
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.undo import Step
from tokexplore.models.tree.visibility import begins, is_hidden, is_out_of_sight
from tokexplore.tui.explore.explorer import Explorer


def to_hide(explorer: Explorer, number: int | None = None) -> int | None:
    """The number of a branch that can be hidden, the one in view by default; None where none would
    be left."""
    tree, branch = explorer.tree, explorer.branch
    if number is None and branch is not None:
        number = branch.number
    if number is None:
        return None
    seen = (b.number for b, _ in explorer.listed() if not is_hidden(tree, b.number))
    return None if all(_descends(explorer, other, number) for other in seen) else number


def hide(explorer: Explorer, number: int) -> None:
    """Hide a branch; the path in view moves to one that is left."""
    explorer.tree.history.change(Hidden(number))
    _go_along(explorer, [Hidden(number)])


def show(explorer: Explorer, node: int) -> None:
    """Bring a node into sight, with all that it comes from and nothing else."""
    bring_back(explorer.tree, node)
    explorer.touch(explorer.tree.depth[explorer.tree.common(node, explorer.leaf)] - 1)


def unhide(explorer: Explorer, number: int) -> None:
    """Show a hidden branch again."""
    explorer.tree.history.change(Unhidden(number))
    _redraw_fork(explorer, explorer.tree.fork_of(explorer.tree.branch(number)))


def undo(explorer: Explorer) -> Step | None:
    """Take the last step back; that step, or None."""
    history = explorer.tree.history
    step = history.undoable
    _go_along(explorer, history.take_back())
    return step


def redo(explorer: Explorer) -> Step | None:
    """Make the last step that was taken back again; that step, or None."""
    history = explorer.tree.history
    step = history.redoable
    _go_along(explorer, history.make_again(), stay=step is not None and step.taken == "grown")
    return step


def _go_along(explorer: Explorer, changes: Sequence[Edit], *, stay: bool = False) -> None:
    """Let the path in view go to what came into sight, and leave what went out of it.

    Args:
        stay: go to nothing: a tree grows beside the path in view.
    """
    tree = explorer.tree
    back = [change for change in changes if isinstance(change, Unhidden | Restored)]
    seen = [change for change in back if not is_out_of_sight(tree, begins(tree, change))]
    match None if stay else max(seen, key=lambda one: tree.depth[begins(tree, one)], default=None):
        case Unhidden(branch):
            explorer.switch(branch)
        case Restored(node):
            explorer.go_to(explorer.tip_through(node), tree.depth[tree.parent[node]])
        case _:
            _step_aside(explorer)
    for first in filter(None, (begins(tree, change) for change in changes)):
        _redraw_fork(explorer, tree.parent[first])


def _step_aside(explorer: Explorer) -> None:
    """Leave the path in view where that went out of sight: for where it still is in sight."""
    tree = explorer.tree
    gone = partial(is_out_of_sight, tree)
    if not explorer.nodes or not gone(explorer.leaf):
        return
    explorer.left = [n for n in explorer.left if not gone(n)]
    node = explorer.leaf
    while node != ROOT and gone(node):
        branch = tree.branch(tree.branch_of[node])
        if is_hidden(tree, branch.number):
            node = ROOT if branch.root else tree.fork_of(branch)
        else:
            node = branch.tip
    if node != ROOT:
        explorer.go_to(explorer.tip_through(node), tree.depth[node])
    else:
        explorer.go_to(explorer.left[-1] if explorer.left else _first_seen(explorer))
    explorer.left = [n for n in explorer.left if not gone(n)]


def _first_seen(explorer: Explorer) -> int:
    """The tip of the first branch that is in sight."""
    return next(b.tip for b, _ in explorer.listed() if not is_hidden(explorer.tree, b.number))


def _descends(explorer: Explorer, number: int, ancestor: int) -> bool:
    while number and number != ancestor:
        branch = explorer.tree.branch(number)
        number = 0 if branch.root else explorer.tree.branch_of[explorer.tree.fork_of(branch)]
    return number == ancestor


def _redraw_fork(explorer: Explorer, fork: int) -> None:
    """What follows a node came into sight or left it: it may be a fork no more, or again."""
    if explorer.on_path(fork):
        explorer.touch(explorer.tree.depth[fork] - 1)
