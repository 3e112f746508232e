"""Reads from a session's file what was written to it, while it is being written."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.distributions import whole
from tokexplore.models.session.reader import opened_to_read
from tokexplore.models.session.restore import read_view

_BUSY_MS = 250
"""Milliseconds that a read waits for the file at most. Beside a write-ahead log it waits for
nobody."""


class ReadBack:
    """A connection of its own to a session's file; any thread may ask it.

    It stays with the file that it was opened on, also where that one loses its name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = opened_to_read(path, _BUSY_MS)

    def close(self) -> None:
        """Let the file go: whoever reads after that opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def distributions(self, records: Sequence[int]) -> list[Distribution | None]:
        """Distributions by the numbers of their records; None for each that cannot be read."""
        with self._lock:
            connection = self._open()
            return [None] * len(records) if connection is None else whole(connection, records, {})

    def view(self, settings: Sequence[SamplingSettings], record: int) -> SamplerView | None:
        """A sampler's view by the number of its record; None where it cannot be read.

        Args:
            settings: those of the session, by number.
        """
        with self._lock:
            connection = self._open()
            return None if connection is None else read_view(connection, settings, record)

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is None:
            try:
                self._connection = opened_to_read(self._path, _BUSY_MS)
            except sqlite3.Error:
                return None
        return self._connection
