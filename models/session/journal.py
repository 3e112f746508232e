"""Writes a session while it happens, on a thread of its own."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tokexplore.models.errors import TokexploreError
from tokexplore.models.session.read_back import ReadBack
from tokexplore.models.session.writer import SYNC, View, Writer
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Act, Event, TokenTaken

BATCH = 0.1
"""Seconds that events wait for others to be written with."""
NETWORK_BATCH = 0.5
"""The same on a network file system, where every commit is a journey."""
RETRY = 2.0
"""Seconds until writing is tried again after it failed."""
PATIENCE = 3.0
"""Seconds that the end waits for the last events to be written."""


class Journal:
    """One session file, written by one thread; what cannot be written waits, and is tried again.

    Args:
        place: makes or names the file; called on the thread once there is something to keep.
        tell: hears, on the thread, what the user should know: a sentence, and whether it is bad.
        created: unix time at which the session began.
        first: number of the first event.
        previous: tells, on the thread, the path of the session that this one follows with another
            model; empty for none.
        lets_go: whether somebody takes what was written from `written`.
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
        lets_go: bool = False,
    ) -> None:
        self.path: Path | None = None
        self.created = time.time() if created is None else created
        self._place, self._tell, self._previous = place, tell, previous
        self._waiting: deque[tuple[int, Event, Act] | Vocabulary | View] = deque()
        self._seq, self._model = first, model
        self._wake, self._stop = threading.Event(), threading.Event()
        self._gather = threading.Event()
        self._ended: str | None = None
        self.written = deque[tuple[int, Event]]()
        """Events that were written and can be read back, with their numbers, for one who lets them
        go; nothing where `lets_go` is false."""
        self._lets_go = lets_go
        self._started = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._writer: Writer | None = None
        self._failing = ""

    def record(self, event: Event, act: Act = "") -> None:
        """Keep an event; never waits. The file is made with the first token."""
        at = int((time.time() - self.created) * 1e6)
        self._waiting.append((at, event, act))
        if isinstance(event, TokenTaken) or self._started:
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

    def gather(self) -> None:
        """Bring all that was recorded into the file alone, soon: somebody may copy it."""
        self._gather.set()
        self._wake.set()

    def close(self, ended: str, patience: float | None = None) -> str:
        """Write what waits and say how the session ended; what could not be written, if anything.

        Args:
            patience: seconds to wait at most; `PATIENCE` where none are given.
        """
        self._ended = ended
        if not self._started:
            return ""
        self._stop.set()
        self._wake.set()
        self._thread.join(PATIENCE if patience is None else patience)
        return self._failing or (
            "the disk did not answer in time" if self._thread.is_alive() else ""
        )

    @property
    def read_back(self) -> ReadBack | None:
        """Reads what was written; None before that, and where reading would have to wait."""
        return self._writer.read_back if self._writer else None

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
            except Exception as error:  # the thread must live on: what waits is not yet written
                self._fail(error)
                synced = False
                self._stop.wait(RETRY)
                self._wake.set()
        self._finish()

    def _write(self, *, final: bool) -> bool:
        """Write what waits; whether all of it has reached the disk."""
        if self._writer is None:
            if self.path is None or not (self._seq or self.path.exists()):
                self.path = self._place()  # anew where it was removed before anything was in it
            self._writer = Writer(self.path, self.created, self._previous(), self._seq, self._model)
            if self._writer.notice:
                self._tell(self._writer.notice, False)
        while self._waiting:
            item = self._waiting.popleft()
            self._writer.add(item)
        synced = self._writer.commit(sync=final)
        written, self._writer.added = self._writer.added, []
        if self._lets_go and self.read_back is not None:
            self.written.extend(written)
        if self._gather.is_set():
            self._gather.clear()
            self._writer.gather()
        if synced and self._writer.removed:
            self.path = self._writer.rescue()
            self._tell(f"The session's file was removed: all of it is in {self.path} now.", True)
        if self._failing:
            self._failing = ""
            self._tell("The session can be written again: nothing is missing.", False)
        return synced

    def _fail(self, error: Exception) -> None:
        why = _reason(error)
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
        except Exception as error:
            self._failing = _reason(error)


def _reason(error: Exception) -> str:
    """Why something could not be written, in words."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if isinstance(error, (TokexploreError, sqlite3.Error)):
        return str(error)
    return f"{type(error).__name__}: {error}"
