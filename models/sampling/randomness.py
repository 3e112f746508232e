"""One uniform number per node, from the seed, the path and the draw number alone.

The path's ids are chained through keyed BLAKE2b (RFC 7693), so a node's number does not depend on
what was explored before, on batching or on other branches.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b


def seed_after(seed: int, number: int) -> int:
    """The seed so many after one; after the last of 64 bits comes 0."""
    return (seed + number) % 2**64


def seed_key(seed: int) -> bytes:
    """The 16-byte key of the empty path."""
    return blake2b(b"tokexplore/1" + seed.to_bytes(8, "little"), digest_size=16).digest()


def extend_key(key: bytes, token: int) -> bytes:
    """The key of a path after one more token."""
    return blake2b(token.to_bytes(4, "little"), digest_size=16, key=key).digest()


def path_key(seed: int, tokens: Iterable[int]) -> bytes:
    """The key of a whole path."""
    key = seed_key(seed)
    for token in tokens:
        key = extend_key(key, token)
    return key


def uniform(key: bytes, draw: int = 0) -> float:
    """A number in [0, 1) with 53 bits, for the `draw`-th draw after the path of this key."""
    digest = blake2b(draw.to_bytes(8, "little"), digest_size=8, key=key, person=b"draw").digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


class Uniforms:
    """The uniform number of each node along a path that only grows."""

    def __init__(self) -> None:
        self._seed: int | None = None
        self._key = b""
        self._length = 0

    def after(self, path: Sequence[int], seed: int, draw: int) -> float:
        """The number for the token after `path`."""
        if seed != self._seed:
            self._seed, self._key = seed, path_key(seed, path)
        else:
            for token in path[self._length :]:
                self._key = extend_key(self._key, token)
        self._length = len(path)
        return uniform(self._key, draw)
