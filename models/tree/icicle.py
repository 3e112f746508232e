"""The tree as an icicle: a token's height is its probability, and what follows stands beside it.

The heights of the tokens that were taken after a node and of what was not add up to its own. An
icicle (Kruskal and Landwehr, "Icicle plots", The American Statistician 37, 1983) is a tree map that
keeps the order of steps. Heights are shares of the block that the picture is focused on, so they
stay exact however deep that is. What is out of sight has no block.
"""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tokexplore.models.tree.tree import TokenTree

FINISHED = ("eos", "end of turn")
"""Ends after which nothing can follow."""


class Share(NamedTuple):
    """What a token has of the height of the block before it."""

    node: int
    top: float
    """Where it begins, from 0 at the top to 1."""
    height: float
    known: bool
    """Whether that is the model's probability of it. Tokens without one share evenly what those
    that have one leave."""


class After(NamedTuple):
    """How the height of a block is shared among what follows."""

    shares: tuple[Share, ...]
    """The most probable first; those whose probability is not known come last."""
    rest: float
    """What was not taken; 0 where nothing can follow."""


class Block(NamedTuple):
    """A token in the picture."""

    node: int
    column: int
    """Steps after the focus, which is in column 0."""
    top: float
    height: float
    """Both as shares of the whole height."""
    known: bool
    """Whether the probability of its token is known."""


class Gap(NamedTuple):
    """A part of a column without blocks."""

    column: int
    top: float
    height: float


class Layout(NamedTuple):
    """A picture of some columns."""

    blocks: list[Block]
    """Column by column from the top of each, as a walk through the tree finds them."""
    rests: list[Gap]
    """What was not taken."""
    crumbs: list[Gap]
    """Tokens that are too low to be told apart."""


