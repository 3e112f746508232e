"""Many continuations of one step at once: which ones, how they stand, what is done with them."""

import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, NamedTuple

from tokexplore.models.api.questions import Draw
from tokexplore.models.errors import UsageError
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Ended
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import end_through
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.branch_streams import BranchStream
from tokexplore.tui.explore.controller import Controller

FEWEST, MOST = 2, 16
USUAL = 4
"""Of the first candidates, where nothing else was asked."""
_CUT_SHORT = ("", "interrupted", "length")
"""Ends that are not the text's own: a lane goes on from there."""
Order = Literal["begun", "mass", "mean"]
ORDERS: tuple[Order, ...] = ("begun", "mass", "mean")


class Choice(NamedTuple):
    """Which continuations a step opens into."""

    kind: Literal["first", "mass", "draws", "rows"]
    number: float = USUAL
    """Of candidates or draws; of a mass the least probability."""
    tokens: tuple[int, ...] = ()
    """Of rows that were chosen."""


def asked_choice(text: str) -> Choice:
    """What somebody typed: `4` candidates, all above `2%`, or 6 `draws`.

    Raises:
        UsageError: for anything else, or too many.
    """
    found = re.fullmatch(r"\s*(?:(\d+)|(\d*\.?\d+)\s*%|(?:(\d+)\s*)?draws?\s*(\d+)?)\s*", text)
    if found is None:
        raise UsageError(f"{brief(text)!r} is none of: 4 (candidates), 2% (all above it), draws 6.")
    first, share, *draws = found.groups()
    if share is not None:
        if not 0 < float(share) <= 100:
            raise UsageError(f"{share}% is no least probability: give 0.1% to 100%.")
        return Choice("mass", float(share) / 100)
    kind: Literal["first", "draws"] = "first" if first else "draws"
    number = int(first or next(filter(None, draws), str(USUAL)))
    if not FEWEST <= number <= MOST:
        raise UsageError(f"{number} futures are not possible: {FEWEST} to {MOST} are.")
    return Choice(kind, number)


class Lane:
    """One continuation: an ordinary branch from its first token on.

    Args:
        head: its first token's node.
        times: draws that gave it.
    """

    def __init__(self, head: int, times: int = 1) -> None:
        self.head, self.times = head, times
        self.number = 0
        """Its place in the order begun, from 1: it stays that, however lanes are sorted, and
        whichever are left out."""
        self.nodes: list[int] = []
        """From its first token on."""
        self.logprob = 0.0
        """Sum of the model's logprobs of its tokens, nats; NaN where one is not known."""
        self.said = bytearray()
        """What it says, special tokens left out."""
        self.stream: BranchStream | None = None
        """The one that extends it, or did last."""

    @property
    def live(self) -> bool:
        """Whether it streams."""
        return self.stream is not None and self.stream.live

    @property
    def leaf(self) -> int:
        """Its last node."""
        return self.nodes[-1]


