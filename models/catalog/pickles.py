"""Weights that torch pickled: which tensors they hold, of which dtype and shape.

The pickle is read as data: nothing that it names is imported, nothing is called, and what a file
of weights has no use for is refused, as torch's own reader for weights alone does.
"""

import pickle
import pickletools
import re
import zipfile
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from tokexplore.models.catalog.headers import DTYPES, TensorHeader

_OLD_START = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
"""How a file of torch before 1.6 begins, which is no archive."""
_LONGEST, _STEPS = 1 << 24, 1 << 20
"""Bytes and steps in which names, dtypes and shapes end: those of some 20,000 tensors."""
_STORAGES = {
    "Double": "F64",
    "Float": "F32",
    "Half": "F16",
    "BFloat16": "BF16",
    "Long": "I64",
    "Int": "I32",
    "Short": "I16",
    "Char": "I8",
    "Byte": "U8",
    "Bool": "BOOL",
    "ComplexFloat": "C64",
    "Untyped": "U8",
}
_NAMES = {usual: name for name, (usual, _) in DTYPES.items()}
_TENSOR = re.compile(r"torch\._utils\._rebuild_tensor(_v2|_v3)?")
_PARAMETER = re.compile(r"torch\._utils\._rebuild_parameter(_with_state)?")
_ALLOWED = re.compile(
    r"torch\.([\w.]*(Storage|Tensor)|Size|device|nn\.parameter\.Parameter|_utils\._rebuild_\w+"
    r"|_tensor\._rebuild_from_type_v2|serialization\._get_layout"
    r"|(q?u?int|b?float|complex|bits|bool|per_)\w*)"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode|(__builtin__|builtins)\.(bytearray|set|complex)"
)
"""What torch knows in a file of weights; it refuses any other."""
_ADVICE = "choose a checkpoint of it that is stored as safetensors"


class _Global(NamedTuple):
    """What a pickle would import."""

    path: str


class _Storage(NamedTuple):
    key: str
    dtype: str
    size: int
    """Bytes."""


class _Tensor(NamedTuple):
    storage: _Storage
    header: TensorHeader
    begin: int
    """Its first element in the storage."""


class _Other:
    """A value of which nothing here depends."""


def pickled_header(file: Path) -> dict[str, TensorHeader]:
    """The tensors of a file that torch.save wrote, by name, as safetensors would tell of them.

    Several names of one tensor, such as those of tied weights, are told once, by the first.

    Raises:
        ValueError: when it is not such a file, holds what weights do not need, or is cut short.
        OSError: when it cannot be read.
    """
    try:
        value = _archived(file) if zipfile.is_zipfile(file) else _old(file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"is not a file of weights by torch ({error}): {_ADVICE}") from None
    found: dict[str, TensorHeader] = {}
    seen = set()
    for name, tensor in value.items() if isinstance(value, dict) else ():
        if not isinstance(tensor, _Tensor):
            continue
        place = (tensor.storage.key, tensor.begin, *tensor.header.shape)
        if place not in seen:
            seen.add(place)
            found[name] = tensor.header
    return found


