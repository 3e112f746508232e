"""Tokens by the texts that a server writes of them, where those are one token's exact bytes."""

import re
from collections.abc import Sequence

from tokexplore.models.partial_characters import LONGEST_CHARACTER, missing
from tokexplore.models.tokens import Vocabulary

_AS_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2}|[ -\[\]-~])+)")
"""How OpenAI writes a token that is no valid text: other bytes than printable ASCII as `\\xNN`."""
_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_UNKNOWN = "\ufffd"
"""What stands for bytes that are no character: which ones they were is lost."""


class TokenNames:
    """The tokens of a vocabulary by their bytes, where those are one token's alone."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._bytes_of = vocabulary.bytes_of
        self._owners: dict[bytes, int | None] = {}
        """None where several have them."""
        for token in range(len(vocabulary)):
            data = vocabulary.bytes_of(token)
            self._owners[data] = None if data in self._owners else token
        self._owners[b""] = None  # a special token that is not written, or half a character

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
