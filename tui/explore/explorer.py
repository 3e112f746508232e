"""What the user is looking at: the tree, the path in view, the cursor on it, the settings.

The cursor is an index into the path: at `i` the screen shows the distribution after the first `i`
tokens and, marked, the token that was taken there. At `len(path)` it stands on the open end.
"""

from bisect import bisect_left
from collections.abc import Callable
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.texts import Texts
from tokexplore.models.tokens import NO_VOCABULARY, Vocabulary
from tokexplore.models.tree.events import (
    Came,
    Origin,
    Viewed,
)
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.models.tree.turns import Turns, is_given, steps_until, stretches
from tokexplore.models.tree.visibility import is_fork, is_out_of_sight
from tokexplore.tui.explore.branch_order import BranchOrder

NEAR = 9
"""Rows that any screen shows: a taken token below them leaves the cursor on the first one."""


class Place(NamedTuple):
    """Somewhere to come back to."""

    leaf: int
    cursor: int
    following: bool


def came(origin: Origin, *, given: bool) -> Came:
    """Where a token came from on a path: by how it was taken first, and whether it is prompt."""
    return "prompt" if given else "generated" if origin == "prompt" else origin


class Explorer:
    """The state of one exploration, without engine and without widgets."""

    def __init__(
        self, settings: SamplingSettings, close_call: float, tree: TokenTree | None = None
    ) -> None:
        self.tree = tree or TokenTree()
        self.vocabulary: Vocabulary = NO_VOCABULARY
        """Empty before the first model is loaded: there are no tokens then either."""
        self.settings = settings
        self.close_call = close_call
        self.nodes: list[int] = []
        """The path in view."""
        self.cursor = 0
        self.following = True
        """Whether the cursor stays with the newest token."""
        self.row = 0
        """The candidate row that the cursor is on, from 0."""
        self.marked: list[int] = []
        """Numbers of branches marked for comparison."""
        self.left: list[int] = []
        """Leaves that the user left for another branch, the latest last."""
        self.show_hidden = False
        self.scored_texts: Texts = {}
        """Texts that were scored beside the tree."""
        self.remarks: dict[int, tuple[str, ...]] = {}
        """What is to be known of prompts, in sentences, by their last nodes."""
        self.moves = 0
        """How often the cursor was placed or told to follow: what a stream adds is no move."""
        self.is_replayed = False
        """A session is lived again: looking at it must not add to its tree."""
        self.unchanged = 0
        """Nodes at the start of the path that are as they were at the last `settle`."""
        self._turns: Turns = ()
        """The path's at the last `settle`."""
        self._jumps: list[Place] = []
        self._viewed: tuple[int, int] | None = None
        """The last `Viewed` event: leaf and cursor."""
        self._order = BranchOrder(self.tree)

    # Where we are

    @property
    def leaf(self) -> int:
        return self.nodes[-1] if self.nodes else ROOT

    @property
    def at_open_end(self) -> bool:
        return self.cursor >= len(self.nodes)

    @property
    def taken(self) -> int | None:
        """The node that was taken at the cursor's step; None on the open end."""
        return None if self.at_open_end else self.nodes[self.cursor]

    @property
    def before(self) -> int:
        """The node whose distribution the cursor shows."""
        return self.nodes[self.cursor - 1] if self.cursor else ROOT

    @property
    def branch(self) -> Branch | None:
        """The branch of the path's leaf."""
        return self.tree.branch(self.tree.branch_of[self.leaf]) if self.nodes else None

    def remark(self, node: int, *sentences: str) -> None:
        """Keep what is to be known of the prompt that ends with a node."""
        before = self.remarks.get(node, ())
        if new := tuple(sentence for sentence in sentences if sentence not in before):
            self.remarks[node] = before + new

    def remarks_on_path(self) -> list[str]:
        """What is to be known of the prompts of the path in view, in their order."""
        nodes = sorted(filter(self.on_path, self.remarks), key=self.tree.depth.__getitem__)
        return [sentence for node in nodes for sentence in self.remarks[node]]

    def on_path(self, node: int) -> bool:
        """Whether a node is on the path in view."""
        return node in self.path

    @property
    def prompt_length(self) -> int:
        """Tokens at the end of which the last prompt part of the path lies."""
        return self.tree.prompt_length(self.leaf)

    @property
    def first_step(self) -> int:
        """Index of the first token on the path that is not prompt (or the open end)."""
        return min([len(self.nodes), *self.tree.turns(self.leaf)])

    def step(self, index: int) -> int:
        """How many of the path's tokens up to the one at `index` are not prompt."""
        return steps_until(self.tree.turns(self.leaf), index + 1)

    def number(self, index: int) -> int:
        """The number of the step at an index, the open end included; 0 for a prompt token."""
        given = index < len(self.nodes) and self.is_given(index)
        return 0 if given else self.step(index - 1) + 1

    def numbers(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """`number` of every index of the path and of its open end, shape [len(path) + 1]."""
        count, steps = len(self.nodes), 1
        numbers = np.zeros(count + 1, np.int64)
        for stretch in stretches(self.tree.turns(self.leaf), count):
            numbers[stretch.start : stretch.stop] = np.arange(steps, steps + len(stretch))
            steps += len(stretch)
        numbers[count] = steps
        return numbers

    def index_of_step(self, step: int) -> int | None:
        """Index of the first token of the path up to which there are so many steps."""
        indices = range(len(self.nodes))
        index = bisect_left(indices, step, key=self.step)
        return index if index < len(indices) and self.step(index) == step else None

    def is_given(self, index: int) -> bool:
        """Whether the path's token at `index` is prompt on this path."""
        return is_given(self.tree.turns(self.leaf), index + 1)

    def came(self, index: int) -> Came:
        """Where the path's token at `index` came from on this path."""
        return came(self.tree.origin[self.nodes[index]], given=self.is_given(index))

    def ids(self, count: int | None = None) -> tuple[int, ...]:
        """Token ids of the first `count` tokens of the path (all by default)."""
        token = self.tree.token
        return tuple(token[n] for n in self.nodes[:count])

    def text(self, start: int = 0) -> str:
        """The running text of the path from its token at `start` on, special tokens left out."""
        return self.vocabulary.text(self.ids()[start:])

    @property
    def path(self) -> TokenPath:
        """The path in view as it is now."""
        return TokenPath(self.tree, self.vocabulary, self.nodes)

    @property
    def recorded_model(self) -> str:
        """The model that the session was recorded with last; empty where there is none."""
        provenance = self.tree.provenance
        return provenance[-1].model if provenance else ""

    def settle(self) -> int:
        """How much of the path is as it was at the last call; views redraw the rest."""
        turns, seen = self.tree.turns(self.leaf), self._turns
        pairs = zip_longest(turns, seen, fillvalue=len(self.nodes))
        self.touch(next((min(pair) for pair in pairs if pair[0] != pair[1]), len(self.nodes)))
        self._turns = turns
        unchanged, self.unchanged = min(self.unchanged, len(self.nodes)), len(self.nodes)
        return unchanged

    def touch(self, index: int) -> None:
        """Something about the path's tokens from `index` on is to be drawn again."""
        self.unchanged = min(self.unchanged, max(0, index))

    # Moving the cursor

    def place(self, index: int, *, jump: bool = False) -> None:
        """Pin the cursor to an index of the path."""
        if jump:
            self._remember()
        self.moves += 1
        first = 0 if ROOT in self.tree.distribution else 1
        self.cursor = min(len(self.nodes), max(first, index))
        self.following = False
        self.to_taken(within=NEAR)
        self._record_view()

    def _record_view(self) -> None:
        """Let the tree's record tell where the user went."""
        viewed = self.leaf, -1 if self.following else self.cursor
        if self.nodes and viewed != self._viewed:
            self._viewed = viewed
            self.tree.append(Viewed(*viewed))

    def follow(self) -> None:
        """Stay with the newest token: on it, or on the open end where nothing is generated yet."""
        self.following = True
        self.moves += 1
        self._stay_at_end()
        self._record_view()

    def _stay_at_end(self) -> None:
        last = len(self.nodes) - 1
        generated = last >= 0 and not self.is_given(last)
        self.cursor = last if generated else len(self.nodes)
        self.to_taken(within=NEAR)

    def to_taken(self, *, within: int | None = None) -> None:
        """The candidate cursor to the row of the taken token, where it is one of the stored ones.

        With `within` only where it is among that many: else, and on the open end, to the first.
        """
        distribution = self.tree.distribution.get(self.before)
        index = None
        if distribution is not None and self.taken is not None:
            index = distribution.index_of(self.tree.token[self.taken])
        self.row = index if index is not None and (within is None or index < within) else 0

    def jump(self, direction: int, wanted: Callable[[int], bool]) -> bool:
        """Pin the cursor to the next (or previous) index of the path that is `wanted`."""
        indices = (
            range(self.cursor + 1, len(self.nodes))
            if direction > 0
            else range(self.cursor - 1, -1, -1)
        )
        found = next((i for i in indices if wanted(i)), None)
        if found is None:
            return False
        self.place(found, jump=True)
        return True

    def is_close_call(self, index: int) -> bool:
        """Whether the margin of the step at `index` is under the user's value."""
        before = self.nodes[index - 1] if index else ROOT
        figures = self.tree.distribution.figures(before)
        return figures is not None and figures.margin < self.close_call

    def is_fork(self, index: int) -> bool:
        """Whether another token was taken too at the step at `index`."""
        return is_fork(self.tree, self.nodes[index - 1] if index else ROOT)

    def ends_line(self, index: int) -> bool:
        """Whether a new line begins with the token at `index`."""
        if not index:
            return True
        return b"\n" in self.vocabulary.bytes_of(self.tree.token[self.nodes[index - 1]])

    # Moving between branches

    def go_to(self, leaf: int, cursor: int | None = None, *, remember: bool = True) -> None:
        """Bring the path to `leaf` into view; the cursor pinned at `cursor`, or following."""
        if leaf == self.leaf:
            common = len(self.nodes)
        else:
            common = self.tree.depth[self.tree.common(leaf, self.leaf)]
            if self.nodes and common < len(self.nodes):
                self.left = [*(n for n in self.left if n != self.leaf), self.leaf]
                if remember:
                    self._remember()
        self.nodes = self.nodes[:common] + self.tree.path(leaf)[common:]
        self.left = [n for n in self.left if n != leaf]
        self.touch(common - 1)
        if cursor is None:
            self.follow()
        else:
            self.place(cursor)

    def _remember(self) -> None:
        self._jumps.append(Place(self.leaf, self.cursor, self.following))

    def back(self) -> bool:
        """Return to where the last jump or switch came from."""
        while self._jumps and is_out_of_sight(self.tree, self._jumps[-1].leaf):
            self._jumps.pop()
        if not self._jumps:
            return False
        place = self._jumps.pop()
        cursor = None if place.following else place.cursor
        self.go_to(self.tip_through(place.leaf), cursor, remember=False)
        return True

    def resume(self, leaf: int, cursor: int) -> None:
        """Stand where a session was left: on the branch of `leaf`, at `cursor` (-1 follows)."""
        self.show(self.tip_through(leaf), cursor)

    def show(self, leaf: int, cursor: int) -> None:
        """Stand where the user once stood: on the path to `leaf`, at `cursor` (-1 follows)."""
        if leaf != self.leaf:
            self.touch(self.tree.depth[self.tree.common(leaf, self.leaf)] - 1)
            if self.nodes and self.tree.common(leaf, self.leaf) not in (leaf, self.leaf):
                self.left = [*(n for n in self.left if n != self.leaf), self.leaf]
            self.nodes = self.tree.path(leaf)
            self.left = [n for n in self.left if n != leaf]
        self._viewed = leaf, cursor
        if cursor < 0:
            self.follow()
        else:
            self.place(cursor)

    def tip_through(self, node: int) -> int:
        """The tip of the branch that `node` is on."""
        number = self.tree.branch_of[node]
        return self.tree.branch(number).tip if number else node

    def switch(self, number: int, *, stay: bool = False) -> None:
        """Bring a branch into view: its end, or the cursor's position on it."""
        tip = self.tree.branch(number).tip
        stays = stay and not self.following
        self.go_to(tip, min(self.cursor, self.tree.depth[tip]) if stays else None)

    def listed(self) -> list[tuple[Branch, int]]:
        """The branches in tree order, each with its depth; hidden ones only when asked for."""
        return self._order.listed(self.show_hidden)

    def row_of(self, number: int) -> int | None:
        """Where a branch stands in the list; None where it is not in it."""
        return self._order.row_of(number, self.show_hidden)

    def neighbour(self, direction: int) -> int | None:
        """Number of the next (or previous) branch in the list."""
        listed = self.listed()
        row = None if self.branch is None else self.row_of(self.branch.number)
        index = 0 if row is None else row + direction
        return listed[index][0].number if 0 <= index < len(listed) else None

    def mark(self, number: int) -> None:
        """Mark a branch for comparison, or take its mark off."""
        if number in self.marked:
            self.marked.remove(number)
        else:
            self.marked.append(number)

    # Growing

    def grown(self, node: int) -> None:
        """A node was added to the tree: the path in view goes with it if it was its leaf."""
        if self.tree.parent[node] == self.leaf:
            self.nodes.append(node)
            if self.following:
                self._stay_at_end()
            if self.tree.branch_of[node] != self.tree.branch_of[self.tree.parent[node]]:
                self._record_view()