class Futures:
    """The lanes of the step under the cursor."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._explorer = controller.explorer
        self.tree = controller.explorer.tree
        self.node = self._explorer.before
        """The node that the lanes come after."""
        self.order: Order = "begun"
        self._lanes: list[Lane] = []
        self.left_out = 0
        """Candidates above the asked mass that there were no lanes for."""
        self.rows = 1
        """The most streams that took a step of a lane in one pass."""

    @property
    def dtype(self) -> str:
        """Of the model's weights; empty where it is not known."""
        info = self._controller.link.info
        return info.dtype if info else ""

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the tokens."""
        return self._explorer.vocabulary

    @property
    def lanes(self) -> list[Lane]:
        """The lanes as they are shown, with all that has come."""
        for lane in self._lanes:
            self._bring_up(lane)
        if self.order == "mass":
            return sorted(self._lanes, key=lambda lane: -self.tree.logprob[lane.head])
        if self.order == "mean":
            return sorted(self._lanes, key=lambda lane: -self.mean(lane))
        return list(self._lanes)

    def _bring_up(self, lane: Lane) -> None:
        """Take in what has come of a lane since."""
        new, node = list[int](), lane.stream.leaf if lane.stream else lane.leaf
        while node not in (lane.leaf, self.node, ROOT):
            new.append(node)
            node = self.tree.parent[node]
        if new and node == lane.leaf:
            self._extend(lane, new[::-1])
            told = (self.tree.distribution.get(self.tree.parent[node]) for node in new)
            self.rows = max([self.rows, *(each.rows for each in told if each)])
        if math.isnan(lane.logprob):  # a token is scored when its lane begins to stream
            lane.logprob = self._logprob(lane.nodes)

    def _extend(self, lane: Lane, nodes: Sequence[int]) -> None:
        lane.nodes += nodes
        lane.logprob += self._logprob(nodes)
        for node in nodes:
            if (token := self.tree.token[node]) not in self.vocabulary.special:
                lane.said += self.vocabulary.bytes_of(token)

    def _logprob(self, nodes: Sequence[int]) -> float:
        return math.fsum(self.tree.logprob[node] for node in nodes)

    async def begin(self, choice: Choice) -> None:
        """Open the step into lanes, and let all stream that are new.

        Raises:
            UsageError: the engine does not go on with other tokens, nothing is known here or so
                probable, or no token fits into the context.
        """
        controller = self._controller
        async with controller.paused_turn():
            controller.link.check("futures", "prefill")
            tokens = await self._tokens(choice)
            opened = islice(tokens.items(), MOST)
            self._lanes = [await self._lane(token, times) for token, times in opened]
            self.left_out = len(tokens) - len(self._lanes)
            for number, lane in enumerate(self._lanes, 1):
                lane.number = number
                if lane.leaf == lane.head:
                    self._start(lane)

    def _start(self, lane: Lane) -> None:
        """Let a lane stream that has its first token alone, unless the text ended or ends there."""
        if self.ended(lane) not in _CUT_SHORT:
            return
        if reason := self._controller.streams.end_at(lane.head):
            self.tree.append(Ended(lane.head, reason))
        else:
            self.go_on(lane)

    async def _tokens(self, choice: Choice) -> dict[int, int]:
        """The tokens that lanes are asked for of, and how often each was drawn."""
        distribution = self.tree.distribution.get(self.node)
        if choice.kind == "rows":
            return dict.fromkeys(choice.tokens, 1)
        if choice.kind == "draws":
            settings = self._explorer.settings
            if settings.greedy:
                raise UsageError("Temperature 0 draws nothing: set one above 0 (s), or take the "
                                 "first candidates.")  # fmt: skip
            ids, length = self.tree.ids(self.node), self.tree.prompt_length(self.node)
            question = Draw(ids, settings.checked(), int(choice.number), length)
            drawn = await self._controller.link.client.ask(question)
            told, counts = (memoryview(part).cast("I") for part in (drawn.ids, drawn.counts))
            return dict(zip(told, counts, strict=True))
        if distribution is None:
            raise UsageError("No candidates are known at this step.")
        if choice.kind == "first":
            return dict.fromkeys(distribution.id_view[: int(choice.number)], 1)
        shares = [math.exp(distribution.logprob(at)) for at in range(len(distribution))]
        above = [token for token, share in zip(distribution.id_view, shares, strict=True)
                 if share >= choice.number]  # fmt: skip
        if not above:
            raise UsageError(f"No candidate has {100 * choice.number:g}%: the first has "
                             f"{100 * shares[0]:.1f}%.")  # fmt: skip
        return dict.fromkeys(above, 1)

    async def _lane(self, token: int, times: int) -> Lane:
        """The lane that begins with a token: its branch as far as it is in sight."""
        tree = self.tree
        head = await self._controller.picks.node_of(token, self.node)
        lane = Lane(head, times)
        self._extend(lane, tree.path(end_through(tree, head))[tree.depth[head] - 1 :])
        lane.stream = self._controller.branch_streams.at(lane.leaf)
        return lane

    # What is done with them

    def go_on(self, lane: Lane) -> None:
        """Let a lane stream, unless it does or its context is full."""
        if not lane.live and self.tree.ended.get(lane.leaf) != "context":
            lane.stream = self._controller.branch_streams.go_on(lane.leaf)

    async def hold(self, *lanes: Lane) -> None:
        """End lanes' streams between two tokens."""
        streams = [lane.stream for lane in lanes if lane.stream is not None and lane.live]
        await self._controller.branch_streams.hold(streams)

    @property
    def live(self) -> bool:
        """Whether any lane streams."""
        return any(lane.live for lane in self._lanes)

    async def toggle_all(self) -> None:
        """Hold all lanes, or let all of them go on that have not ended by themselves."""
        if self.live:
            await self.hold(*self._lanes)
            return
        for lane in self.lanes:
            if self.ended(lane) in _CUT_SHORT:
                self.go_on(lane)

    async def drop(self, lane: Lane) -> None:
        """Leave a lane out; a branch of its own is hidden, which can be undone."""
        await self.hold(lane)
        self._lanes.remove(lane)
        number = self.tree.branch_of[lane.head]
        if self.tree.branch(number).head == lane.head:
            await self._controller.hide(number)

    async def take(self, lane: Lane) -> int:
        """Make a lane the path in view; it and the others go on. Its branch's number."""
        async with self._controller.paused_turn():
            self._bring_up(lane)
            self._explorer.go_to(lane.leaf)
        return self.tree.branch_of[lane.leaf]

    # How they stand

    def ended(self, lane: Lane) -> str:
        """Why a lane ended; empty while it streams, or where it is not known."""
        return "" if lane.live else self.tree.ended.get(lane.leaf, "")

    @staticmethod
    def mean(lane: Lane) -> float:
        """Nats a token."""
        return lane.logprob / len(lane.nodes)

    def twin(self, lane: Lane) -> int | None:
        """The number of an earlier lane that says the same text by other tokens."""
        for other in self._lanes:
            if other is lane:
                return None
            if len(lane.said) > 1 and other.said == lane.said:
                return other.number
        return None
