"""Tokens as the user meets them: an id, its exact bytes, and how both are shown."""

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from tokexplore.models.display import running, visible


class Vocabulary(msgspec.Struct, frozen=True):
    """The tokenizer's ids and their exact bytes, packed so that 150,000 of them cost no objects."""

    blob: bytes
    """The bytes of all tokens, one after the other."""
    ends: bytes
    """u32, native order, shape [tokens]: where each token's bytes end in `blob`."""
    special: frozenset[int]
    """Ids of special tokens; their bytes are their literal (`</s>`)."""
    rows: int
    """Rows of the model's logits, which can be more than the tokenizer has tokens (padding)."""
    leading_space: bool = False
    """The tokenizer puts a space in front of a text (SentencePiece): a byte of the first token,
    which `text` and `pieces` leave out behind the special token that a path begins with."""

    @classmethod
    def pack(
        cls,
        tokens: Sequence[bytes],
        special: Iterable[int],
        rows: int,
        *,
        leading_space: bool = False,
    ) -> "Vocabulary":
        """A vocabulary from the bytes of each id in order; an unused id has empty bytes."""
        ends, total = array("I"), 0
        for token in tokens:
            total += len(token)
            ends.append(total)
        return cls(b"".join(tokens), ends.tobytes(), frozenset(special), rows, leading_space)

    def __len__(self) -> int:
        return len(self.ends) // 4

    def bytes_of(self, token: int) -> bytes:
        """The exact bytes of a token id; empty for padding rows and ids out of range."""
        if not 0 <= token < len(self):
            return b""
        ends = memoryview(self.ends).cast("I")
        return self.blob[ends[token - 1] if token else 0 : ends[token]]

    def agrees_with(self, other: "Vocabulary") -> bool:
        """Whether another one has the same bytes for every token of which this one knows some."""
        if self == other:
            return True
        if self.rows > other.rows:
            return False
        pairs = ((token, self.bytes_of(token)) for token in range(len(self)))
        return all(not data or data == other.bytes_of(token) for token, data in pairs)

    def show(self, token: int) -> str:
        """The display form of one token (JSONL's `text`); `<id N>` where there are no bytes."""
        data = self.bytes_of(token)
        return visible(data) if data else f"<id {token}>"

    def text(self, tokens: Iterable[int]) -> str:
        """The running text of a path, characters across tokens joined, special tokens left out."""
        path = list(tokens)
        parts = zip(path, self._parts(path), strict=True)
        spoken = (data for t, data in parts if t not in self.special and self.bytes_of(t))
        return "".join(running(spoken, complete=True))

    def names_special(self, text: str) -> bool:
        """Whether the literal of a special token stands in a text."""
        return any(name and name in text.encode() for name in map(self.bytes_of, self.special))

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """What each token adds to the running text; special tokens as their literal."""
        return running(self._parts(tokens), complete=True)

    def _parts(self, path: Sequence[int]) -> list[bytes]:
        """The bytes that each token of a path adds to its text."""
        parts = [self.bytes_of(t) or f"<id {t}>".encode() for t in path]
        if self.leading_space and path and path[0] in self.special:
            first = next((i for i, t in enumerate(path) if t not in self.special), 0)
            parts[first] = parts[first].removeprefix(b" ")
        return parts


NO_VOCABULARY = Vocabulary(b"", b"", frozenset(), rows=0)
