"""A tree that grows by probability: always where the most of it is still open.

Its mass is told apart exactly: what is covered (texts that are over), what is open, and what the
budget cuts off add up to 1.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from tokexplore.models.api.engine import StreamRequest
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.budget import Budget
from tokexplore.models.grow.exact_sum import ExactSum
from tokexplore.models.grow.node import GrownNode, Leaf
from tokexplore.models.grow.watch import Watch, said
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stop_criteria import StopCriteria
from tokexplore.models.tokens import Vocabulary

BATCH = 16
"""Paths that are asked about at once: what the first of them opens up has to wait for the last."""
By = Literal["model", "sampler"]
"""Whose probability."""


class Due(NamedTuple):
    """What is to be asked next: the next tokens of some nodes, from a place of their order on."""

    nodes: list[GrownNode]
    start: int = 0


class Growth:
    """A tree after a prompt.

    Args:
        request: the path that it grows from, how texts end, and the sampler's settings.
        by: whose probability it grows by.
        watches: texts whose probability is told.
    """

    def __init__(
        self,
        request: StreamRequest,
        by: By,
        info: ModelInfo,
        vocabulary: Vocabulary,
        budget: Budget,
        watches: Sequence[Watch] = (),
    ) -> None:
        self.request, self.by, self.budget = request, by, budget
        self._watched: list[Watch | None] = list(watches)
        """By the number of its bit; None is told no longer."""
        self.vocabulary = vocabulary
        self.root = GrownNode(None, -1, 1.0)
        self.nodes: list[GrownNode] = []
        """Those whose next tokens are known, in the order in which they came."""
        self.refused: list[str] = []
        """Why expressions are told no longer that took too long, a sentence each."""
        self.reached: list[Leaf] = []
        """Texts that are over and were more probable than all that was open when they were met."""
        self._info = info
        self._due = Due([self.root])
        self._covered, self._open, self._cut = ExactSum(), ExactSum(), ExactSum()
        self._open.add(1.0)
        self._line: list[tuple[float, int, GrownNode, int]] = []
        """A heap: of every node the next place to look at, the most probable one first."""
        self._passed: list[tuple[float, int, Leaf]] = []
        """A heap: texts that are over and came up in line, but for those in `reached`."""
        self._turns = 0

    # How it stands

    @property
    def covered(self) -> float:
        """Probability of texts that are over."""
        return self._covered.value

    @property
    def open(self) -> float:
        """Probability of all that may be gone on from, with the tokens that are not listed."""
        return self._open.value

    @property
    def cut(self) -> float:
        """Probability of what is too deep or too improbable for the budget, or does not fit the
        context."""
        return self._cut.value

    @property
    def watches(self) -> list[Watch]:
        """The texts whose probability is told."""
        return [watch for watch in self._watched if watch is not None]

    @property
    def largest(self) -> float:
        """Probability of the most probable open path; 0 where there is none."""
        if self._due.nodes:
            node, start = self._due.nodes[0], self._due.start
            return node.mass_at(len(node.ids)) if start else node.mass
        return -self._line[0][0] if self._line else 0.0

    @property
    def finished(self) -> bool:
        """Whether the budget lets nothing more grow."""
        return not self.due().nodes

    def leaves(self) -> Iterator[Leaf]:
        """The paths that are not gone on from, the most probable ones first."""
        order = 0
        line = list[tuple[float, int, GrownNode, int]]()
        for order, node in enumerate(self.nodes):
            if node.unseen < len(node.ids):
                line.append((-node.mass_at(node.unseen), order, node, node.unseen))
        heapq.heapify(line)
        while line:
            mass, order, node, place = line[0]
            if place + 1 < len(node.ids):
                heapq.heapreplace(line, (-node.mass_at(place + 1), order, node, place + 1))
            else:
                heapq.heappop(line)
            if place not in node.children:
                yield Leaf(-mass, node, place)

    # What to ask

    @property
    def settings(self) -> SamplingSettings | None:
        """Of the sampler whose probability it grows by; None for the model's own."""
        return self.request.settings if self.by == "sampler" else None

    def ids(self, node: GrownNode) -> tuple[int, ...]:
        """The whole path of a node."""
        return (*self.request.ids, *node.tokens())

    def due(self, most: int = BATCH) -> Due:
        """The most probable open paths, as many as `most` and the budget allow: none where nothing
        is left to do. They stay due until they are taken in."""
        if not self._due.nodes and (left := self.tokens_left(most)):
            self._due = self._next_due(min(most, left))
        return self._due

    def tokens_left(self, unlimited: int = BATCH) -> int:
        """Forward steps that the budget still allows; `unlimited` where it sets no limit."""
        budget = self.budget.tokens
        return max(0, budget - len(self.nodes)) if budget else unlimited

    def _next_due(self, most: int) -> Due:
        nodes = list[GrownNode]()
        while self._line and len(nodes) < most:
            _, _, node, place = self._line[0]
            if place == len(node.ids):
                if nodes:
                    break
                heapq.heappop(self._line)
                return Due([node], node.told)
            heapq.heappop(self._line)
            nodes.append(self._gone_on(node, place))
            self._push(node, place + 1)
            self._skim()
        return Due(nodes)

    def _gone_on(self, node: GrownNode, place: int) -> GrownNode:
        """The path with a node's next token at a place."""
        token, met = node.ids[place], node.met | node.marks.get(place, 0)
        ((text, held),) = said(node, [token], self.vocabulary)
        child = GrownNode(node, token, node.mass_at(place), text, held, met)
        node.children[place] = child
        while node.unseen in node.children:
            node.unseen += 1
        return child

    # What came

    def take_in(self, due: Due, told: Sequence[NextTokens]) -> None:
        """Know the next tokens that were due."""
        for node, each in zip(due.nodes, told, strict=True):
            before = len(node.ids)
            self._open.add(-node.mass * node.rest if before else -node.mass)
            if not before:
                self.nodes.append(node)
            node.take_in(each)
            self._decide(node, before)
            self._count(node, before)
            self._look(node, before)
            self._push(node, before)
        self._due = Due([])
        self._skim()
        self._meet()

    def _look(self, node: GrownNode, start: int) -> None:
        """Look for what is watched in the paths with a node's next tokens from a place on."""
        bits = [1 << number for number, watch in enumerate(self._watched) if watch is not None]
        if all(node.met & bit for bit in bits):
            return
        texts = said(node, node.ids[start:], self.vocabulary)
        for bit, watch in zip(bits, self.watches, strict=True):
            try:
                watch.look(node, bit, start, texts)
            except UsageError as error:
                self.unwatch(watch.words)
                self.refused.append(str(error))

    def _decide(self, node: GrownNode, start: int) -> None:
        """Know what becomes of the paths with a node's next tokens from a place on."""
        request = msgspec.structs.replace(self.request, ids=self.ids(node))
        criteria = StopCriteria(self._info, self.vocabulary, request)
        for token in node.ids[start:]:
            node.fates.append(criteria.would_end(token) or "open")
        self._limit(node, start)

    def _limit(self, node: GrownNode, start: int) -> None:
        """Cut off what is too deep or too improbable, or would not fit the context."""
        grows = self._may_grow(node.depth + 1)
        for place in range(start, len(node.ids)):
            if not node.is_over(place):
                is_open = grows and node.mass_at(place) >= self.budget.least
                node.fates[place] = "open" if is_open else "cut"

    def _may_grow(self, depth: int) -> bool:
        """Whether paths of so many generated tokens may be gone on from."""
        if self.budget.depth and depth >= self.budget.depth:
            return False
        return not self._info.context or len(self.request.ids) + depth < self._info.context

    def _rest_is_open(self, node: GrownNode) -> bool:
        """Whether the paths with tokens that are not listed may be gone on from."""
        return self._may_grow(node.depth + 1) and node.mass_at(len(node.ids)) >= self.budget.least

    def _count(self, node: GrownNode, start: int) -> None:
        """Count the mass of the paths with a node's next tokens from a place on, and of the rest:
        of those that are gone on from it is counted there."""
        for place in range(start, len(node.ids)):
            if place not in node.children:
                sums = {"open": self._open, "cut": self._cut}
                sums.get(node.fates[place], self._covered).add(node.mass_at(place))
        (self._open if self._rest_is_open(node) else self._cut).add(node.mass * node.rest)

    # The line

    def _push(self, node: GrownNode, place: int) -> None:
        """Put a node's next token at a place in line; behind the last, asking for more."""
        listed = place < len(node.ids)
        mass = node.mass_at(place)
        if mass > 0.0 and (listed or (node.more and self._rest_is_open(node))):
            self._turns += 1  # no two are alike: equal ones come in turn
            heapq.heappush(self._line, (-mass, self._turns, node, place))

    def _skim(self) -> None:
        """Let what can be gone on from be first in line."""
        while self._line:
            _, _, node, place = self._line[0]
            if place == len(node.ids) or (
                node.fates[place] == "open" and place not in node.children
            ):
                return
            heapq.heappop(self._line)
            if node.is_over(place) and place not in node.came_by:
                node.came_by.add(place)
                leaf = Leaf(node.mass_at(place), node, place)
                self._turns += 1
                heapq.heappush(self._passed, (-leaf.mass, self._turns, leaf))
            self._push(node, place + 1)

    def _meet(self) -> None:
        """Let texts that are over be reached where nothing open is more probable."""
        while self._passed and -self._passed[0][0] >= self.largest:
            self.reached.append(heapq.heappop(self._passed)[2])

    # Changes on the way

    def change_budget(self, budget: Budget) -> None:
        """Grow within another budget from here on; nothing that is due may be on its way."""
        for node in self._due.nodes:
            if node.parent is not None and not self._due.start:
                node.parent.drop(node)
        self.budget = budget
        if not self.nodes:
            return
        self._due, self._line = Due([]), []
        self._covered, self._open, self._cut = ExactSum(), ExactSum(), ExactSum()
        for node in self.nodes:
            self._limit(node, 0)
            self._count(node, 0)
            self._push(node, 0)
        self._skim()
        self._meet()

    def watch(self, watch: Watch) -> None:
        """Tell the probability of one more text.

        Raises:
            UsageError: an expression that takes too long.
        """
        self._watched.append(None)  # the bit of one that is refused stays on nodes, for nobody
        for node in self.nodes:
            texts = said(node, node.ids, self.vocabulary)
            watch.look(node, 1 << (len(self._watched) - 1), 0, texts)
        self._watched[-1] = watch

    def unwatch(self, words: str) -> None:
        """Tell that of a text no longer."""
        self._watched = [
            None if watch is not None and watch.words == words else watch for watch in self._watched
        ]
