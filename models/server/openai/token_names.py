"""Tokens by the texts that a server writes of them, where those are one token's exact bytes."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tokexplore.models.partial_characters import LONGEST_CHARACTER, missing
from tokexplore.models.tokens import Vocabulary

_AS_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2}|[ -\[\]-~])+)")
"""How OpenAI writes a token that is no valid text: other bytes than printable ASCII as `\\xNN`."""
_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_UNKNOWN = "\ufffd"
"""What stands for bytes that are no character: which ones they were is lost."""


class Spelling(NamedTuple):
    """What a server tells of a token."""

    text: str
    data: bytes | None = None
    """Its bytes, where it tells them; empty where it has none for a token, or half a character."""
    token: int | None = None
    """Its id, where it tells that."""

    @property
    def unseen(self) -> bool:
        """Whether it tells nothing."""
        return not self.text and not self.data and self.token is None


class TokenNames:
    """The tokens of a vocabulary by their bytes, where those are one token's alone."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._bytes_of, self._special = vocabulary.bytes_of, vocabulary.special
        self._owners: dict[bytes, int | None] = {}
        """None where several have them."""
        for token in range(len(vocabulary)):
            data = vocabulary.bytes_of(token)
            self._owners[data] = None if data in self._owners else token
        self._owners[b""] = None  # a special token that is not written, or half a character

    def of(self, told: Spelling, begun: bytes = b"") -> int | None:
        """The token that is told of; None where it can be none or several.

        An id counts where its bytes are those that are told: a row that stands for all tokens of a
        character has the id of the last one. Bytes that are only those of the text say no more than
        the text.

        Args:
            begun: see `token`.
        """
        text = told.text.encode("utf-8", "surrogatepass")
        if told.token is not None:
            data = text if told.data is None else told.data
            unwritten = not data and told.token in self._special
            return told.token if unwritten or data == self._bytes_of(told.token) else None
        if told.data and told.data != text:
            return self._owners.get(told.data)
        return self.token(told.text, begun)

    def token(self, text: str, begun: bytes = b"") -> int | None:
        """The token that a text is; None where it can be none or several.

        Args:
            begun: the bytes of a character that the path has begun (`begun`). A server that writes
                characters once they are whole gives them all to their last token.
        """
        if _UNKNOWN in text:
            return None
        data = text.encode("utf-8", "surrogatepass")
        if found := _AS_BYTES.fullmatch(text):
            if data in self._owners:
                return None
            data = _BYTE.sub(lambda byte: bytes([int(byte[1], 16)]), found[1].encode())
        elif begun and data.startswith(begun):
            return None
        return self._owners.get(data)

    def begun(self, path: Sequence[int]) -> bytes:
        """The bytes at the end of a path that begin a character and do not finish it."""
        tail = b"".join(map(self._bytes_of, path[1 - LONGEST_CHARACTER :]))
        heads = (tail[-count:] for count in range(1, min(LONGEST_CHARACTER, len(tail) + 1)))
        return next((head for head in heads if missing(head) > 0), b"")
