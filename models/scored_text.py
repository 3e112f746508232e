"""A text that could come next, as the tokens that it was read as, with the model's numbers."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from tokexplore.models.distribution import TokenRank

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Logprob = Annotated[float, msgspec.Meta(le=1e-3)]
"""Nats; above 0 by no more than rounding leaves."""


class ScoredText(msgspec.Struct, frozen=True):
    """A text after a path, in one tokenization of it: other tokens can spell the same text."""

    text: str
    """As it was given."""
    ids: tuple[Number, ...]
    logprobs: tuple[Logprob | None, ...]
    """The model's raw logprob (nats) of each token after those before it; None is minus
    infinity."""
    ranks: tuple[Number, ...]
    """0 where the engine does not tell it."""
    literal: bool = False
    """The names of tokens in it (`</s>`) were read as their characters."""
    model: Number = 0
    """In a session: the number of the model that it was scored by."""

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.logprobs) == len(self.ranks) > 0:
            raise ValueError("a text without tokens, or tokens without numbers")

    @property
    def logprob(self) -> float:
        """Of the whole text: the sum of its tokens' (nats)."""
        return -math.inf if None in self.logprobs else math.fsum(filter(None, self.logprobs))

    @property
    def mean(self) -> float:
        """Logprob a token (nats)."""
        return self.logprob / len(self.ids)

    @property
    def perplexity(self) -> float:
        """Of its tokens; infinity where a number cannot hold it."""
        return math.exp(-self.mean) if self.mean > -700 else math.inf


def scored_text(
    text: str, standings: Sequence[TokenRank], *, literal: bool, model: int = 0
) -> ScoredText:
    """A text with where each of its tokens, at least one, stands in the distribution before it."""
    logprobs = (s.logprob for s in standings)
    return ScoredText(
        text,
        tuple(s.token for s in standings),
        tuple(None if logprob == -math.inf else logprob for logprob in logprobs),
        tuple(s.rank for s in standings),
        literal,
        model,
    )


def by_probability(texts: Sequence[ScoredText]) -> list[ScoredText]:
    """The most probable first; equal ones stay in their order."""
    return sorted(texts, key=lambda text: -text.logprob)
