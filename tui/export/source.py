"""What is exported: a tree, its vocabulary, and which of its nodes."""

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

    def chain(self, branch: Branch) -> list[int]:
        """The nodes that belong to a branch alone."""
        tree, node = self.tree, branch.head
        nodes = [node]
        while node != branch.tip:
            node = tree.children[node][0]
            nodes.append(node)
        return nodes