def _archived(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        pickles = [name for name in sizes if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(pickles) != 1:
            raise ValueError(f"is not a file of weights by torch (no data.pkl): {_ADVICE}")
        with archive.open(pickles[0]) as stream:
            value, storages = _read(BytesIO(stream.read(_LONGEST)))
    folder = pickles[0].removesuffix(".pkl")
    for storage in storages:
        if (held := sizes.get(f"{folder}/{storage.key}", 0)) < storage.size:
            raise ValueError(_cut(held, storage.size))
    return value


def _old(file: Path) -> Any:
    size = file.stat().st_size
    with file.open("rb") as whole:
        head = BytesIO(whole.read(_LONGEST))
    if head.read(len(_OLD_START)) != _OLD_START:
        raise ValueError(f"is not a file of weights by torch, or is cut short: {_ADVICE}")
    _read(head)  # its version
    _read(head)  # the machine that wrote it
    value, storages = _read(head)
    _read(head)  # the order of its storages
    wanted = head.tell() + sum(8 + storage.size for storage in storages)
    if size < wanted:
        raise ValueError(_cut(size, wanted))
    return value


def _cut(held: int, wanted: int) -> str:
    return f"is cut short ({held:,} of {wanted:,} bytes): copy or download it again"


def _read(stream: BinaryIO) -> tuple[Any, set[_Storage]]:
    """The next value of a pickle, and the storages that its tensors lie in."""
    reader = _Reader()
    try:
        return reader.value(stream), reader.storages
    except _RefusedError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"is not a file of weights by torch ({cause}): {_ADVICE}") from None


class _RefusedError(ValueError):
    """Something of a pickle that is no weights, to be read after the file's name."""


class _Reader:
    """The stack machine of a pickle, as far as weights need it."""

    def __init__(self) -> None:
        self.storages: set[_Storage] = set()
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """What lies under each mark."""
        self._memo: dict[int, Any] = {}

    def value(self, stream: BinaryIO) -> Any:
        for opcode, argument, _ in islice(pickletools.genops(stream), _STEPS):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("too long")

    def _step(self, code: str, argument: Any) -> None:
        stack = self._stack
        if code in _CONSTANTS:
            make = _CONSTANTS[code]
            stack.append(make() if make else argument)
        elif code in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif code in _TUPLES:
            count = _TUPLES[code]
            stack[-count:] = [tuple(stack[-count:])]
        elif code == "MARK":
            self._below.append(stack)
            self._stack = []
        elif code in ("TUPLE", "APPENDS", "SETITEMS"):
            self._stack = self._below.pop()
            self._gather(code, stack)
        elif code == "GLOBAL":
            stack.append(_global(argument))
        elif code in ("APPEND", "SETITEM", "BUILD", "REDUCE", "NEWOBJ", "BINPERSID"):
            self._apply(code)
        elif code != "PROTO":
            raise _RefusedError(f"is pickled as weights are not ({code}): {_ADVICE}")

    def _gather(self, code: str, items: list[Any]) -> None:
        """What follows a mark, made a tuple or put into the list or dict below it."""
        if code == "TUPLE":
            self._stack.append(tuple(items))
        elif code == "APPENDS":
            _extend(self._stack[-1], items)
        else:
            _update(self._stack[-1], zip(items[::2], items[1::2], strict=True))

    def _apply(self, code: str) -> None:
        last = self._stack.pop()
        if code == "BINPERSID":
            self._stack.append(self._storage(last))
        elif code == "APPEND":
            _extend(self._stack[-1], [last])
        elif code == "SETITEM":
            name = self._stack.pop()
            _update(self._stack[-1], [(name, last)])
        elif code == "REDUCE":
            self._stack.append(_called(self._stack.pop(), last))
        elif code == "NEWOBJ":
            self._stack[-1] = _Other()
        # BUILD gives a dict its metadata, which no tensor depends on.

    def _storage(self, persistent_id: Any) -> Any:
        kind, of, key, _, count, *_ = persistent_id
        if kind != "storage" or not isinstance(count, int) or not 0 <= count < 2**63:
            raise ValueError("no storage")
        name = of.path.rpartition(".")[2].removesuffix("Storage")
        dtype = _STORAGES.get(name, name.upper())
        storage = _Storage(str(key), dtype, count * _width(dtype))
        self.storages.add(storage)
        return storage


_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(["BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"]),
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": _Other},
    "SHORT_BINSTRING": None,
}
"""What codes put on the stack; None for their argument."""
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _global(argument: str) -> _Global:
    path = argument.replace(" ", ".", 1)
    if not _ALLOWED.fullmatch(path):
        raise _RefusedError(f"asks for Python's {path[:100]}, as weights do not: {_ADVICE}")
    return _Global(path)


def _called(function: _Global, arguments: Any) -> Any:
    """What a call would make, as far as it is a tensor or a dict."""
    if function.path == "collections.OrderedDict":
        return {}
    if _PARAMETER.fullmatch(function.path):
        return arguments[0]
    if not _TENSOR.fullmatch(function.path):
        return _Other()
    storage, begin, shape = arguments[:3]
    dtype = storage.dtype
    if function.path.endswith("_v3"):
        usual = arguments[6].path.removeprefix("torch.")
        dtype = _NAMES.get(usual, usual.upper())
    header = {"dtype": dtype, "shape": list(shape), "data_offsets": (0, 0)}
    checked = msgspec.convert(header, TensorHeader)
    size = checked.elements * _width(dtype)
    return _Tensor(storage, msgspec.structs.replace(checked, data_offsets=(0, size)), begin)


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)


def _update(target: Any, pairs: Any) -> None:
    """Names are texts; a value under any other key is none that a model has."""
    if isinstance(target, dict):
        target.update((name, value) for name, value in pairs if _is_name(name))


def _is_name(key: object) -> bool:
    return isinstance(key, str) and bool(key.encode())


def _width(dtype: str) -> int:
    return DTYPES[dtype][1] if dtype in DTYPES else 1
