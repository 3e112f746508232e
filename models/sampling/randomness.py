"""One uniform number per node, from the seed, the path and the draw number alone.

The path's ids are chained through keyed BLAKE2b (RFC 7693), so a node's number does not depend on
what was explored before, on batching or on other branches.
"""

from collections.abc import Iterable
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
