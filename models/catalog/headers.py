"""Headers of safetensors files: which tensors they hold, of which dtype and shape."""

import math
import struct
from pathlib import Path
from typing import Annotated

import msgspec

from tokexplore.models.untrusted import LARGEST_FILE

DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "C64": ("complex64", 8),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""By the name in a header: the usual name, and bytes of an element."""
Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class TensorHeader(msgspec.Struct, frozen=True):
    """What a safetensors header says of one tensor."""

    dtype: str
    shape: Annotated[list[Size], msgspec.Meta(max_length=64)]
    data_offsets: tuple[Size, Size]
    """Its first byte and the one after its last, counted from the end of the header."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.data_offsets[1] - self.data_offsets[0]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


_TENSOR = msgspec.json.Decoder(TensorHeader)


def safetensors_header(file: Path) -> dict[str, TensorHeader]:
    """The header of a safetensors file, by name of the tensor.

    Format: a little-endian u64 length, then that many bytes of JSON, then the data.

    Raises:
        ValueError: when the file is not safetensors or is shorter than its header says.
        OSError: when it cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length + 8 > size:
            raise ValueError("is not a safetensors file, or is cut short")
        if length > LARGEST_FILE:
            raise ValueError(f"is not a safetensors file: its header has {length:,} bytes")
        try:
            raw = msgspec.json.decode(stream.read(length), type=dict[str, msgspec.Raw])
            raw.pop("__metadata__", None)
            header = {name: _TENSOR.decode(tensor) for name, tensor in raw.items()}
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ValueError(f"is not a safetensors file ({error})") from None
    for name, tensor in header.items():
        bits = 8 * DTYPES[tensor.dtype][1] if tensor.dtype in DTYPES else 1
        wanted = -(-tensor.elements * bits // 8)
        if tensor.size < wanted or (tensor.dtype in DTYPES and tensor.size != wanted):
            raise ValueError(f"is not a safetensors file: {name} is not as large as its shape")
    wanted = 8 + length + max((tensor.data_offsets[1] for tensor in header.values()), default=0)
    if wanted > size:
        raise ValueError(f"is cut short: {size:,} of {wanted:,} bytes")
    return header
