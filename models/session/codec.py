"""Candidates as few bytes: shuffled planes of bytes, deflated; exact to the last bit."""

import zlib
from collections.abc import Sequence

import numpy as np

_LEVEL = 1


def pack(ids: bytes, logits: bytes) -> bytes:
    """Candidates of one distribution, packed.

    Args:
        ids: u32, native order, shape [K].
        logits: f32, native order, shape [K], falling.
    """
    bits = np.frombuffer(logits, "u4").astype("<u4")
    # Falling logits have neighbouring bit patterns: their differences leave high bytes empty.
    steps = np.diff(bits, prepend=np.zeros(1, "<u4"))
    planes = [np.frombuffer(ids, "u4").astype("<u4"), steps]
    return zlib.compress(b"".join(p.view("u1").reshape(-1, 4).T.tobytes() for p in planes), _LEVEL)


def unpack(packed: Sequence[bytes], most: Sequence[int]) -> list[tuple[bytes, bytes]]:
    """The ids (u32) and logits (f32) of each `pack`, native order, falling.

    Args:
        most: candidates that each holds at most.

    Raises:
        ValueError: for bytes that `pack` did not make.
    """
    inflated = [inflate(data, 8 * limit) for data, limit in zip(packed, most, strict=True)]
    found: dict[int, tuple[bytes, bytes]] = {}
    for size in {len(data) for data in inflated}:
        if not size or size % 8:
            raise ValueError(f"{size} bytes are no whole number of candidates")
        # All of one size at once: most of the time that one takes is spent before its first byte.
        places = [place for place, data in enumerate(inflated) if len(data) == size]
        found |= zip(places, _unshuffled([inflated[place] for place in places]), strict=True)
    return [found[place] for place in range(len(inflated))]


def _unshuffled(inflated: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    planes = np.frombuffer(b"".join(inflated), "u1").reshape(len(inflated), 2, 4, -1)
    values = np.ascontiguousarray(planes.transpose(0, 1, 3, 2)).view("<u4")[..., 0]  # [N, 2, K]
    ids, bits = values[:, 0].astype("u4"), np.cumsum(values[:, 1], axis=1, dtype="u4")
    logits = bits.view("f4")
    if not (logits[:, 1:] <= logits[:, :-1]).all():
        raise ValueError("logits that do not fall are no candidates")
    return [(a.tobytes(), b.tobytes()) for a, b in zip(ids, logits, strict=True)]


def inflate(packed: bytes, most: int) -> bytes:
    """Deflated bytes in full, as long as they are at most `most`.

    Raises:
        ValueError: when they are longer, broken or not whole.
    """
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(data) > most or not engine.eof:
        raise ValueError("packed data is longer than it can be, or cut off")
    return data
