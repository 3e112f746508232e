"""How the C library's allocator keeps what is freed, while a model is loaded."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's mallopt(3)."""
_LOADING, _AFTER = 2**20, 32 * 2**20
"""Bytes: blocks from this size on are mapped one by one. glibc raises its own threshold up to the
second value as blocks are freed."""


@contextmanager
def blocks_returned() -> Iterator[None]:
    """Give blocks that are freed back to the system at once, where that can be asked for.

    Weights that are converted or put together by several threads otherwise leave holes in the heaps
    of each, which count as this process's memory until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_THRESHOLD, _LOADING)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _AFTER)
