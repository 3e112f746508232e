"""What is exported: a tree, its vocabulary, and which of its nodes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from tokexplore.models.api.provenance import Provenance
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.scored_text import ScoredText
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.models.tree.turns import is_given, steps_until
from tokexplore.models.tree.visibility import is_hidden

Scope = Literal["path", "visible", "all"]
"""The path in view, all branches but hidden ones, or all of them."""
GENERATED = ("greedy", "sampled", "server", "second", "grown")
"""Origins of tokens that no one gave or picked."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Source(NamedTuple):
    """What an export is made from."""

    tree: TokenTree
    vocabulary: Vocabulary
    leaf: int
    """Where the path in view ends."""
    title: str
    settings: SamplingSettings
    """Those in force."""
    texts: Mapping[int, Sequence[ScoredText]] = {}
    """Texts whose probability was asked for, by the node that they follow."""

    @property
    def provenance(self) -> Provenance | None:
        """The model that the first distributions come from."""
        return self.tree.provenance[0] if self.tree.provenance else None

    def step(self, node: int, scope: Scope) -> int | None:
        """The number of the step that took a node, None where it was given.

        Of the path in view on that path; of a tree as the node was taken first.
        """
        tree, depth = self.tree, self.tree.depth[node]
        if scope != "path":
            return tree.own_step(node)
        turns = tree.turns(self.leaf)
        return None if is_given(turns, depth) else steps_until(turns, depth)

    def branches(self, scope: Scope) -> list[Branch]:
        """The branches of a scope, in order of creation; of the path, those that it runs on."""
        tree = self.tree
        if scope == "path":
            numbers = sorted({tree.branch_of[node] for node in tree.path(self.leaf)})
            return [tree.branch(number) for number in numbers]
        shown = scope == "all"
        return [b for b in tree.branches if shown or not is_hidden(tree, b.number)]

    def nodes(self, scope: Scope) -> Iterator[int]:
        """The nodes of a scope, each after its parent."""
        tree = self.tree
        if scope == "path":
            yield from tree.path(self.leaf)
        elif scope == "all":
            yield from range(1, len(tree))
        else:
            yield from self._visible()

    def _visible(self) -> list[int]:
        """What is in sight, with all that it comes from."""
        seen = {ROOT}
        for branch in self.branches("visible"):
            node = branch.tip
            while node not in seen:
                seen.add(node)
                node = self.tree.parent[node]
        return sorted(seen)[1:]

    def steps(self, scope: Scope) -> Iterator[tuple[int, Distribution | None]]:
        """The nodes of a scope, each after its parent, with what the model said before each."""
        tree = self.tree
        nodes = list(self.nodes(scope))
        before = tree.distribution.walk(tree.parent[node] for node in nodes)
        return zip(nodes, before, strict=True)

    def chain(self, branch: Branch, scope: Scope = "all") -> list[int]:
        """The nodes of a scope that belong to a branch alone."""
        tree, node = self.tree, branch.head
        if scope == "path":
            return [node for node in tree.path(self.leaf) if tree.branch_of[node] == branch.number]
        nodes = [node]
        while node != branch.tip:
            node = tree.children[node][0]
            nodes.append(node)
        return nodes

    def mean_logprob(self, branch: Branch, scope: Scope) -> float | None:
        """Mean model logprob (nats) of what a scope holds of a branch, prompt left out; None where
        no token of it is scored."""
        if scope != "path":
            return branch.mean_logprob
        tree = self.tree
        chosen = (node for node in self.chain(branch, scope) if self.step(node, scope) is not None)
        known = [tree.logprob[node] for node in chosen if tree.is_scored(node)]
        return math.fsum(known) / len(known) if known else None

    def sampling(self, scope: Scope) -> str:
        """The settings that tokens of a scope were generated under, and in which branches where
        there are several."""
        tree = self.tree
        used: dict[str, list[int]] = {}
        for branch in self.branches(scope):
            nodes = (n for n in self.chain(branch, scope) if tree.origin[n] in GENERATED)
            for number in sorted({tree.settings_of[node] for node in nodes}):
                settings = tree.settings[number] if tree.settings else self.settings
                numbers = used.setdefault(settings.short(), [])
                if branch.number not in numbers[-1:]:
                    numbers.append(branch.number)
        if not used:
            return "nothing was generated"
        if len(used) == 1:
            return next(iter(used))
        return "; ".join(f"{name} in {branches_text(numbers)}" for name, numbers in used.items())


def branches_text(numbers: Sequence[int]) -> str:
    """Rising numbers of branches in words: `branch 4`, `branches 1-3, 7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    shown = ", ".join("-".join(map(str, run)) for run in runs)
    return f"branch{'es' if len(numbers) > 1 else ''} {shown}"
