"""The trie of tokens under a tokenless root, and the branches that it falls into.

A branch is a chain of first children with a number of its own: the first continuation of a node
carries its parent's branch on, every later child opens a new one.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tokexplore.models.events import Origin, Taken
from tokexplore.models.shelf import Views

ROOT = 0


class Branch(msgspec.Struct, gc=False):
    """A chain of first children, from the node after its fork to its tip."""

    number: int
    head: int
    """The first node that belongs to this branch alone."""
    tip: int
    """The last node of the chain."""
    name: str = ""
    hidden: bool = False
    generated: int = 0
    """Tokens in the chain that are not prompt."""
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
        self.depth: list[int] = [0]
        """Tokens from the root; a node's position is depth - 1."""
        self.step: list[int] = [0]
        """Tokens on the path to here that are not prompt: the number of this node's step."""
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
        """Grows when a branch opens, is hidden or is shown again: lists of branches go by it."""
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

    def prompt_length(self, node: int) -> int:
        """Tokens of the path to `node` up to its last prompt token."""
        while node != ROOT and self.origin[node] != "prompt":
            node = self.parent[node]
        return self.depth[node]

    def branch(self, number: int) -> Branch:
        """The branch with this number."""
        return self.branches[number - 1]

    def known_branch(self, number: int) -> Branch:
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
            number = self.branch_of[self.fork_of(branch)]
        return False

    def is_fork(self, node: int) -> bool:
        """Whether two or more tokens were taken after `node`; hidden branches don't count."""
        if len(self.children[node]) < 2:
            return False
        heads = [c for c in self.children[node] if not self.begins_prompt(c)]
        return sum(not self.is_hidden(self.branch_of[head]) for head in heads) > 1

    def begins_prompt(self, node: int) -> bool:
        """Whether nothing but a prompt leads up to `node`."""
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
        self.known_branch(number).hidden = hidden
        self.shape += 1

    def _known(self, node: int) -> int:
        if not 0 <= node < len(self.parent):
            raise ValueError(f"node {node} is not in the tree")
        return node

    def _take(self, event: Taken) -> None:
        parent = event.parent
        known = self.child(self._known(parent), event.token)
        if known is None:
            if event.node != len(self.parent):
                raise ValueError(f"node {event.node} after node {parent} is not next")
            self._add(event)
        elif known != event.node:
            raise ValueError(f"token {event.token} after node {parent} is node {known}")
        elif (self.origin[known] == "prompt") != (event.origin == "prompt"):
            self._turn(known, event.origin)
        if event.origin == "sampled":
            self.draws[parent] = max(self.draws.get(parent, 0), event.draw + 1)
        if event.logprob is not None and event.rank is not None:
            self._score(event.node, event.logprob, event.rank)

    def _turn(self, node: int, origin: Origin) -> None:
        """A prompt's token was taken by the model, or the other way: what came last counts."""
        more = 1 if self.origin[node] == "prompt" else -1
        self.origin[node] = origin
        branch = self.branch(self.branch_of[node])
        branch.generated += more
        if self.rank[node]:
            branch.scored += more
            branch.logprob_sum += more * self.logprob[node]
        self.shape += 1
        reached = [node]
        while reached:
            below = reached.pop()
            self.step[below] += more
            reached.extend(self.children[below])

    def _add(self, event: Taken) -> None:
        node, parent, given = event.node, event.parent, event.origin == "prompt"
        self.parent.append(parent)
        self.token.append(event.token)
        self.origin.append(event.origin)
        self.depth.append(self.depth[parent] + 1)
        self.step.append(self.step[parent] + (not given))
        self.logprob.append(math.nan)
        self.rank.append(0)
        known = event.sampler_logprob
        self.sampler_logprob.append(math.nan if known is None else known)
        if event.sampler is not None:
            self.sampler[node] = event.sampler
        self.draw.append(event.draw)
        self.settings_of.append(event.settings)
        self.children.append(())
        if self.children[parent]:
            self._later[parent, event.token] = node
        self._extend_branch(node, parent)
        self.children[parent] += (node,)
        if not given:
            self.branches[self.branch_of[node] - 1].generated += 1

    def follow(self, chain: Chain) -> None:
        """Take a chain of tokens after the newest node, which is not the root.

        It does what `append` of each would do, several times as quickly, and tells no recorder.
        """
        parent, count = len(self.parent) - 1, len(chain.token)
        nodes, before = range(parent + 1, parent + 1 + count), range(parent, parent + count)
        given = chain.origin[0] == "prompt"
        depth, step, number = self.depth[parent], self.step[parent], self.branch_of[parent]
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
        branch = self.branches[number - 1]
        branch.tip = nodes[-1]
        branch.generated += 0 if given else count
        self._score_chain(chain, branch, given)

    def _score_chain(self, chain: Chain, branch: Branch, given: bool) -> None:
        told = list(zip(chain.logprob, chain.rank, strict=True))
        logprobs = [math.nan if x is None or rank is None else x for x, rank in told]
        self.logprob.extend(logprobs)
        self.rank.extend(0 if x is None or rank is None else rank for x, rank in told)
        for logprob in () if given else logprobs:
            if not math.isnan(logprob):
                branch.scored += 1
                branch.logprob_sum += logprob

    def _extend_branch(self, node: int, parent: int) -> None:
        if self.children[parent] or parent == ROOT:
            number = len(self.branches) + 1
            self.branches.append(Branch(number, node, node))
            self.shape += 1
            if parent != ROOT:
                self.branch(self.branch_of[parent]).children.append(number)
        else:
            number = self.branch_of[parent]
            self.branches[number - 1].tip = node
        self.branch_of.append(number)

    def _score(self, node: int, logprob: float, rank: int) -> None:
        if not math.isnan(self.logprob[node]):
            return
        self.logprob[node], self.rank[node] = logprob, rank
        if self.origin[node] != "prompt":
            branch = self.branch(self.branch_of[node])
            branch.scored += 1
            branch.logprob_sum += logprob
