"""The values that options take, as argparse wants them: from a text, or an error of its kind."""

import argparse
import re
from pathlib import Path

from tokexplore.models.api.options import MOST_GIGABYTES, Adapter
from tokexplore.models.untrusted import LARGEST_COUNT, brief

LEAST_GIGABYTES = 0.01
_NAME = re.compile(r"[\w.-]{1,60}")


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)!r} is not a number") from None


def numbers(text: str) -> tuple[float, ...]:
    return tuple(number(part) for part in text.split(","))


def whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(whole(part) for part in text.split(","))


def positive(text: str) -> float:
    value = number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{brief(text)} is not possible: give 0 or more")
    return value


def seconds(text: str) -> float:
    value = number(text)
    if not 0 < value <= LARGEST_COUNT:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not possible: give more than 0, at most {LARGEST_COUNT}"
        )
    return value


def positive_gigabytes(text: str) -> float:
    value = number(text)
    if not LEAST_GIGABYTES <= value <= MOST_GIGABYTES:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not possible: give {LEAST_GIGABYTES} GB or more, such as 2"
        )
    return value


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)!r} is not a whole number") from None


def count(text: str) -> int:
    return _counted(text, 0)


def at_least_one(text: str) -> int:
    return _counted(text, 1)


def _counted(text: str, least: int) -> int:
    value = whole(text)
    if not least <= value <= LARGEST_COUNT:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not possible: give {least} to {LARGEST_COUNT}"
        )
    return value


def adapter(text: str) -> Adapter:
    """`DIR`, `ID` or `NAME=DIR`; without a name it is the last one of where it lies."""
    name, equals, source = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        name, source = "", text
    if not source.strip():
        raise argparse.ArgumentTypeError(f"{brief(text)!r} names no adapter: give DIR or NAME=DIR")
    name = name or Path(source).resolve().name
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{brief(name)!r} cannot be an adapter's name: give --adapter NAME=DIR, a name of "
            "letters, digits, '.', '_' and '-'"
        )
    return Adapter(name, source)


def threads(text: str) -> int | str:
    value = 0 if text == "auto" else whole(text)
    if text != "auto" and not 1 <= value <= LARGEST_COUNT:
        raise argparse.ArgumentTypeError(
            f"{brief(text)} is not possible: give 1 to {LARGEST_COUNT}, or auto"
        )
    return value or "auto"
