"""The trie of tokens under a tokenless root, and the branches that it falls into.

A branch is a chain of first children with a number of its own: the first continuation of a node
carries its parent's branch on, every later child opens a new one. What counts for a branch is how
its nodes were taken first; a later walk over them counts for the branches that leave it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tokexplore.models.tree.distribution_store import Views
from tokexplore.models.tree.events import Origin, TokenTaken
from tokexplore.models.tree.turns import Turns, given_until, is_given, steps_until

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

    @property
    def mean_logprob(self) -> float | None:
        """Mean model logprob per token since the fork (nats); None where no token is scored."""
        return self.logprob_sum / self.scored if self.scored else None


class Chain(NamedTuple):
    """Tokens that were taken one after the other, column by column; prompt or not, all alike."""

    token: Sequence[int]
    origin: Sequence[Origin]
    settings: Sequence[int]
    draw: Sequence[int]
    logprob: Sequence[float | None]
    rank: Sequence[int | None]
    sampler_logprob: Sequence[float | None]


class Trie:
    """Nodes are small ints; node 0 is the tokenless root. Lists are indexed by node."""

    def __init__(self) -> None:
        self.parent: list[int] = [-1]
        self.token: list[int] = [-1]
        self.origin: list[Origin] = ["prompt"]
        """How a node was taken first."""
        self.depth: list[int] = [0]
        """Tokens from the root; a node's position is depth - 1."""
        self.step: list[int] = [0]
        """Tokens of its branch's path to here that are not prompt: the number of this step."""
        self.logprob: list[float] = [math.nan]
        self.rank: list[int] = [0]
        self.sampler_logprob: list[float] = [math.nan]
        self.sampler = Views()
        """By node: how the sampler saw the distribution that a generated token came from."""
        self.draw: list[int] = [0]
        self.draws: dict[int, int] = {}
        """By node: how often a token was drawn after it, repeats included."""
        self.settings_of: list[int] = [0]
        self.branch_of: list[int] = [0]
        self.children: list[tuple[int, ...]] = [()]
        """Tuples, because the garbage collector lets go of those that hold only numbers."""
        self.branches: list[Branch] = []
        """Branch number n is at n - 1."""
        self.shape = 0
        """Grows when branches open, go out of sight or come back: lists of them go by it."""
        self.withdrawn: set[int] = set()
        """Nodes from which on their branch is out of sight."""
        self._way: tuple[int, Turns] = (ROOT, ())
        """The node that was taken or looked at last, and the turns of the way that led there."""
        self._later: dict[tuple[int, int], int] = {}
        """Children but for each node's first, by parent and token."""

    def __len__(self) -> int:
        return len(self.parent)

    # What can be asked

    def child(self, node: int, token: int) -> int | None:
        """The node of `token` after `node`, if it was ever taken."""
        children = self.children[node]
        if children and self.token[children[0]] == token:
            return children[0]
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
        end, turns = self._way
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

    def is_hidden(self, number: int) -> bool:
        """Whether a branch, or one that it comes from, is hidden."""
        while number:
            branch = self.branch(number)
            if branch.hidden:
                return True
            if branch.root:
                return False
            fork = self.fork_of(branch)
            number = self.branch_of[fork]
            if self.depth[fork] > self.depth[self.branch(number).tip]:
                return True
        return False

    def is_out_of_sight(self, node: int) -> bool:
        """Whether a node was withdrawn, or the branch that it is on is hidden."""
        number = self.branch_of[node]
        return self.depth[node] > self.depth[self.branch(number).tip] or self.is_hidden(number)

    def is_fork(self, node: int) -> bool:
        """Whether two or more tokens were taken after `node`; hidden branches don't count."""
        if len(self.children[node]) < 2:
            return False
        heads = [c for c in self.children[node] if not self.begins_prompt(c)]
        return sum(not self.is_out_of_sight(head) for head in heads) > 1

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

    def _hide(self, number: int, hidden: bool) -> None:
        self.checked_branch(number).hidden = hidden
        self._reshape()

    def _withdraw(self, node: int, withdrawn: bool) -> None:
        """Let a branch end before `node`, or go on with it."""
        (self.withdrawn.add if withdrawn else self.withdrawn.discard)(self._follower(node))
        self._recount(self.branch(self.branch_of[node]))
        self._reshape()

    def _reshape(self) -> None:
        """What is in sight has changed; a way out of sight no longer tells what others were."""
        self.shape += 1
        end, _ = self._way
        if end != ROOT and self.is_out_of_sight(end):
            self._way = ROOT, ()

    def _recount(self, branch: Branch) -> None:
        """Find the part of a branch that is in sight, and its figures."""
        node: int | None = branch.head
        branch.generated = branch.scored = 0
        branch.logprob_sum = 0.0
        while node is not None:
            branch.tip = node
            if self.origin[node] != "prompt":
                branch.generated += 1
                self._add_score(branch, self.logprob[node])
            node = next(iter(self.children[node]), None)
            if node in self.withdrawn:
                break

    @staticmethod
    def _add_score(branch: Branch, logprob: float) -> None:
        if not math.isnan(logprob):
            branch.scored += 1
            branch.logprob_sum += logprob

    def _follower(self, node: int) -> int:
        """A node that carries on the branch of its parent.

        Raises:
            ValueError: for any other.
        """
        if not self._checked(node) or self.branch_of[node] != self.branch_of[self.parent[node]]:
            raise ValueError(f"node {node} carries no branch on")
        return node

    def _checked(self, node: int) -> int:
        if not 0 <= node < len(self.parent):
            raise ValueError(f"node {node} is not in the tree")
        return node

    def _take(self, event: TokenTaken) -> None:
        parent = event.parent
        existing = self.child(self._checked(parent), event.token)
        if existing is None:
            if event.node != len(self.parent):
                raise ValueError(f"node {event.node} after node {parent} is not next")
            self._add(event)
        elif existing != event.node:
            raise ValueError(f"token {event.token} after node {parent} is node {existing}")
        else:
            self._way = existing, self._turned(self.turns(parent), parent, event.origin)
        if event.origin == "sampled":
            self.draws[parent] = max(self.draws.get(parent, 0), event.draw + 1)
        if event.logprob is not None and event.rank is not None:
            self._score(event.node, event.logprob, event.rank)

    def _turned(self, turns: Turns, parent: int, origin: Origin) -> Turns:
        """The turns of the path to `parent`, with a token more."""
        same = (origin == "prompt") == (len(turns) % 2 == 0)
        return turns if same else (*turns, self.depth[parent])

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
        self.children.append(())
        if self.children[parent]:
            self._later[parent, event.token] = node
        self.children[parent] += (node,)
        self.branch_of.append(branch.number)
        self._way = node, branch.turns
        if branch.tip == node and not given:
            branch.generated += 1

    def follow(self, chain: Chain) -> None:
        """Take a chain of tokens after the newest node, which is not the root.

        It does what `append` of each would do, several times as quickly, and tells no recorder.
        """
        parent, count = len(self.parent) - 1, len(chain.token)
        nodes, before = range(parent + 1, parent + 1 + count), range(parent, parent + count)
        given = chain.origin[0] == "prompt"
        depth, number = self.depth[parent], self.branch_of[parent]
        branch = self.branches[number - 1]
        branch.turns = self._turned(branch.turns, parent, chain.origin[0])
        step = steps_until(branch.turns, depth)
        self._way = nodes[-1], branch.turns
        self.parent.extend(before)
        self.token.extend(chain.token)
        self.origin.extend(chain.origin)
        self.depth.extend(range(depth + 1, depth + 1 + count))
        self.step.extend([step] * count if given else range(step + 1, step + 1 + count))
        self.sampler_logprob.extend(math.nan if x is None else x for x in chain.sampler_logprob)
        self.draw.extend(chain.draw)
        self.settings_of.extend(chain.settings)
        self.children[parent:] = [*((node,) for node in nodes), ()]
        counts = zip(before, chain.origin, chain.draw, strict=True)
        self.draws |= {n: draw + 1 for n, origin, draw in counts if origin == "sampled"}
        self.branch_of.extend([number] * count)
        seen = branch.tip == parent
        if seen:
            branch.tip = nodes[-1]
            branch.generated += 0 if given else count
        self._score_chain(chain, branch, counts=seen and not given)

    def _score_chain(self, chain: Chain, branch: Branch, *, counts: bool) -> None:
        scores = list(zip(chain.logprob, chain.rank, strict=True))
        logprobs = [math.nan if x is None or rank is None else x for x, rank in scores]
        self.logprob.extend(logprobs)
        self.rank.extend(0 if x is None or rank is None else rank for x, rank in scores)
        for logprob in logprobs if counts else ():
            self._add_score(branch, logprob)

    def _extended(self, event: TokenTaken) -> Branch:
        """The branch that a new node belongs to, grown by it."""
        node, parent = event.node, event.parent
        if self.children[parent] or parent == ROOT:
            turns = self._turned(self.turns(parent), parent, event.origin)
            root = parent == ROOT or not turns
            branch = Branch(len(self.branches) + 1, node, node, turns, root)
            self.branches.append(branch)
            self.shape += 1
            if parent != ROOT:
                self.branch(self.branch_of[parent]).children.append(branch.number)
        else:
            branch = self.branch(self.branch_of[parent])
            branch.turns = self._turned(branch.turns, parent, event.origin)
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
            self._add_score(branch, logprob)
