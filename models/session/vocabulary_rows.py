"""A vocabulary as a row of a session file, and back."""

import zlib

import msgspec
import numpy as np

from tokexplore.models.session.codec import inflate
from tokexplore.models.session.rows import Count
from tokexplore.models.tokens import Vocabulary

MOST_TOKENS, MOST_TOKEN_BYTES = 1 << 24, 1 << 28
"""A vocabulary beyond these is taken for damage."""


def vocabulary_row(vocabulary: Vocabulary) -> tuple[object, ...]:
    """A vocabulary as the values of its row, but for the id."""
    special = msgspec.json.encode(sorted(vocabulary.special)).decode()
    ends = np.frombuffer(vocabulary.ends, "u4").astype("<u4").tobytes()
    return (
        vocabulary.rows, int(vocabulary.leading_space), special,
        zlib.compress(ends), zlib.compress(vocabulary.blob),
    )  # fmt: skip


class VocabularyRow(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A row of the table `vocabulary`, its columns in order."""

    id: int
    rows: Count
    leading_space: int
    special: str
    """JSON list of ids."""
    ends: bytes
    """Deflated u32, little endian: where each token's bytes end."""
    bytes: bytes
    """Deflated: the bytes of all tokens, one after the other."""


def vocabulary_of(row: VocabularyRow) -> Vocabulary:
    """The vocabulary that a row tells.

    Raises:
        ValueError: for a row that tells none.
    """
    ends = np.frombuffer(inflate(row.ends, 4 * MOST_TOKENS), "<u4")
    blob = inflate(row.bytes, MOST_TOKEN_BYTES)
    if len(ends) and (np.any(np.diff(ends.astype("i8")) < 0) or ends[-1] != len(blob)):
        raise ValueError("the vocabulary's bytes do not fit its tokens")
    special = msgspec.json.decode(row.special, type=frozenset[int])
    return Vocabulary(blob, ends.astype("u4").tobytes(), special, row.rows, bool(row.leading_space))
