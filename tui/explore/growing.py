"""A tree that grows by probability from the step under the cursor: run, held, put into the tree."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable

import msgspec

from tokexplore.models.api.questions import DescribeAll, FindStandings
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.budget import Budget, asked_budget
from tokexplore.models.grow.growth import By, Growth
from tokexplore.models.grow.node import GrownNode, Leaf
from tokexplore.models.grow.watch import Watch
from tokexplore.models.tree.events import Ended, Viewed
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.controller import Controller

_BY = re.compile(r"[\s,;]*\b(?:by\s+)?(?:the\s+)?(model|sampler)(?:'s)?\s*$", re.IGNORECASE)


def asked_growth(text: str) -> tuple[Budget, By | None]:
    """What somebody typed: a budget, then `model` or `sampler` where whose probability it is to
    grow by is said.

    Raises:
        UsageError: see `asked_budget`.
    """
    found = _BY.search(text)
    if found is None:
        return asked_budget(text), None
    before = text[: found.start()]
    if not before.strip():
        raise UsageError(
            f"{brief(text.strip())!r} names no budget: give one before it, such as 500 tokens, "
            "20 s, depth 12 or above 0.1%."
        )
    return asked_budget(before), "sampler" if found[1][0] in "sS" else "model"


class Growing:
    """The tree from the step under the cursor on.

    All that grows is in the explorer's tree too: the paths that were gone on from, and the texts
    that ended and were more probable than what was still open.

    Args:
        changed: called when there is something new to show.
        clock: seconds by which the budget and the rate are measured.
    """

    def __init__(
        self,
        controller: Controller,
        budget: Budget,
        by: By,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller, self._changed, self._clock = controller, changed, clock
        self._explorer = controller.explorer
        self.tree = controller.explorer.tree
        self.node = self._explorer.before
        """The node that it grows from."""
        self.by, self.budget = by, budget
        self.growth: Growth | None = None
        self._work: asyncio.Task[None] | None = None
        self._held = False
        self._seconds, self._began = 0.0, 0.0
        self._times: deque[tuple[float, int]] = deque(maxlen=32)
        """When the last answers came, and how many nodes there were then."""
        self._nodes: dict[int, int] = {}
        """The tree's node of a grown one, by `id`."""
        self._own: set[int] = set()
        """Nodes of the tree that came of this."""
        self._planted = self._ended = 0

    # How it stands

    @property
    def running(self) -> bool:
        """Whether it grows."""
        return self._work is not None and not self._work.done()

    @property
    def seconds(self) -> float:
        """For which it has grown."""
        return self._seconds + (self._clock() - self._began if self.running else 0.0)

    @property
    def rate(self) -> float | None:
        """Forward steps a second, over the last answers."""
        times = self._times
        if not self.running or len(times) < 2 or times[-1][0] == times[0][0]:
            return None
        return (times[-1][1] - times[0][1]) / (times[-1][0] - times[0][0])

    @property
    def seconds_left(self) -> float | None:
        """Until the budget is used up at the latest, as far as that is known."""
        steps = len(self.growth.nodes) if self.growth else 0
        return self.budget.seconds_left(steps, self.seconds, self.rate)

    @property
    def is_over(self) -> bool:
        """Whether the budget is used up, or lets nothing more grow."""
        if self.growth is None:
            return False
        return self.is_late or self.growth.finished

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return bool(self.budget.seconds) and self.seconds >= self.budget.seconds

    # What is done with it

    async def begin(self) -> None:
        """Let it grow.

        Raises:
            UsageError: nothing is before this step, or the engine cannot do what it takes.
        """
        controller = self._controller
        async with controller.paused_turn():
            controller.link.check("growing a tree", "prefill")
            if self.by == "sampler":
                controller.link.check("growing a tree by the sampler's probability", "whole_rows")
            if self.node == ROOT:
                raise UsageError("A tree grows after a token: stand on a later step.")
            request = controller.streams.extension(self.node, 0)
            settings = request.settings.checked()
            request = msgspec.structs.replace(request, settings=settings)
            info = controller.link.client.info
            self.growth = Growth(request, self.by, info, self._explorer.vocabulary, self.budget)
            self._nodes[id(self.growth.root)] = self.node
            # What grows from here on is a step of undo of its own.
            cursor = -1 if self._explorer.following else self._explorer.cursor
            self.tree.append(Viewed(self._explorer.leaf, cursor))
        self.go_on()

    def go_on(self) -> None:
        """Let it grow further, where the budget does."""
        if self.growth is not None and not self.running and not self.is_over:
            self._held, self._began = False, self._clock()
            self._times.clear()
            self._work = self._controller.jobs.run(self._grow(self.growth))
        self._changed()

    async def hold(self) -> None:
        """Stop; what is on its way is taken in."""
        self._held = True
        if self._work is not None and self.running:
            await asyncio.wait([self._work])

    async def change_budget(self, budget: Budget) -> None:
        """Grow within another budget, from where it is."""
        await self.hold()
        self.budget = budget
        if self.growth is not None:
            self.growth.change_budget(budget)
            self.go_on()

    def watch(self, words: str) -> None:
        """Tell the probability of a text or a /regex/; of one that is told, no longer.

        Raises:
            UsageError: it is neither, or takes too long to match.
        """
        if self.growth is None:
            return
        if words in (watch.words for watch in self.growth.watches):
            self.growth.unwatch(words)
        else:
            self.growth.watch(Watch(words))
        self._changed()

    async def take(self, leaf: Leaf) -> int:
        """Make the path to a leaf the one in view; the number of its branch."""
        await self.hold()
        async with self._controller.paused_turn():
            node = await self._taken(leaf.node, leaf.token)
            self._explorer.go_to(node)
        return self.tree.branch_of[node]

    # Growing

    async def _grow(self, growth: Growth) -> None:
        client = self._controller.link.client
        try:
            while not self._held and not self.is_over:
                due = growth.due()
                paths = tuple(growth.ids(node) for node in due.nodes)
                length = growth.request.prompt_length
                question = DescribeAll(paths, growth.settings, length, due.start)
                growth.take_in(due, await client.ask(question))
                await self._plant(growth)
                self._times.append((self._clock(), len(growth.nodes)))
                self._changed()
        finally:
            self._seconds += self._clock() - self._began
            self._work = None

    async def _plant(self, growth: Growth) -> None:
        """Put what is new into the tree."""
        for grown in growth.nodes[self._planted :]:
            if grown.parent is not None:
                self._nodes[id(grown)] = await self._taken(grown.parent, grown.token)
            if grown.distribution is not None:
                self.tree.record_distribution(self._nodes[id(grown)], grown.distribution)
        self._planted = len(growth.nodes)
        for leaf in growth.reached[self._ended :]:
            node = await self._taken(leaf.node, leaf.token)
            if node not in self.tree.ended:
                self.tree.append(Ended(node, leaf.fate))
        self._ended = len(growth.reached)

    async def _taken(self, parent: GrownNode, token: int) -> int:
        """The tree's node of a token after a grown node, new or the one that is there already."""
        tree, before = self.tree, self._nodes[id(parent)]
        there = tree.child(before, token)
        if there is not None and before in self._own:
            return there
        details = {
            "settings": tree.configure(self._explorer.settings),
            **(await self._standing(parent, before, token)),
        }
        if before in self._own:
            node = tree.take(before, token, "grown", **details)
        else:
            node = explore(tree, before, [token], "grown", extends=True, **details)
            self._explorer.touch(tree.depth[before] - 1)
        if there is None:
            self._own.add(node)
        return node

    async def _standing(self, parent: GrownNode, before: int, token: int) -> dict[str, object]:
        """The model's numbers for a token: those of the candidates that are stored, else asked."""
        told = parent.distribution
        at = told.index_of(token) if told else None
        if told is not None and at is not None:
            return {"logprob": told.logprob(at), "rank": told.rank(at)}
        question = FindStandings(self.tree.ids(before), [token])
        (standing,) = await self._controller.link.client.ask(question)
        return {"logprob": standing.logprob, "rank": standing.rank}
