"""Characters that tokens hold only in part: what their bytes can begin, or became on a path."""

from collections.abc import Sequence
from typing import NamedTuple

LONGEST_CHARACTER = 4
"""Bytes of UTF-8 in one character."""
_SHORTEST_OF = (0, 0, 0x80, 0x800, 0x10000)
"""By number of bytes: the first character that has so many."""
_LAST_OF = (0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF)
_SURROGATES = range(0xD800, 0xE000)
"""No characters: nothing of them is UTF-8."""


class Partial(NamedTuple):
    """A character, or what is none, of which a token has some of the bytes but not all."""

    data: bytes
    """All bytes of it that are there."""
    so_far: bytes
    """Those of them up to the token's own, which are its last."""
    own: bytes
    """Those that are the token's."""
    before: int
    """Tokens before this one that have some of them."""
    after: int
    """Tokens after it that have."""
    character: str = ""
    """What they make; empty while bytes are missing, and where they can make none."""
    is_open: bool = False
    """Whether the path ends before it does."""


def beginnings(head: bytes) -> range:
    """The code points whose UTF-8 begins with some bytes (RFC 3629); an empty range for none."""
    lead = head[0] if head else 0x80
    count = _length(lead)
    if not count or len(head) > count or any(byte & 0xC0 != 0x80 for byte in head[1:]):
        return range(0)
    code = lead & (0x7F if count == 1 else 0xFF >> (count + 1))
    for byte in head[1:]:
        code = code << 6 | byte & 0x3F
    missing = 6 * (count - len(head))
    first, last = code << missing, ((code + 1) << missing) - 1
    first, last = max(first, _SHORTEST_OF[count]), min(last, _LAST_OF[count])
    if first in _SURROGATES:
        return range(0)
    return range(first, min(last, _SURROGATES.start - 1 if first < _SURROGATES.start else last) + 1)


def _length(lead: int) -> int:
    """How many bytes a character has that begins with a byte; 0 where none does."""
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return 0
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def missing(head: bytes) -> int:
    """How many bytes a character lacks that some bytes begin."""
    return _length(head[0]) - len(head)


def partials(tokens: Sequence[bytes], index: int) -> list[Partial]:
    """The characters that the token at an index has some bytes of but not all, in their order.

    With them the bytes of it that are part of none. Only the tokens near it are looked at.

    Args:
        tokens: the bytes of each token of a path.
        index: of the token.
    """
    before = _near(tokens[index - 1 :: -1] if index else ())[::-1]
    after = _near(tokens[index + 1 :])
    parts = [*before, tokens[index], *after]
    here, data = len(before), b"".join(parts)
    owners = [number for number, part in enumerate(parts) for _ in part]
    found, at = [], 0
    while at < len(data):
        stop, character, is_open = _next(data, at)
        holders = owners[at:stop]
        if here in holders and not (character and {*holders} == {here}):
            end = at + len(holders) - holders[::-1].index(here)
            begin = at + holders.index(here)
            found.append(
                Partial(
                    data[at:stop], data[at:end], data[begin:end],
                    len({n for n in holders if n < here}), len({n for n in holders if n > here}),
                    character, is_open,
                )
            )  # fmt: skip
        at = stop
    return found


def _near(tokens: Sequence[bytes]) -> list[bytes]:
    """As many of the tokens as can share a character with the one before them."""
    near, room = [], LONGEST_CHARACTER - 1
    for token in tokens:
        if room <= 0:
            break
        near.append(token)
        room -= len(token)
    return near


def _next(data: bytes, at: int) -> tuple[int, str, bool]:
    """Where what begins at a byte ends, the character that it is, and whether bytes are missing."""
    stop = at + 1
    if not beginnings(data[at:stop]):
        return stop, "", False
    while missing(data[at:stop]):
        if stop == len(data):
            return stop, "", True
        if not beginnings(data[at : stop + 1]):
            return stop, "", False
        stop += 1
    return stop, data[at:stop].decode(), False
