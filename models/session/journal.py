"""Writes a session while it happens, on a thread of its own."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import TokexploreError
from tokexplore.models.events import Act, Event, Loaded, Retold, Taken, Told
from tokexplore.models.session import meta, rows, schema
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.packing import pack
from tokexplore.models.session.places import network_type
from tokexplore.models.tokens import Vocabulary

BATCH = 0.1
"""Seconds that events wait for others to be written with."""
NETWORK_BATCH = 0.5
"""The same on a network file system, where every commit is a journey."""
SYNC = 1.0
"""Seconds after which what was written has reached the disk."""
RETRY = 2.0
"""Seconds until writing is tried again after it failed."""
PATIENCE = 3.0
"""Seconds that the end waits for the last events to be written."""


class View(NamedTuple):
    """Where the user stands: one line for lists, and what the interface wants to find again."""

    summary: Summary
    state: str
    """JSON of the interface."""


class Journal:
    """One session file, written by one thread; what cannot be written waits, and is tried again.

    Args:
        place: makes or names the file; called on the thread once there is something to keep.
        tell: hears, on the thread, what the user should know: a sentence, and whether it is bad.
        created: unix time at which the session began.
        first: number of the first event.
        previous: tells, on the thread, the path of the session that this one follows with another
            model; empty for none.
    """

    def __init__(
        self,
        place: Callable[[], Path],
        tell: Callable[[str, bool], None],
        *,
        created: float | None = None,
        first: int = 0,
        model: int | None = None,
        previous: Callable[[], str] = str,
    ) -> None:
        self.path: Path | None = None
        self.created = time.time() if created is None else created
        self._place, self._tell, self._previous = place, tell, previous
        self._waiting: deque[tuple[int, Event, Act] | Vocabulary | View] = deque()
        self._seq, self._model = first, model
        self._wake, self._stop = threading.Event(), threading.Event()
        self._ended: str | None = None
        self._started = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._writer: _Writer | None = None
        self._failing = ""

    def record(self, event: Event, act: Act = "") -> None:
        """Keep an event; never waits. The file is made with the first token."""
        at = int((time.time() - self.created) * 1e6)
        self._waiting.append((at, event, act))
        if isinstance(event, Taken) or self._started:
            self._start()

    def vocabulary(self, vocabulary: Vocabulary) -> None:
        """Keep the vocabulary, without which no token can be read."""
        self._waiting.append(vocabulary)

    def view(self, view: View) -> None:
        """Keep where the user stands."""
        self._waiting.append(view)
        if self._started:
            self._wake.set()

    def hold(self) -> None:
        """Begin to write at once, before any event: for a session that is gone on with."""
        self._start()

    def close(self, ended: str, patience: float = PATIENCE) -> str:
        """Write what waits and say how the session ended; what could not be written, if anything.

        Args:
            patience: seconds to wait at most.
        """
        self._ended = ended
        if not self._started:
            return ""
        self._stop.set()
        self._wake.set()
        self._thread.join(patience)
        return self._failing or (
            "the disk did not answer in time" if self._thread.is_alive() else ""
        )

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._thread.start()
        self._wake.set()

    # On the thread

    def _work(self) -> None:
        batch, synced = BATCH, False
        while not self._stop.is_set():
            woken = self._wake.wait(None if synced else SYNC)
            self._wake.clear()
            if woken:
                self._stop.wait(batch)
            try:
                synced = self._write(final=not woken)
                batch = NETWORK_BATCH if self._writer and self._writer.network else BATCH
            except (OSError, sqlite3.Error, TokexploreError) as error:
                self._fail(error)
                synced = False
                self._stop.wait(RETRY)
                self._wake.set()
        self._finish()

    def _write(self, *, final: bool) -> bool:
        """Write what waits; whether all of it has reached the disk."""
        if self._writer is None:
            self.path = self.path or self._place()
            self._writer = _Writer(
                self.path, self.created, self._previous(), self._seq, self._model
            )
            if self._writer.notice:
                self._tell(self._writer.notice, False)
        while self._waiting:
            item = self._waiting.popleft()
            self._writer.add(item)
        synced = self._writer.commit(sync=final)
        if self._failing:
            self._failing = ""
            self._tell("The session can be written again: nothing is missing.", False)
        return synced

    def _fail(self, error: Exception) -> None:
        if isinstance(error, TokexploreError):
            why = str(error)
        elif isinstance(error, OSError):
            why = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        else:
            why = str(error)
        if why != self._failing:
            self._failing = why
            self._tell(
                f"The session cannot be written ({why}): it goes on in memory, and writing is "
                "tried again.",
                True,
            )

    def _finish(self) -> None:
        try:
            self._write(final=True)
            if self._writer is not None:
                self._writer.finish(self._ended or "")
        except (OSError, sqlite3.Error, TokexploreError) as error:
            self._failing = str(error)


class _Writer:
    """The open file, and the rows that are to be committed."""

    def __init__(
        self, path: Path, created: float, previous: str, first: int, model: int | None
    ) -> None:
        self.network = network_type(path)
        self.notice = ""
        self._path = path
        self._seq, self._model = first, model
        self._rows: dict[str, list[tuple[object, ...]]] = {}
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
            schema.create(connection, {"created": repr(created), "previous": previous})
        meta.hold(connection, self._path)

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
        if isinstance(event, Told | Retold):
            again = int(isinstance(event, Retold))
            self._add_distribution(seq, event.node, again, event.distribution)
            return
        if isinstance(event, Loaded):
            self._model = event.number
        self._rows.setdefault(rows.INSERT, []).append(rows.row_of(event, act, seq, at))

    def _add_distribution(self, seq: int, node: int, again: int, told: Distribution) -> None:
        margin = told.margin
        row = rows.DistributionRow(
            seq, node, again, self._model, told.vocabulary, told.lse, told.entropy,
            None if margin == float("inf") else margin, told.logprob(0), told.source, told.seconds,
        )  # fmt: skip
        self._rows.setdefault(rows.INSERT_DISTRIBUTION, []).append(msgspec.structs.astuple(row))
        packed = pack(told.ids, told.logits)
        self._rows.setdefault(rows.INSERT_CANDIDATES, []).append((seq, packed))

    def commit(self, *, sync: bool) -> bool:
        """Write everything that was taken up; whether it has reached the disk."""
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
        for statement, values in self._rows.items():
            connection.executemany(statement, values)
        if self._vocabulary is not None:
            connection.execute(
                "INSERT OR REPLACE INTO vocabulary VALUES (1, ?, ?, ?, ?, ?)",
                rows.vocabulary_row(self._vocabulary),
            )
        if self._view is not None:
            meta.put(connection, "summary", msgspec.json.encode(self._view.summary).decode())
            meta.put(connection, "view", self._view.state)
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
        connection.close()
