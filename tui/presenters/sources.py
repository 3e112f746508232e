"""How distributions came to be computed (`Distribution.source`), in words."""

import re
from collections.abc import Iterable

from tokexplore.models.distribution import Distribution


def source_words(source: str) -> str:
    """How a distribution came to be computed (`Distribution.source`), in words."""
    if again := re.fullmatch(r"re-fed (\d+)", source):
        return f"{int(again[1]):,} tokens read again"
    rows = rows_of(source)
    return f"{rows} rows in one pass" if rows > 1 else source


def rows_of(source: str) -> int:
    """How many streams went on together by the pass that a distribution came of."""
    rows = re.fullmatch(r"step of (\d+) rows", source)
    return int(rows[1]) if rows else 1


def shared_passes(distributions: Iterable[Distribution], dtype: str) -> list[str]:
    """What passes that several streams shared mean for their numbers, where the dtype is coarse."""
    most = max((rows_of(each.source) for each in distributions), default=1)
    if most == 1 or dtype == "float32":
        return []
    return [
        f"up to {most} rows in one pass",
        f"in {dtype} the last digits depend on how many",
        "and a token may be another than alone",
    ]
