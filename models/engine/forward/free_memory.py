"""Memory that was freed goes back to the system."""

import ctypes
from functools import cache


def give_back_free_memory() -> None:
    """Let the C library give back what lies free between blocks that are in use.

    Buffers of caches are large, live long and have all sizes: glibc keeps what was freed of them
    for later ones, which seldom fit. Takes some milliseconds; without glibc it does nothing.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> "ctypes._NamedFuncPointer | None":
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
