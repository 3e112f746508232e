"""Which tokens two models have in common: by id and by bytes, never by a tokenizer's name."""

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.tokens import Vocabulary


class Shared(msgspec.Struct, frozen=True):
    """The ids that mean the same to two models."""

    rows: int
    """Ids below this number are looked at: the rows of the smaller one."""
    unlike: tuple[int, ...] = ()
    """Those among them that are a token in one and no token in the other, rising."""
    beyond: tuple[int, int] = (0, 0)
    """Rows that each one has beyond them."""

    @property
    def complete(self) -> bool:
        """Whether they are all rows of both."""
        return not self.unlike and not any(self.beyond)

    def holds(self, token: int) -> bool:
        """Whether a token is one of them."""
        return token < self.rows and token not in self.unlike

    @property
    def size(self) -> int:
        """How many there are."""
        return self.rows - len(self.unlike)


def shared_tokens(first: Engine, second: Engine) -> Shared | None:
    """The tokens that two models share; None where an id is one token here and another there."""
    if not all(engine.info.capabilities.own_ids for engine in (first, second)):
        return None
    return shared_ids(first.vocabulary, second.vocabulary)


def shared_ids(first: Vocabulary, second: Vocabulary) -> Shared | None:
    """The same of two vocabularies.

    An id without bytes (padding) in both is the same row in both.
    """
    rows = min(first.rows, second.rows)
    beyond = first.rows - rows, second.rows - rows
    if (first.blob, first.ends) == (second.blob, second.ends):
        return Shared(rows, beyond=beyond)
    unlike, alike = list[int](), 0
    for token in range(rows):
        ours, theirs = first.bytes_of(token), second.bytes_of(token)
        if ours and theirs and ours != theirs:
            return None
        if bool(ours) != bool(theirs):
            unlike.append(token)
        alike += bool(ours and theirs)
    return Shared(rows, tuple(unlike), beyond) if alike else None
