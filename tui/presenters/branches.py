"""The tree as a list of branches, built row by row as the list shows them."""

from collections.abc import Collection, Sequence
from typing import overload

from tokexplore.models.display import NEWLINE
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.models.tree.turns import is_given
from tokexplore.models.tree.visibility import is_hidden
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.widgets.branches import BranchRow

WORDS = 24
"""Tokens of a branch that its first words are taken from."""
TURN = " … "
"""Between two answers, in the place of the turn that parts them."""

MARKED_ENDS = ("eos", "end of turn", "stop", "context", "interrupted")
"""Ends that are marked; the length that was asked for says nothing about the text."""


def first_words(explorer: Explorer, branch: Branch) -> str:
    """How a branch begins on one line, prompt left out; `TURN` stands between answers."""
    tree, node = explorer.tree, branch.head
    answers: list[list[int]] = [[]]
    left = WORDS
    while True:
        if tree.origin[node] != "prompt":
            answers[-1].append(tree.token[node])
            left -= 1
        elif answers[-1]:
            answers.append([])
        if node == branch.tip or not left:
            break
        node = tree.children[node][0]
    texts = (explorer.vocabulary.text(answer).strip() for answer in answers)
    return TURN.join(filter(None, texts)).replace("\n", NEWLINE)


def prompt_words(explorer: Explorer, branch: Branch) -> str:
    """The first words of a branch's prompt that no earlier prompt begins with, on one line."""
    tree, node = explorer.tree, branch.head
    ids: list[int] = []
    while len(ids) < WORDS and tree.origin[node] == "prompt":
        ids.append(tree.token[node])
        if node == branch.tip:
            break
        node = tree.children[node][0]
    return explorer.vocabulary.text(ids).replace("\n", NEWLINE).strip()


def _leaves_prompt(tree: TokenTree, branch: Branch) -> bool:
    """Whether the branch that it left was given a token where it leaves."""
    fork = tree.fork_of(branch)
    if fork == ROOT:
        return False
    other = tree.branch(tree.branch_of[fork])
    return is_given(other.turns, tree.depth[branch.head])


def _step_left(tree: TokenTree, branch: Branch) -> int | None:
    """The step that a branch begins at, or that it was given words in the place of; None where it
    begins with the first token."""
    head = branch.head
    if tree.origin[head] != "prompt":
        return tree.step[head]
    return None if tree.fork_of(branch) == ROOT else tree.step[head] + 1


class BranchRows(Sequence[BranchRow]):
    """The rows of the branch list; the order is kept until the tree's shape changes."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._listed: list[tuple[Branch, int]] = []
        self._live = frozenset[int]()
        """Numbers of the branches that stream."""
        self.depths: list[int] = []
        """The indent of each row."""
        self._words: dict[int, tuple[int, Vocabulary, str]] = {}
        """By branch: where it ended when its first words were put together, of what, and they."""

    def update(self, live: Collection[int]) -> None:
        """Bring the order up to date.

        Args:
            live: nodes that are extended.
        """
        explorer = self._explorer
        self._live = frozenset(explorer.tree.branch_of[leaf] for leaf in live)
        listed = explorer.listed()
        if listed is not self._listed:
            self._listed = listed
            self.depths = [indent for _, indent in listed]

    def __len__(self) -> int:
        return len(self._listed)

    @overload
    def __getitem__(self, index: int) -> BranchRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[BranchRow]: ...
    def __getitem__(self, index: int | slice) -> BranchRow | list[BranchRow]:
        if isinstance(index, slice):
            return [self._row(*pair) for pair in self._listed[index]]
        return self._row(*self._listed[index])

    def number(self, index: int) -> int:
        """The number of the branch at a row."""
        return self._listed[index][0].number

    def index_of(self, number: int) -> int:
        """The row of a branch; 0 where it is not listed."""
        return self._explorer.row_of(number) or 0

    @property
    def current(self) -> int:
        """The row of the branch in view."""
        branch = self._explorer.branch
        return self.index_of(branch.number) if branch else 0

    def _prompt_name(self, branch: Branch) -> str:
        """What a root is called: the first one main, any other by where its prompt is another."""
        if branch.number == 1:
            return "main"
        return f"“{prompt_words(self._explorer, branch)}”"

    def _first_words(self, branch: Branch) -> str:
        """`first_words`, put together anew where the branch has grown."""
        vocabulary = self._explorer.vocabulary
        tip, known, words = self._words.get(branch.number, (-1, vocabulary, ""))
        if tip != branch.tip or known is not vocabulary:
            words = first_words(self._explorer, branch)
            self._words[branch.number] = branch.tip, vocabulary, words
        return words

    def _row(self, branch: Branch, indent: int) -> BranchRow:
        explorer, tree = self._explorer, self._explorer.tree
        root = branch.root
        current = explorer.branch is not None and explorer.branch.number == branch.number
        token = "" if root else explorer.vocabulary.show(tree.token[branch.head])
        inside = _leaves_prompt(tree, branch)
        return BranchRow(
            number=branch.number,
            depth=indent,
            fork_step=None if inside else _step_left(tree, branch),
            fork_position=tree.depth[branch.head] - 1 if inside else None,
            token=token,
            length=branch.generated,
            mean_logprob=branch.mean_logprob,
            total_logprob=branch.total_logprob,
            words=self._first_words(branch),
            current=current,
            hidden=is_hidden(tree, branch.number),
            live=branch.number in self._live,
            marked=branch.number in explorer.marked,
            name=branch.name or (self._prompt_name(branch) if root else ""),
            ended=reason if (reason := tree.ended.get(branch.tip, "")) in MARKED_ENDS else "",
        )
