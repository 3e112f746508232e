"""A line of a text whose probability was asked for, read again."""

from typing import Annotated

import msgspec

from tokexplore.models.scored_text import Logprob, Number, ScoredText


class ReadToken(msgspec.Struct):
    """One of its tokens."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]
    bytes: str
    logprob: Annotated[Logprob, msgspec.Meta(ge=-1e6)] | None
    rank: Number | None


class TextLine(msgspec.Struct, tag="text"):
    """A text after a node; what is made from its tokens is left out."""

    node: Number
    model: Number
    given: str
    tokens: Annotated[tuple[ReadToken, ...], msgspec.Meta(min_length=1)]
    literal: bool = False

    def plain(self) -> ScoredText:
        """The text alone."""
        return ScoredText(
            self.given,
            tuple(token.id for token in self.tokens),
            tuple(token.logprob for token in self.tokens),
            tuple(token.rank or 0 for token in self.tokens),
            self.literal,
            self.model,
        )
