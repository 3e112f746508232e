"""Candidates as few bytes: shuffled planes of bytes, deflated; exact to the last bit."""

import zlib

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


def unpack(packed: bytes, most: int) -> tuple[bytes, bytes]:
    """The ids (u32) and logits (f32) of `pack`, native order, at most `most` candidates.

    Raises:
        ValueError: for bytes that `pack` did not make.
    """
    data = inflate(packed, 8 * most)
    if not data or len(data) % 8:
        raise ValueError(f"{len(data)} bytes are no whole number of candidates")
    planes = np.frombuffer(data, "u1").reshape(2, 4, -1)
    ids, steps = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<u4")[:, :, 0]
    return ids.astype("u4").tobytes(), np.cumsum(steps, dtype="u4").tobytes()


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


def are_falling(logits: bytes, most: float) -> bool:
    """Whether logits (f32) fall from `most` or less on, none of them being NaN."""
    values = np.frombuffer(logits, "f4")
    return bool(values[0] <= most and (values[1:] <= values[:-1]).all())
