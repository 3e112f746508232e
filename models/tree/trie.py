"""The trie of tokens under a tokenless root, and the branches that it falls into.

A branch is a chain of first children with a number of its own: the first continuation of a node
carries its parent's branch on, every later child opens a new one. What counts for a branch is how
its nodes were taken first; a later walk over them counts for the branches that leave it.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from tokexplore.models.tree.children import Children
from tokexplore.models.tree.distribution_store import Views
from tokexplore.models.tree.events import DRAWN, Origin, TokenTaken
from tokexplore.models.tree.turns import Turns, given_until, is_given, steps_until, turns_after

ROOT = 0


class Branch(msgspec.Struct, gc=False):
    """A chain of first children, from the node after its fork to its tip."""

    number: int
    head: int
    """The first node that belongs to this branch alone."""
    tip: int
    """The last node of the chain that is in sight."""
    turns: Turns = ()
    """Of the path from the root to the end of the chain."""
    root: bool = False
    """Whether it is a prompt of its own and leaves no other, though they may begin alike."""
    name: str = ""
    hidden: bool = False
    generated: int = 0
    """Tokens of the chain in sight that are not prompt."""
    scored: int = 0
    """Tokens of `generated` whose logprob is known."""
    logprob_sum: float = 0.0
    """Sum of the model's logprobs (nats) over those `scored` tokens."""
    children: list[int] = msgspec.field(default_factory=list)
    """Numbers of the branches that leave this one, in order of creation."""

    def add_score(self, logprob: float) -> None:
        """Count the logprob of a token of the chain (nats); NaN where it is not known."""
        if not math.isnan(logprob):
            self.scored += 1
            self.logprob_sum += logprob

    @property
    def mean_logprob(self) -> float | None:
        """Mean model logprob per token since the fork (nats); None where no token is scored."""
        return self.logprob_sum / self.scored if self.scored else None

    @property
    def total_logprob(self) -> float | None:
        """Model logprob of the tokens since the fork, together (nats); None where that of one is
        not known, or there is none."""
        return self.logprob_sum if 0 < self.scored == self.generated else None


