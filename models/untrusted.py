"""What others hand us, made into values: JSON, numbers and paths, bounded before they are used."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from tokexplore.models.errors import UsageError, reason_of

DEEPEST = 100
"""Lists and objects within each other; beyond that libraries run out of stack."""
LARGEST_FILE = 100_000_000
"""Bytes at most of a file that is read whole."""
BITS = 64
"""Of the largest whole number that a message or a row of a session can hold."""
LARGEST_COUNT = 2**31 - 1
"""Of what is counted: tokens, runs, rows, seconds."""
_SHOWN = 40
_BYTE_ORDER_MARK = "\ufeff"
T = TypeVar("T")


def json_of(data: bytes | str, *, exact: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        exact: refuse whole numbers of more than 64 bits.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: it is nested too deeply or has too long a number, to be read after its name.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError(f"is nested more than {DEEPEST} deep") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # Python converts no more than some thousand digits
        raise ValueError("has a whole number of too many digits") from None
    level = [value]
    for _ in range(DEEPEST + 1):
        if exact and any(isinstance(one, int) and abs(one) >> BITS for one in level):
            raise ValueError(f"has a whole number of more than {BITS} bits")
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return value
    raise ValueError(f"is nested more than {DEEPEST} deep")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def check_length(file: Path) -> None:
    """Refuse a file that is too long to be read whole.

    Raises:
        ValueError: its size and the largest one, to be read after its name.
        OSError: it cannot be looked at.
    """
    if (size := file.stat().st_size) > LARGEST_FILE:
        raise ValueError(f"is too large ({size:,} bytes; {LARGEST_FILE:,} at most)")


def read_whole(stream: BinaryIO) -> bytes:
    """All bytes of a file, which may have no size of its own: a pipe, a device.

    Raises:
        ValueError: they are too many, to be read after its name.
        OSError: it cannot be read.
    """
    data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"is too large ({LARGEST_FILE:,} bytes at most)")
    return data


def decoded(name: str, data: bytes, notices: list[str]) -> str:
    """Bytes as UTF-8 text, but for a byte order mark.

    Args:
        notices: what was left out is told here.

    Raises:
        UsageError: they are something else.
    """
    try:
        return without_mark(name, data.decode("utf-8"), notices)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8 text (byte 0x{data[error.start]:02X} at offset {error.start}): "
            "convert it first."
        ) from None


def without_mark(name: str, text: str, notices: list[str]) -> str:
    """The text without a byte order mark at its head, which editors write and no model reads."""
    if text.startswith(_BYTE_ORDER_MARK):
        notices.append(f"{name} begins with a byte order mark (U+FEFF), which is left out")
    return text.removeprefix(_BYTE_ORDER_MARK)


def read_json(file: Path, kind: type[T]) -> T:
    """The value of a JSON file, of a type that msgspec knows.

    Raises:
        ValueError: what is wrong with it, to be read after its name.
        OSError: it cannot be read.
    """
    check_length(file)
    try:
        with file.open("rb") as stream:
            return msgspec.convert(json_of(read_whole(stream)), kind)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is not valid JSON ({error})") from None
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a surrogate pair
        raise ValueError(f"holds what it cannot ({error})") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; none where there is no such file.

    Raises:
        ValueError: what is wrong with it, to be read after its name.
    """
    import tomllib

    try:
        if not file.exists():
            return {}
        if not file.is_file():
            raise ValueError("is no file")
        check_length(file)
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = f"cannot be read ({reason_of(error)})"
    except UnicodeDecodeError:
        why = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        why = f"is not TOML ({error})"
    except RecursionError:
        why = "is nested too deeply"
    raise ValueError(why)


def number_of(text: str) -> float:
    """A typed number: a whole one exactly, any other as a float.

    Raises:
        ValueError: it is no number, not finite, or a whole one of more than 64 bits.
    """
    try:
        value: float = int(text)
    except ValueError:
        value = float(text)
    if (isinstance(value, int) and abs(value) >> BITS) or not math.isfinite(value):
        raise ValueError(text)
    return value


def brief(text: str) -> str:
    """What was given, as short as a sentence about it wants it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def path_of(name: str | Path) -> Path:
    """A path with the user's folder in place of a leading `~`.

    Raises:
        UsageError: it begins with the name of a user who is not here.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:
        user = Path(name).parts[0]
        raise UsageError(
            f"{brief(str(name))} begins with {brief(user)}, and there is no such user here: write "
            f"./{brief(user)} for a folder of that name."
        ) from None


def object_of(value: Any) -> dict[str, Any]:
    """A value that should be an object of JSON; empty where it is none."""
    return value if isinstance(value, dict) else {}
