"""A path of a tree that grows whose next tokens are known, or are being asked for."""

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
        "met", "more", "parent", "rest", "shares", "text", "token", "unseen",
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
        self.more = True
        """Whether these can be asked for."""
        self.distribution: Distribution | None = None
        self.children: dict[int, GrownNode] = {}
        """By place: those that are gone on from."""
        self.came_by: set[int] = set()
        """Places whose path is over, and came up in line."""
        self.unseen = 0
        """The first place that is not gone on from."""

    def take_in(self, told: NextTokens) -> None:
        """Know more next tokens, or the first ones."""
        self.ids += told.id_view
        self.shares += told.share_view
        self.rest, self.more = told.rest, told.more
        self.distribution = told.distribution or self.distribution

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
