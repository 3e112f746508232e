"""How distributions came to be computed (`Distribution.source`), in words."""

import re

from tokexplore.models.distribution import rows_of


def source_words(source: str) -> str:
    """How a distribution came to be computed (`Distribution.source`), in words."""
    if again := re.fullmatch(r"re-fed (\d+)", source):
        return f"{int(again[1]):,} tokens read again"
    rows = rows_of(source)
    return f"{rows} rows in one pass" if rows > 1 else source


def shared_passes(rows: int, dtype: str) -> list[str]:
    """What passes that so many streams shared mean for their numbers, where the dtype is coarse."""
    if rows == 1 or dtype == "float32":
        return []
    return [
        f"up to {rows} rows in one pass",
        f"in {dtype} the last digits depend on how many",
        "and a token may be another than alone",
    ]
