"""A path of a tree that grows whose next tokens are known, or are being asked for."""

import math
from typing import Literal, NamedTuple

from tokexplore.models.api.engine import EndReason
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import Distribution

Fate = Literal["open", "cut"] | EndReason
"""What becomes of a path: it may be gone on from, the budget or the context keeps it from that, or
it is over."""


class GrownNode:
    """A path that is gone on from.

    Args:
        parent: None of the prompt's end.
        token: its last one; -1 of the prompt's end.
        mass: probability of its generated tokens.
        text: what these say as far as characters are whole, and `held`, the bytes behind that.
        met: bits by number of the watched texts that it surely holds.
    """

    __slots__ = (
        "came_by", "children", "depth", "distribution", "fates", "held", "ids", "marks", "mass",
        "met", "missed", "more", "parent", "rest", "shares", "text", "token", "told", "unseen",
    )  # fmt: skip

    def __init__(
        self,
        parent: "GrownNode | None",
        token: int,
        mass: float,
        text: str = "",
        held: bytes = b"",
        met: int = 0,
    ) -> None:
        self.parent, self.token, self.mass = parent, token, mass
        self.text, self.held, self.met = text, held, met
        self.depth: int = parent.depth + 1 if parent else 0
        """Generated tokens."""
        self.ids: list[int] = []
        """Next tokens, the most probable ones first."""
        self.shares: list[float] = []
        """Their probabilities at this step."""
        self.fates: list[Fate] = []
        """Of the path with each of them."""
        self.marks: dict[int, int] = {}
        """By place: bits of the watched texts that the path with that token surely holds, and this
        one does not."""
        self.rest = 1.0
        """Probability at this step of the tokens that are not among them."""
        self.missed = 0.0
        """The part of it that no page lists."""
        self.told = 0
        """Places of the order that were told: more than `ids` where a token came a second time."""
        self.more = True
        """Whether what comes behind them can be asked for."""
        self.distribution: Distribution | None = None
        self.children: dict[int, GrownNode] = {}
        """By place: those that are gone on from."""
        self.came_by: set[int] = set()
        """Places whose path is over, and came up in line."""
        self.unseen = 0
        """The first place that is not gone on from."""

    def take_in(self, told: NextTokens) -> None:
        """Know the first next tokens, or those behind the ones that were told."""
        if self.ids:
            self._take_in_page(told)
        else:
            self.ids, self.shares, self.rest = [*told.id_view], [*told.share_view], told.rest
        self.told, self.more = self.told + len(told), told.more
        self.distribution = told.distribution or self.distribution

    def _take_in_page(self, told: NextTokens) -> None:
        """Know more next tokens, as shares of what the rest was.

        The row may have been computed anew since the page before, and alone instead of beside
        others: in low precision its probabilities differ by a little, and so does its order. What
        was read first stays: those tokens keep their shares, all others have the rest together, and
        none of them has more than the last one listed. How they divide it the new page says. A
        token that comes a second time has pushed one in front of the page that is listed nowhere
        and is about as probable: its share is that one's, and stays in the rest.
        """
        whole = math.fsum((*told.share_view, told.rest))
        if not whole:
            return
        scale, listed, most = (self.rest - self.missed) / whole, set(self.ids), self.shares[-1]
        behind = [scale * told.rest]
        for token, share in zip(told.id_view, told.share_view, strict=True):
            if token in listed:
                self.missed += scale * share
                continue
            self.ids.append(token)
            self.shares.append(min(scale * share, most))
            behind.append(scale * share - self.shares[-1])
        self.rest = math.fsum((*behind, self.missed))

    def is_over(self, place: int) -> bool:
        """Whether the path with the token at a place is over."""
        return self.fates[place] not in ("open", "cut")

    def drop(self, child: "GrownNode") -> None:
        """Let a path not be gone on from after all."""
        place = next(at for at, each in self.children.items() if each is child)
        del self.children[place]
        self.unseen = min(self.unseen, place)

    def tokens(self) -> list[int]:
        """The generated tokens up to here."""
        found, node = list[int](), self
        while node.parent is not None:
            found.append(node.token)
            node = node.parent
        return found[::-1]

    def mass_at(self, place: int) -> float:
        """Probability of the path with the token at a place; behind the last one, the most that any
        token can have that is not listed."""
        if place < len(self.shares):
            return self.mass * self.shares[place]
        return self.mass * min(self.rest, self.shares[-1] if self.shares else 1.0)


class Leaf(NamedTuple):
    """A path that is not gone on from."""

    mass: float
    node: GrownNode
    """The path but for its last token."""
    place: int
    """Of that token among the next ones of `node`."""

    @property
    def token(self) -> int:
        """Its last token."""
        return self.node.ids[self.place]

    @property
    def fate(self) -> Fate:
        """What becomes of it."""
        return self.node.fates[self.place]

    def tokens(self) -> list[int]:
        """Its generated tokens."""
        return [*self.node.tokens(), self.token]
