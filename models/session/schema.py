"""The tables of a session file; `FORMAT.md` tells what is in them."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from tokexplore.models.errors import UsageError

GROWN = 7
"""The format of a file that has tokens of a tree that grew by probability."""
COMPARED = 6
"""The format of a file that has figures of a second model."""
INCOMPLETE = 5
"""The format of a file that has distributions of which only the first candidates are known."""
WRITTEN = 4
"""The format of any other, so that programs that know of no such distributions read it."""
VERSION = GROWN
"""The newest format that is read."""
APPLICATION_ID = 0x746F6B78
"""`tokx` in ASCII, in the header of every session file."""
PAGE_SIZE = 16384
"""Rows of packed candidates fill pages of this size well."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE vocabulary (
    id INTEGER PRIMARY KEY CHECK (id = 1), rows INTEGER NOT NULL, leading_space INTEGER NOT NULL,
    special TEXT NOT NULL, ends BLOB NOT NULL, bytes BLOB NOT NULL
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, act TEXT,
    node INTEGER, parent INTEGER, token INTEGER, origin TEXT,
    settings INTEGER, model INTEGER, branch INTEGER, draw INTEGER, cursor INTEGER,
    logprob REAL, rank INTEGER, sampler_logprob REAL, kept INTEGER, log_norm REAL, body TEXT
);
CREATE TABLE distribution (
    seq INTEGER PRIMARY KEY, node INTEGER NOT NULL, again INTEGER NOT NULL, model INTEGER,
    vocabulary INTEGER NOT NULL, lse REAL NOT NULL, entropy REAL NOT NULL, margin REAL,
    top_logprob REAL NOT NULL, source TEXT NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE candidates (seq INTEGER PRIMARY KEY, packed BLOB NOT NULL);
"""
MIGRATIONS = {
    # What a stage keeps was a count of candidates, which tells nothing once a path changes logits.
    1: "UPDATE event SET kept = NULL, log_norm = NULL, body = NULL WHERE kind = 'taken';",
    2: "",  # from 3 on there are events of the kinds `studied` and `labelled`
    3: "",  # from 4 on there are events of the kinds `extended`, `withdrawn` and `restored`
}
"""By version: the SQL that makes a file of it one of the next version."""
_EXPECTED = {"meta", "vocabulary", "event", "distribution", "candidates"}


def create(connection: sqlite3.Connection, meta: Mapping[str, str]) -> None:
    """Make the tables in an empty database, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {WRITTEN}")
    connection.execute("COMMIT")


def version_of(connection: sqlite3.Connection) -> int:
    """The version that a file says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def raise_to(connection: sqlite3.Connection, version: int) -> None:
    """Let a file say that it takes a program of this version to read it, if it does not yet."""
    if version_of(connection) < version:
        connection.execute(f"PRAGMA user_version = {version}")


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the schema of an open file.

    Raises:
        UsageError: for a file that is no session, or one that a newer program wrote.
    """
    try:
        ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        version = version_of(connection)
        names = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    except (sqlite3.DatabaseError, UnicodeError) as error:
        raise UsageError(
            f"{path} is no session of tokexplore, or it is damaged: {error}."
        ) from None
    if not names and not version:
        raise UsageError(f"{path} is empty: nothing was kept in it.")
    if not ours:
        raise UsageError(f"{path} is no session of tokexplore.")
    if version > VERSION:
        raise UsageError(
            f"{path} was written by a newer tokexplore (format {version}; this one reads up to "
            f"{VERSION}): update tokexplore to open it."
        )
    if version < 1 or not names >= _EXPECTED:
        raise UsageError(f"{path} is a damaged session: it lacks tables.")
    return version


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring an open file of an older version up to the one that is written."""
    for old in range(version, WRITTEN):
        connection.executescript(
            f"BEGIN; {MIGRATIONS[old]} PRAGMA user_version = {old + 1}; COMMIT;"
        )
