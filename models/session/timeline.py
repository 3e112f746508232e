"""A session in the order in which it was lived."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import rows
from tokexplore.models.session.distributions import read_distribution
from tokexplore.models.session.reader import connect, open_session
from tokexplore.models.session.restore import BROKEN
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Act, Event


class Moment(NamedTuple):
    """One event of a session as it was lived."""

    event: Event
    act: Act


class Timeline(NamedTuple):
    """A session as it was lived, event by event."""

    path: Path
    vocabulary: Vocabulary
    view: str
    """JSON of the interface."""
    rows: list[rows.EventRow | int]
    """In order; a number stands for the distribution that was told then."""
    connection: sqlite3.Connection

    def __len__(self) -> int:
        return len(self.rows)

    def times(self) -> list[float]:
        """Seconds since the session began, row by row.

        A distribution came with the event after it, and those after the last event with that one.
        """
        events = [row.at / 1e6 for row in self.rows if not isinstance(row, int)]
        times, following = list[float](), iter(events)
        due = next(following, 0.0)
        for row in self.rows:
            times.append(due)
            if not isinstance(row, int):
                due = next(following, due)
        return times

    def moment(self, index: int, settings: Sequence[SamplingSettings]) -> Moment:
        """An event, from the file.

        Args:
            settings: those that the events before it brought, by number.

        Raises:
            ValueError: its record is damaged.
        """
        row = self.rows[index]
        if not isinstance(row, int):
            return Moment(rows.event_of(row, settings), row.act or "")
        found = self.connection.execute(
            "SELECT node, again FROM distribution WHERE seq = ?", (row,)
        ).fetchone()
        node, again = msgspec.convert(found, tuple[rows.Count, rows.Count])
        distribution = read_distribution(self.connection, row)
        return Moment(rows.TOLD[again](node, distribution), "")


def open_timeline(path: Path) -> Timeline:
    """A session to be lived again.

    Raises:
        UsageError: see `open_session`; a session that is open elsewhere can be replayed.
    """
    session = open_session(path, to_write=False)
    connection = connect(session.path)
    try:
        found = connection.execute(f"SELECT {rows.COLUMNS} FROM event ORDER BY seq").fetchall()
        events = msgspec.convert(found, list[rows.EventRow])
        seqs = [seq for (seq,) in connection.execute("SELECT seq FROM distribution ORDER BY seq")]
    except BROKEN as error:
        raise UsageError(f"{path} is damaged: {error}.") from None
    merged = sorted([*events, *seqs], key=lambda row: row if isinstance(row, int) else row.seq)
    return Timeline(session.path, session.vocabulary, session.view, merged, connection)
