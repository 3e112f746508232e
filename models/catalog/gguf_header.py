"""Headers of GGUF files: what they say of the model, and which tensors they hold.

Only the header is read, through a memory map, and of long lists only how long they are.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tokexplore.models.untrusted import brief

_VERSIONS = (2, 3)
_MAGIC = b"GGUF"
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""Kinds of values by their number, as `struct` names them."""
_TEXT, _LIST = 8, 9
_MOST_DIMENSIONS = 4
_ALIGNMENT = 32
_LONGEST = 4096
"""Numbers of a list that is read: one has an entry a layer, not one a token."""
FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
"""Kinds of tensors whose elements are numbers, and the usual names of those."""


class Kind(NamedTuple):
    """How a tensor's elements are stored: in blocks of so many, of so many bytes."""

    name: str
    elements: int
    size: int


KINDS = {
    number: Kind(*kind)
    for number, kind in {
        0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
        6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
        10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
        13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
        16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
        19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
        22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
        26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
        30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    }.items()
}  # fmt: skip
"""By the number that stands in a file."""


class GgufTensor(NamedTuple):
    """What a header says of one tensor."""

    kind: Kind
    shape: tuple[int, ...]
    """The slowest dimension first, as torch has it."""
    start: int
    """Its first byte in the file."""
    file: Path

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.elements // self.kind.elements * self.kind.size


Value = bool | int | float | str | list[bool | int | float] | range
"""Of a list of texts, or of many numbers, only how many they are is read, as a range of it."""


class GgufHeader(NamedTuple):
    """All that stands before the tensors' numbers."""

    values: Mapping[str, Value]
    tensors: dict[str, GgufTensor]

    def text(self, name: str) -> str:
        """A text; empty where there is none of this name."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def whole(self, name: str) -> int | None:
        """A whole number, or how many a list has; None where there is none of this name."""
        value = self.values.get(name)
        if isinstance(value, list | range):
            return len(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def gguf_header(file: Path) -> GgufHeader:
    """The header of a GGUF file.

    Raises:
        ValueError: it is none, or shorter than its header says; to be read after its name.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("is not a GGUF file")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data, file).header()
            except (struct.error, UnicodeDecodeError, MemoryError, OverflowError):
                raise ValueError("is cut short, or is not a GGUF file") from None


class _Reader:
    """Reads from the begin to the end of a header."""

    def __init__(self, data: mmap.mmap, file: Path) -> None:
        self._data, self._file, self._at = data, file, len(_MAGIC)

    def header(self) -> GgufHeader:
        version = self._scalar("I")
        if version not in _VERSIONS:
            raise ValueError(f"is of version {version} of GGUF, of which 2 and 3 are read")
        tensors, values = self._scalar("Q"), self._scalar("Q")
        # A tensor has a name and four numbers, a value a name and its kind.
        if 32 * tensors + 12 * values > len(self._data):
            raise ValueError("is cut short, or is not a GGUF file")
        named = {self._text(): self._value(self._scalar("I")) for _ in range(values)}
        listed = [self._tensor() for _ in range(tensors)]
        alignment = named.get("general.alignment", _ALIGNMENT)
        if type(alignment) is not int or not 0 < alignment <= 1 << 20:
            raise ValueError(f"aligns its tensors by {brief(str(alignment))} bytes")
        start = -(-self._at // alignment) * alignment
        found = {n: t._replace(start=start + t.start, file=self._file) for n, t in listed}
        wanted = max((t.start + t.size for t in found.values()), default=0)
        if wanted > len(self._data):
            raise ValueError(f"is cut short: {len(self._data):,} of {wanted:,} bytes")
        return GgufHeader(named, found)

    def _tensor(self) -> tuple[str, GgufTensor]:
        name, count = self._text(), self._scalar("I")
        if not 0 < count <= _MOST_DIMENSIONS:
            raise ValueError(f"has a tensor of {count} dimensions ({brief(name)})")
        shape = struct.unpack_from(f"<{count}Q", self._take(8 * count))[::-1]
        number, offset = self._scalar("I"), self._scalar("Q")
        if (kind := KINDS.get(number)) is None:
            raise ValueError(f"stores {brief(name)} as kind {number}, which is not known here")
        if shape[-1] % kind.elements:
            raise ValueError(f"is no GGUF file: {brief(name)} is not of whole {kind.name} blocks")
        return name, GgufTensor(kind, shape, offset, self._file)

    def _value(self, kind: int) -> Value:
        if kind == _TEXT:
            return self._text()
        if kind == _LIST:
            return self._list()
        if kind not in _SCALARS:
            raise ValueError(f"has a value of kind {kind}, which is not known here")
        value: bool | int | float = self._scalar(_SCALARS[kind])
        return value

    def _list(self) -> Value:
        kind, count = self._scalar("I"), self._scalar("Q")
        if kind == _TEXT:
            self._pass_texts(count)
            return range(count)
        if kind not in _SCALARS:
            raise ValueError(f"has a list of kind {kind}, which is not known here")
        taken = self._take(count * struct.calcsize(_SCALARS[kind]))
        if count > _LONGEST:
            return range(count)
        return list(struct.unpack(f"<{count}{_SCALARS[kind]}", taken))

    def _pass_texts(self, count: int) -> None:
        """Go past texts without a look at them: a vocabulary has some hundred thousand."""
        length_at, data, at = struct.Struct("<Q").unpack_from, self._data, self._at
        for _ in range(count):  # ends with the data, however many are claimed
            (length,) = length_at(data, at)
            at += 8 + length
        self._at = at
        self._take(0)

    def _scalar(self, code: str) -> int:
        value: int = struct.unpack_from(f"<{code}", self._take(struct.calcsize(code)))[0]
        return value

    def _text(self) -> str:
        return bytes(self._take(self._scalar("Q"))).decode("utf-8", "replace")

    def _take(self, count: int) -> memoryview | bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("is cut short, or is not a GGUF file")
        taken = self._data[self._at : end]
        self._at = end
        return taken
