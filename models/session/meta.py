"""What a session file says about itself: who writes it, how it ended, where the user stood."""

import os
import socket
import sqlite3
import time
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from tokexplore.models.errors import UsageError

LATEST = 253_402_300_799
"""Unix time at the end of the year 9999, which is as far as calendars here go."""
Time = Annotated[float, msgspec.Meta(ge=0, le=LATEST)]
"""Unix time."""


class Summary(msgspec.Struct, frozen=True):
    """A session in a line of a list."""

    model: str = ""
    nodes: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    words: str = ""
    """How it begins, a chat by the user's first words: raw text, to be made safe where it is
    shown."""
    updated: Time = 0.0
    """Of the last change."""
    asked: str = ""
    """Raw text: of a chat the user's last words."""
    end: str = ""
    """Raw text: how the path in view ends."""
    branches: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    """0 where the file says nothing of them."""
    names: tuple[str, ...] = ()
    """Raw texts: what branches and nodes were called, and the notes on them, some of them."""


class Holder(msgspec.Struct, frozen=True):
    """The process that writes a session."""

    host: str
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    started: Time
    """With the process id it names one process for ever."""

    @classmethod
    def this_process(cls) -> "Holder":
        """Ourselves."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def stored(self) -> str:
        """As a file names it."""
        return msgspec.json.encode(self).decode()

    @property
    def alive(self) -> bool:
        """Whether it still runs; of another machine nothing is known, so yes."""
        if self.host != socket.gethostname():
            return True
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 2
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def get(connection: sqlite3.Connection, key: str) -> str | None:
    """A value of the table `meta`, as a text whatever somebody put there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def put(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Set a value of the table `meta`; None takes it away."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def created(connection: sqlite3.Connection) -> float:
    """Unix time at which the session was made; now, where the file does not say."""
    try:
        stated = float(get(connection, "created") or "")
    except ValueError:
        stated = -1.0
    return stated if 0 <= stated <= LATEST else time.time()


def summary(connection: sqlite3.Connection) -> Summary:
    """The session in a line; empty where the file does not say."""
    try:
        return msgspec.json.decode(get(connection, "summary") or "{}", type=Summary)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Summary()


def holder(connection: sqlite3.Connection) -> Holder | None:
    """Who writes the session, or wrote it when they ended without a sign."""
    try:
        return msgspec.json.decode(get(connection, "holder") or "null", type=Holder | None)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def hold(connection: sqlite3.Connection, path: Path) -> None:
    """Become the one process that writes a session.

    Raises:
        UsageError: when another one does.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        other = holder(connection)
        if other is not None and other != Holder.this_process() and other.alive:
            here = other.host == socket.gethostname()
            where = "" if here else f" on {other.host}"
            raise UsageError(
                f"{path} is open in another tokexplore (process {other.pid}{where}): close it "
                "there first, or export the session."
            )
        put(connection, "holder", Holder.this_process().stored())
        put(connection, "ended", None)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
