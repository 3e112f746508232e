"""Where temporary files lie."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

_IN_MEMORY = ("XDG_RUNTIME_DIR", "/dev/shm")
"""Folders, or the variables that name them, which have room where all disks are full."""


def ensure_temporary() -> None:
    """Have temporary files in memory where nowhere else is room for one.

    PyTorch cannot even be imported without a folder for them.
    """
    with suppress(FileNotFoundError):
        tempfile.gettempdir()
        return
    for place in _IN_MEMORY:
        folder = os.environ.get(place, place)
        if Path(folder).is_absolute() and os.access(folder, os.W_OK | os.X_OK):
            os.environ["TMPDIR"] = folder  # of processes that are started here too
            break
