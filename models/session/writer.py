"""The open file of a session: rows, commits, and what happens when the file is taken away."""

import sqlite3
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.distribution import Distribution
from tokexplore.models.session import meta, rows, schema, vocabulary_rows
from tokexplore.models.session.codec import pack
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.paths import make_private, network_type
from tokexplore.models.session.read_back import ReadBack
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import (
    Act,
    DistributionCompleted,
    DistributionComputed,
    Event,
    ModelLoaded,
    SecondLoaded,
    TokenTaken,
)

READ_BACK = (TokenTaken, DistributionComputed, DistributionCompleted)
"""Events of which most can be read again from where they were written."""
SYNC = 1.0
"""Seconds after which what was written has reached the disk."""


class View(NamedTuple):
    """Where the user stands: one line for lists, and what the interface wants to find again."""

    summary: Summary
    state: str
    """JSON of the interface."""
    texts: str = ""
    """JSON of the texts that were scored beside the tree; empty for none."""


class Writer:
    """The open file, and the rows that are to be committed."""

    def __init__(
        self, path: Path, created: float, previous: str, first: int, model: int | None
    ) -> None:
        self.network = network_type(path)
        self.notice = ""
        self._path = path
        self._seq, self._model = first, model
        self._rows: dict[str, list[tuple[object, ...]]] = {}
        self._version = schema.WRITTEN
        self.added: list[tuple[int, Event]] = []
        """The events of `READ_BACK` that were taken up since somebody asked, with their numbers."""
        self._vocabulary: Vocabulary | None = None
        self._view: View | None = None
        self._synced = 0.0
        self._clean = True
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._open(created, previous)
        except BaseException:
            self._connection.close()
            raise
        self._inode = path.stat().st_ino
        self.read_back = self._readable()
        """Reads what was written; None where that would have to wait for what is being written."""

    def _readable(self) -> ReadBack | None:
        try:
            mode = self._connection.execute("PRAGMA journal_mode").fetchone()[0]
            return ReadBack(self._path) if mode == "wal" else None
        except sqlite3.Error:
            return None

    def _open(self, created: float, previous: str) -> None:
        connection = self._connection
        connection.execute("PRAGMA busy_timeout = 2000")
        if not self._path.stat().st_size:
            connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE}")
        wanted = "TRUNCATE" if self.network else "WAL"
        mode = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
        if self.network:
            self.notice = (
                f"{self._path.parent} is on a network file system ({self.network}): the session is "
                "written with another journal, each half second."
            )
        elif mode != "wal":
            connection.execute("PRAGMA journal_mode = TRUNCATE")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            # Whoever finds the file sees at once that it is written.
            holder = meta.Holder.this_process().stored()
            begin = {"created": repr(created), "previous": previous, "holder": holder}
            schema.create(connection, begin)
        meta.hold(connection, self._path)

    @property
    def removed(self) -> bool:
        """Whether somebody removed the file, which lives on without a name."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def rescue(self) -> Path:
        """Give the removed session a file again, under a name that nothing has; that file."""
        make_private(self._path.parent)
        stem = self._path.stem.partition("-again")[0]
        for number in count(1):
            path = self._path.with_name(f"{stem}-again{number}{self._path.suffix}")
            # A log that was left behind would be taken for the new file's.
            if not any(path.with_name(f"{path.name}{end}").exists() for end in ("", "-wal")):
                break
        self._connection.execute("VACUUM INTO ?", (str(path),))
        path.chmod(0o600)
        self._connection.close()
        self._path, self._inode = path, path.stat().st_ino
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA busy_timeout = 2000")
        if not self.network:
            self._connection.execute("PRAGMA journal_mode = WAL")
        self.read_back = self._readable() or self.read_back
        return path

    def add(self, item: tuple[int, Event, Act] | Vocabulary | View) -> None:
        """Take up something that is to be committed."""
        if isinstance(item, Vocabulary):
            self._vocabulary = item
        elif isinstance(item, View):
            self._view = item
        else:
            self._add_event(*item)

    def _add_event(self, at: int, event: Event, act: Act) -> None:
        seq, self._seq = self._seq, self._seq + 1
        if isinstance(event, READ_BACK):
            self.added.append((seq, event))
        if isinstance(event, rows.Told):
            again = rows.TOLD.index(type(event))
            self._add_distribution(seq, event.node, again, event.distribution)
            return
        if isinstance(event, SecondLoaded):
            self._version = max(self._version, schema.COMPARED)
        if isinstance(event, TokenTaken) and event.origin == "grown":
            self._version = schema.GROWN
        if isinstance(event, ModelLoaded):
            self._model = event.number
        self._rows.setdefault(rows.INSERT, []).append(rows.row_of(event, act, seq, at))

    def _add_distribution(
        self, seq: int, node: int, again: int, distribution: Distribution
    ) -> None:
        margin = distribution.margin
        row = rows.DistributionRow(
            seq, node, again, self._model, distribution.vocabulary, distribution.lse,
            rows.NO_ENTROPY if distribution.entropy is None else distribution.entropy,
            None if margin == float("inf") else margin, distribution.logprob(0),
            distribution.source, distribution.seconds,
        )  # fmt: skip
        if not distribution.complete:
            self._version = max(self._version, schema.INCOMPLETE)
        self._rows.setdefault(rows.INSERT_DISTRIBUTION, []).append(msgspec.structs.astuple(row))
        packed = pack(distribution.ids, distribution.logits)
        self._rows.setdefault(rows.INSERT_CANDIDATES, []).append((seq, packed))

    def commit(self, *, sync: bool) -> bool:
        """Write everything that was taken up; whether it has reached the disk.

        A crash of this program alone loses nothing of what was written.
        """
        due = time.monotonic() - self._synced >= SYNC
        nothing = not self._rows and self._vocabulary is None and self._view is None
        if nothing and (self._clean or not (sync or due)):
            return self._clean
        connection, full = self._connection, sync or due
        connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._write()
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._rows, self._vocabulary, self._view = {}, None, None
        self._clean = full or bool(self.network)
        if full:
            self._synced = time.monotonic()
        return self._clean

    def _write(self) -> None:
        connection = self._connection
        schema.raise_to(connection, self._version)
        for statement, values in self._rows.items():
            connection.executemany(statement, values)
        if self._vocabulary is not None:
            connection.execute(
                "INSERT OR REPLACE INTO vocabulary VALUES (1, ?, ?, ?, ?, ?)",
                vocabulary_rows.vocabulary_row(self._vocabulary),
            )
        if self._view is not None:
            meta.put(connection, "summary", msgspec.json.encode(self._view.summary).decode())
            meta.put(connection, "view", self._view.state)
            if self._view.texts:
                meta.put(connection, "texts", self._view.texts)
        meta.put(connection, "rows", str(self._seq))
        # Also where nothing else is new: this commit then brings what came before it to the disk.
        meta.put(connection, "updated", repr(time.time()))

    def finish(self, ended: str) -> None:
        """Say how the session ended, and let the file go."""
        connection = self._connection
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        meta.put(connection, "ended", ended)
        meta.put(connection, "holder", None)
        connection.execute("COMMIT")
        if self.read_back is not None:
            self.read_back.close()
        self.gather()
        connection.close()

    def gather(self) -> None:
        """Bring what the log holds into the file, which then is the whole session."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
