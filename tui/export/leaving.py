"""Where branches leave each other, in words."""

from typing import NamedTuple

from tokexplore.models.tree.conversation import conversation, turn_at
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.models.tree.turns import is_given, steps_until
from tokexplore.tui.export.source import Source


class Left(NamedTuple):
    """The place in another branch at which a branch leaves it."""

    branch: int
    """The other one's number."""
    step: int | None
    """Of the other one; None where it was given its token there."""
    position: int
    """On the path, from 0."""
    whose: str
    """What of the other one was given there: `the prompt`, `the user's turn`; empty where that is
    not told apart."""

    @property
    def place(self) -> str:
        """It in words, raw: roles come from files."""
        if self.step is not None:
            return f"step {self.step}"
        return f"position {self.position}" + (f", in {self.whose}," if self.whose else "")


def left_by(source: Source, branch: Branch) -> Left | None:
    """Where a branch leaves another; None where it begins with its first token."""
    tree, fork = source.tree, source.tree.fork_of(branch)
    if fork == ROOT:
        return None
    other, depth = tree.branch(tree.branch_of[fork]), tree.depth[branch.head]
    if not is_given(other.turns, depth):
        return Left(other.number, steps_until(other.turns, depth), depth - 1, "")
    return Left(other.number, None, depth - 1, _whose(source, other, depth - 1))


def _whose(source: Source, branch: Branch, position: int) -> str:
    """Whose a token is that a branch was given, as its whole chain tells, withdrawn parts too."""
    tree, end = source.tree, branch.tip
    while tree.children[end]:
        end = tree.children[end][0]
    told = conversation(TokenPath(tree, source.vocabulary, tree.path(end)))
    turn = turn_at(told, position)
    if turn is None or turn.message < 0:
        return "" if turn and not turn.role else "the prompt"
    return f"the {turn.role}'s turn"
