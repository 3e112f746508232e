"""What takes branches out of sight and brings them back; the path in view goes along."""

from functools import partial

from tokexplore.models.tree.events import Edit, Hidden, Restored, Unhidden, Withdrawn
from tokexplore.models.tree.visibility import is_hidden, is_out_of_sight
from tokexplore.tui.explore.explorer import Explorer


def hide(explorer: Explorer, number: int | None = None) -> int | None:
    """Hide a branch, the one in view by default; the path moves to one that is left.

    Returns:
        Its number, or None where none would be left.
    """
    tree, branch = explorer.tree, explorer.branch
    if number is None and branch is not None:
        number = branch.number
    if number is None:
        return None
    seen = (b.number for b, _ in explorer.listed() if not is_hidden(tree, b.number))
    if all(_descends(explorer, other, number) for other in seen):
        return None
    tree.history.change(Hidden(number))
    _step_aside(explorer, number)
    _redraw_fork(explorer, tree.fork_of(tree.branch(number)))
    return number


def unhide(explorer: Explorer, number: int) -> None:
    """Show a hidden branch again."""
    explorer.tree.history.change(Unhidden(number))
    _redraw_fork(explorer, explorer.tree.fork_of(explorer.tree.branch(number)))


def undo(explorer: Explorer) -> list[Edit]:
    """Take the last step back; its changes, as what makes them again: none where there is none."""
    history = explorer.tree.history
    undone = history.undoable
    _follow_change(explorer, min(history.take_back(), key=partial(_depth, explorer), default=None))
    return undone


def redo(explorer: Explorer) -> list[Edit]:
    """Make the last step that was taken back again; its changes: none where there is none."""
    redone = explorer.tree.history.make_again()
    back = [change for change in redone if isinstance(change, Unhidden | Restored)]
    _follow_change(explorer, max(back or redone, key=partial(_depth, explorer), default=None))
    return redone


def _depth(explorer: Explorer, change: Edit) -> int:
    """How far from the root what a change brings into sight, or takes out of it, begins."""
    tree = explorer.tree
    match change:
        case Hidden(number) | Unhidden(number):
            return tree.depth[tree.branch(number).head]
        case Withdrawn(node) | Restored(node):
            return tree.depth[node]
    return 0


def _follow_change(explorer: Explorer, change: Edit | None) -> None:
    """Go where a change that was taken back, or made again, leaves the path in view."""
    tree, fork = explorer.tree, None
    match change:
        case Hidden(branch):
            fork = tree.fork_of(tree.branch(branch))
            _step_aside(explorer, branch)
        case Unhidden(branch):
            fork = tree.fork_of(tree.branch(branch))
            explorer.switch(branch)
        case Withdrawn(node):
            fork = tree.parent[node]
            if explorer.on_path(node):
                explorer.go_to(fork, tree.depth[fork])
                explorer.left = [n for n in explorer.left if not is_out_of_sight(tree, n)]
        case Restored(node):
            fork = tree.parent[node]
            explorer.go_to(explorer.tip_through(node), tree.depth[fork])
    if fork is not None:
        _redraw_fork(explorer, fork)


def _step_aside(explorer: Explorer, number: int) -> None:
    """Leave the path in view where the branch that was just hidden took it out of sight."""
    tree = explorer.tree
    gone = partial(is_out_of_sight, tree)
    if not explorer.nodes or not gone(explorer.leaf):
        return
    explorer.left = [n for n in explorer.left if not gone(n)]
    fork = tree.fork_of(tree.branch(number))
    if not tree.branch(number).root and not gone(fork):
        explorer.go_to(explorer.tip_through(fork), tree.depth[fork])
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