class Trie:
    """Nodes are small ints; node 0 is the tokenless root. Arrays are indexed by node: a hundred
    bytes a token, and nothing for the garbage collector to walk through."""

    def __init__(self) -> None:
        self.parent = array("q", [-1])
        self.token = array("q", [-1])
        self.origin: list[Origin] = ["prompt"]
        """How a node was taken first."""
        self.depth = array("q", [0])
        """Tokens from the root; a node's position is depth - 1."""
        self.step = array("q", [0])
        """Tokens of its branch's path to here that are not prompt: the number of this step."""
        self.logprob = array("d", [math.nan])
        self.rank = array("q", [0])
        self.sampler_logprob = array("d", [math.nan])
        self.sampler = Views()
        """By node: how the sampler saw the distribution that a generated token came from."""
        self.draw = array("q", [0])
        self.draws = array("q", [0])
        """How often a token was drawn after a node, repeats included."""
        self.settings_of = array("q", [0])
        self.branch_of = array("q", [0])
        self.children = Children()
        self.branches: list[Branch] = []
        """Branch number n is at n - 1."""
        self.shape = 0
        """Grows when branches open, go out of sight or come back: lists of them go by it."""
        self.withdrawn: set[int] = set()
        """Nodes from which on their branch is out of sight."""
        self.way: tuple[int, Turns] = (ROOT, ())
        """The node that was taken or looked at last, and the turns of the way that led there."""
        self._later: dict[tuple[int, int], int] = {}
        """Children but for each node's first, by parent and token."""

    def __len__(self) -> int:
        return len(self.parent)

    # What can be asked

    def child(self, node: int, token: int) -> int | None:
        """The node of `token` after `node`, if it was ever taken."""
        first = self.children.first[node]
        if first and self.token[first] == token:
            return first
        return self._later.get((node, token))

    def find(self, parent: int, tokens: Iterable[int]) -> int | None:
        """The node at the end of `tokens` after `parent`, if all of them were ever taken."""
        node: int | None = parent
        for token in tokens:
            node = None if node is None else self.child(node, token)
        return node

    def path(self, node: int) -> list[int]:
        """The nodes from the first token to `node`, the root left out."""
        nodes = []
        while node > ROOT:
            nodes.append(node)
            node = self.parent[node]
        nodes.reverse()
        return nodes

    def ids(self, node: int) -> list[int]:
        """The token ids of the path to `node`."""
        return [self.token[n] for n in self.path(node)]

    def turns(self, node: int) -> Turns:
        """The turns of the path to `node`: of the way in view if it is on it, else its branch's."""
        end, turns = self.way
        if node != end:
            if self.common(node, end) != node:
                turns = self.branches[self.branch_of[node] - 1].turns
            turns = turns[: bisect_left(turns, self.depth[node])]
        return turns

    def number(self, node: int) -> int:
        """The number of the step that took `node` on that path; 0 where it is prompt there."""
        turns, depth = self.turns(node), self.depth[node]
        return 0 if is_given(turns, depth) else steps_until(turns, depth)

    def own_step(self, node: int) -> int | None:
        """The number of the step that took `node` first; None where it was prompt."""
        return None if self.origin[node] == "prompt" else self.step[node]

    def prompt_length(self, node: int) -> int:
        """Tokens of the path to `node` up to its last prompt token."""
        return given_until(self.turns(node), self.depth[node])

    def checked_node(self, node: int) -> int:
        """A node of the tree.

        Raises:
            ValueError: for any other number.
        """
        if not 0 <= node < len(self.parent):
            raise ValueError(f"node {node} is not in the tree")
        return node

    def branch(self, number: int) -> Branch:
        """The branch with this number."""
        return self.branches[number - 1]

    def checked_branch(self, number: int) -> Branch:
        """The branch with this number.

        Raises:
            ValueError: when there is none.
        """
        if not 0 < number <= len(self.branches):
            raise ValueError(f"branch {number} is not in the tree")
        return self.branches[number - 1]

    def fork_of(self, branch: Branch) -> int:
        """The node that a branch left."""
        return self.parent[branch.head]

    def begins_prompt(self, node: int) -> bool:
        """Whether `node` is part of a prompt before which nothing was generated."""
        return self.origin[node] == "prompt" and self.step[node] == 0

    def common(self, a: int, b: int) -> int:
        """The deepest node that is on both paths."""
        while self.branch_of[a] != self.branch_of[b]:
            # The branch with the deeper head cannot hold the node: leave it whole.
            heads = [self.branch(self.branch_of[n]).head if n else ROOT for n in (a, b)]
            if self.depth[heads[0]] >= self.depth[heads[1]]:
                a = self.parent[heads[0]]
            else:
                b = self.parent[heads[1]]
        return a if self.depth[a] <= self.depth[b] else b

    # How it grows

    def _take(self, event: TokenTaken) -> None:
        parent = event.parent
        existing = self.child(self.checked_node(parent), event.token)
        if existing is None:
            if event.node != len(self.parent):
                raise ValueError(f"node {event.node} after node {parent} is not next")
            self._add(event)
        elif existing != event.node:
            raise ValueError(f"token {event.token} after node {parent} is node {existing}")
        else:
            given = event.origin == "prompt"
            self.way = existing, turns_after(self.turns(parent), self.depth[parent], given=given)
        if event.origin in DRAWN:
            self.draws[parent] = max(self.draws[parent], event.draw + 1)
        if event.logprob is not None and event.rank is not None:
            self._score(event.node, event.logprob, event.rank)

    def _add(self, event: TokenTaken) -> None:
        node, parent, given = event.node, event.parent, event.origin == "prompt"
        branch = self._extended(event)
        self.parent.append(parent)
        self.token.append(event.token)
        self.origin.append(event.origin)
        self.depth.append(self.depth[parent] + 1)
        self.step.append(steps_until(branch.turns, self.depth[node]))
        self.logprob.append(math.nan)
        self.rank.append(0)
        value = event.sampler_logprob
        self.sampler_logprob.append(math.nan if value is None else value)
        if event.sampler is not None:
            self.sampler[node] = event.sampler
        self.draw.append(event.draw)
        self.settings_of.append(event.settings)
        self.draws.append(0)
        if self.children.first[parent]:
            self._later[parent, event.token] = node
        self.children.add(node, parent)
        self.branch_of.append(branch.number)
        self.way = node, branch.turns
        if branch.tip == node and not given:
            branch.generated += 1

    def _extended(self, event: TokenTaken) -> Branch:
        """The branch that a new node belongs to, grown by it."""
        node, parent, given = event.node, event.parent, event.origin == "prompt"
        if self.children.first[parent] or parent == ROOT:
            turns = turns_after(self.turns(parent), self.depth[parent], given=given)
            root = parent == ROOT or not turns
            branch = Branch(len(self.branches) + 1, node, node, turns, root)
            self.branches.append(branch)
            self.shape += 1
            if parent != ROOT:
                self.branch(self.branch_of[parent]).children.append(branch.number)
        else:
            branch = self.branch(self.branch_of[parent])
            branch.turns = turns_after(branch.turns, self.depth[parent], given=given)
            if branch.tip == parent:
                branch.tip = node
        return branch

    def is_scored(self, node: int) -> bool:
        """Whether the model's logprob of a node's token is known."""
        return not math.isnan(self.logprob[node])

    def _score(self, node: int, logprob: float, rank: int) -> None:
        if self.is_scored(node):
            return
        self.logprob[node], self.rank[node] = logprob, rank
        branch = self.branch(self.branch_of[node])
        if self.origin[node] != "prompt" and self.depth[node] <= self.depth[branch.tip]:
            branch.add_score(logprob)