class Icicle:
    """The shares of a tree, each node's worked out once: another icicle shows what came later.

    Args:
        path: nodes of the path in view. Tokens of another prompt are on no block of this one, but
            for those that the path in view was generated through.
        within: the nodes that are in the picture; all that are in sight by default.
    """

    def __init__(
        self, tree: TokenTree, path: Collection[int], within: Collection[int] | None = None
    ) -> None:
        self.tree = tree
        self._path = frozenset(path)
        self._within = within
        self._after: dict[int, After] = {}

    def after(self, node: int) -> After:
        """How what follows a node is shared."""
        found = self._after.get(node)
        if found is None:
            found = self._after[node] = self._shared(node)
        return found

    def _shared(self, node: int) -> After:
        logprob = self.tree.logprob
        children = [child for child in self.tree.children[node] if self._is_in_sight(child)]
        if not children:
            return After((), 0.0 if self.tree.ended.get(node) in FINISHED else 1.0)
        known = [(math.exp(logprob[c]), c) for c in children if not math.isnan(logprob[c])]
        known.sort(key=lambda pair: (-pair[0], pair[1]))
        unknown = [child for child in children if math.isnan(logprob[child])]
        # Logprobs of several passes may add up to a little more than 1.
        over = max(1.0, math.fsum(share for share, _ in known))
        shares, above = list[Share](), 0.0
        for share, child in known:
            height = min(share / over, 1.0 - above)
            shares.append(Share(child, above, height, known=True))
            above += height
        rest = max(0.0, 1.0 - above)
        for place, child in enumerate(unknown):
            height = rest / len(unknown)
            shares.append(Share(child, above + place * height, height, known=False))
        return After(tuple(shares), 0.0 if unknown else rest)

    def _is_in_sight(self, child: int) -> bool:
        """Whether a child of a node in sight is in the picture."""
        tree = self.tree
        if self._within is not None and child not in self._within:
            return False
        branch = tree.branch(tree.branch_of[child])
        if branch.head != child:
            return tree.depth[child] <= tree.depth[branch.tip]
        other_prompt = branch.root and tree.begins_prompt(child) and child not in self._path
        return not branch.hidden and not other_prompt

    def layout(self, focus: int, columns: range, least: float = 0.0) -> Layout:
        """The picture with a node as its whole height.

        Args:
            columns: those that are drawn, of which the focus is number 0.
            least: blocks below this height are crumbs.
        """
        layout = Layout([], [], [])
        stack = [Block(focus, 0, 0.0, 1.0, known=True)]
        while stack:
            block = stack.pop()
            if block.column >= columns.start:
                layout.blocks.append(block)
            if block.column + 1 < columns.stop:
                stack += reversed(self._following(block, columns, least, layout))
        return layout

    def _following(
        self, block: Block, columns: range, least: float, layout: Layout
    ) -> Sequence[Block]:
        """The blocks after one; what is there beside them is told to the layout."""
        node, column, top, height, _ = block
        shares, rest = self.after(node)
        column, crumbs, blocks = column + 1, 0.0, list[Block]()
        begin = math.inf
        for share in shares:
            own = share.height * height
            if own < least:
                begin = min(begin, top + share.top * height)
                crumbs += own
            else:
                blocks.append(Block(share.node, column, top + share.top * height, own, share.known))
        if column >= columns.start:
            if crumbs:
                layout.crumbs.append(Gap(column, begin, crumbs))
            if rest:
                layout.rests.append(Gap(column, top + (1.0 - rest) * height, rest * height))
        return blocks

    # Going about

    def onward(self, node: int) -> int | None:
        """The block to the right: of the path in view where it goes through, else the highest."""
        shares = self.after(node).shares
        ours = (share.node for share in shares if share.node in self._path)
        return next(ours, shares[0].node if shares else None)

    def beside(self, focus: int, node: int, by: int) -> int | None:
        """The block of the same column above (`by` -1) or below (1), under the focus."""
        levels = 0
        while node != focus:
            parent = self.tree.parent[node]
            nodes = [share.node for share in self.after(parent).shares]
            at = nodes.index(node)
            for other in nodes[at + 1 :] if by > 0 else nodes[:at][::-1]:
                found = self._down(other, levels, by)
                if found is not None:
                    return found
            node, levels = parent, levels + 1
        return None

    def _down(self, node: int, levels: int, by: int) -> int | None:
        """The first (or last) node so many levels below one."""
        stack = [(node, levels)]
        while stack:
            node, levels = stack.pop()
            if not levels:
                return node
            stack += [(share.node, levels - 1) for share in self.after(node).shares[::-by]]
        return None

    def holds(self, focus: int, node: int) -> bool:
        """Whether a node has a block under a focus, however low."""
        while self.tree.depth[node] > self.tree.depth[focus]:
            parent = self.tree.parent[node]
            if all(share.node != node for share in self.after(parent).shares):
                return False
            node = parent
        return node == focus

    def first_fork(self, start: int, path: Sequence[int]) -> int:
        """The first node of a path, from `start` on, with several blocks after it, else `start`."""
        depth = self.tree.depth[start]
        nodes = [start, *path[depth:]]
        return next((node for node in nodes if len(self.after(node).shares) > 1), start)


def start_of(tree: TokenTree, leaf: int) -> int:
    """Where the map of a path begins: at its last prompt token."""
    length = tree.prompt_length(leaf)
    node = leaf
    while tree.depth[node] > length:
        node = tree.parent[node]
    return node


def starts(tree: TokenTree, leaf: int) -> list[int]:
    """The last tokens of all prompts in sight, that of the path to `leaf` first."""
    tips = (branch.tip for branch in tree.branches if branch.root and not branch.hidden)
    return list(dict.fromkeys(start_of(tree, end) for end in (leaf, *tips)))


def logprob_since(tree: TokenTree, start: int, node: int) -> float:
    """Sum of the model's logprobs (nats) of the tokens after `start` up to `node`; NaN where one
    is not known."""
    logprobs = list[float]()
    while node != start:
        logprobs.append(tree.logprob[node])
        node = tree.parent[node]
    return math.fsum(logprobs)
