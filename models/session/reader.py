"""Opens sessions: whole, with the candidates left on disk until they are asked for, or to list."""

import atexit
import errno
import gc
import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from weakref import WeakSet

import msgspec

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.session import meta, paths, rows, schema, vocabulary_rows
from tokexplore.models.session.distributions import AttachedDistributions, attach_distributions
from tokexplore.models.session.meta import Holder, Summary
from tokexplore.models.session.restore import BROKEN, replay
from tokexplore.models.session.texts import Texts, read_texts
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree


class Listed(NamedTuple):
    """A session as lists show it."""

    path: Path
    summary: Summary
    created: float
    """Unix time."""
    live: bool
    """Whether a process writes it now."""
    ended: str
    """How it ended: `quit`, `hangup`, `terminated`, `crashed`; empty where it ended without a sign
    or goes on."""
    problem: str = ""
    """Why nothing more is known of it."""
    holds_nothing: bool = False
    """Whether it was left without a token in it."""


class Session(NamedTuple):
    """A session as it was left."""

    path: Path
    tree: TokenTree
    vocabulary: Vocabulary
    view: str
    """JSON of the interface; empty where it wrote none."""
    texts: Texts
    """Those that were scored beside the tree."""
    leaf: int
    cursor: int
    """Index into the path to `leaf`; -1 stays with the newest token."""
    created: float
    next_event: int
    read_only: bool
    """The file cannot be written."""
    migrated: bool
    """The file is a copy of one in an older format."""
    damage: str
    """What is missing, as a sentence; empty for a whole file."""


class _Connection(sqlite3.Connection):
    """One that the end of the program closes: Python would leave its log where it is."""


_open = WeakSet[_Connection]()


@atexit.register
def _close_all() -> None:
    for connection in list(_open):
        connection.close()


def _connected(path: Path, mode: str) -> _Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None,
        check_same_thread=False, factory=_Connection,
    )  # fmt: skip
    _open.add(connection)
    return connection


def connect(path: Path, *, to_write: bool = False) -> sqlite3.Connection:
    """A connection that only reads, also where nothing can be written.

    The last connection to a file takes the log beside it away, but only one that may write can. One
    that may is therefore had where that log is empty; a log that holds something stays as it is.
    The file is touched by SQLite alone: whoever else closed it would give up the locks that this
    process has on it where it writes it too.

    Args:
        to_write: the file will be written all the same, so its log may go with this connection.

    Raises:
        UsageError: when the file cannot be opened.
    """
    try:
        _check_readable(path)
        connection = _connected(path, "rw" if to_write or not paths.has_log(path) else "ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            # A log beside the file needs a shared index, which cannot be made in a folder that
            # cannot be written: what the log holds is then not seen.
            connection.close()
            connection = _connected(path, "ro&immutable=1")
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {reason_of(error)}.") from None
    except (sqlite3.DatabaseError, UnicodeError) as error:
        raise UsageError(
            f"{path} is no session of tokexplore, or it is damaged: {error}."
        ) from None
    connection.execute("PRAGMA query_only = 1")
    return connection


def _check_readable(path: Path) -> None:
    """Refuse what is no file, or not the user's to read.

    Raises:
        OSError: says which.
    """
    mode, code = path.stat().st_mode, 0
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    elif not os.access(path, os.R_OK):
        code = errno.EACCES
    if code:
        raise OSError(code, os.strerror(code), str(path))


def opened_to_read(path: Path, busy_ms: int) -> sqlite3.Connection:
    """A connection that only reads a file that this process writes, which SQLite alone touches.

    Args:
        busy_ms: milliseconds that a read waits at most.

    Raises:
        sqlite3.Error: when the file cannot be opened.
    """
    connection = _connected(path, "rw")
    try:
        connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def listed(path: Path) -> Listed:
    """What a list shows of a session; never raises."""
    try:
        with closing(connect(path)) as connection:
            schema.check(connection, path)
            holder, summary = meta.holder(connection), meta.summary(connection)
            live = holder is not None and holder.alive
            return Listed(
                path, summary, meta.created(connection), live, meta.get(connection, "ended") or "",
                holds_nothing=not (live or summary.nodes or _has_tokens(connection)),
            )  # fmt: skip
    except (UsageError, *BROKEN) as error:
        return Listed(path, Summary(), 0.0, False, "", str(error))


def _has_tokens(connection: sqlite3.Connection) -> bool:
    return (
        connection.execute("SELECT 1 FROM event WHERE kind = 'taken' LIMIT 1").fetchone()
        is not None
    )


def open_session(path: Path, *, to_write: bool = True) -> Session:
    """A session as it was left.

    One of an older format is copied, and the copy brought up to date.

    Args:
        to_write: whether it will be gone on with: it must then not be open elsewhere.

    Raises:
        UsageError: no session, a damaged one, one of a newer program, one that is open elsewhere.
    """
    try:
        with closing(connect(path)) as connection:
            version = schema.check(connection, path)
            holder = meta.holder(connection)
    except BROKEN as error:
        raise UsageError(f"{path} is damaged: {error}.") from None
    if to_write and holder is not None and holder.alive and holder != Holder.this_process():
        raise UsageError(
            f"{path} is open in another tokexplore (process {holder.pid} on {holder.host}): close "
            "it there first, or export the session."
        )
    if migrated := version < schema.WRITTEN:
        path = _migrated(path, version)
    connection = connect(path, to_write=to_write)
    # The collector would walk through all that is being built, again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        # One moment of the file, also where it is being written.
        connection.execute("BEGIN")
        session = _restored(connection, path, migrated)
        connection.execute("COMMIT")
        return session
    except (UsageError, *BROKEN) as error:
        connection.close()
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} is damaged: {error}.") from None
    finally:
        if collecting:
            gc.enable()


def _migrated(path: Path, version: int) -> Path:
    """A copy of an older session in the present format, beside it or among the usual ones."""
    name = f"{path.stem}-format{schema.WRITTEN}{paths.SUFFIX}"
    folders = (path.parent, paths.sessions_folder(), paths.spare_folder())
    for folder in folders:
        with suppress(OSError):
            paths.make_private(folder)
            copy = paths.create_file(folder / name)
            break
    else:
        raise UsageError(
            f"{path} has an older format, and no copy of it can be written: make room in "
            f"{folders[0]} or {folders[1]}."
        )
    with closing(connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        schema.migrate(target, version)
    return copy


def _restored(connection: sqlite3.Connection, path: Path, migrated: bool) -> Session:
    tree = TokenTree()
    found = connection.execute("SELECT * FROM vocabulary").fetchone()
    if found is None:
        raise UsageError(f"{path} is empty: nothing was kept in it.")
    vocabulary = vocabulary_rows.vocabulary_of(
        msgspec.convert(found, vocabulary_rows.VocabularyRow)
    )
    left = replay(connection, tree)
    if not tree.branches:
        raise UsageError(f"{path} is empty: nothing was kept in it.")
    attached = attach_distributions(connection, tree)
    written = max(left.last + 1, attached.last + 1, _stated(connection))
    damage = _lost_rows(connection, written, left.events + attached.rows)
    damage += _impossible(connection, attached)
    texts, whole = read_texts(meta.get(connection, "texts"), tree)
    damage += [] if whole else ["texts of which the probability was asked for"]
    return Session(
        path=path,
        tree=tree,
        vocabulary=vocabulary,
        view=meta.get(connection, "view") or "",
        texts=texts,
        leaf=left.leaf or tree.branches[0].tip,
        cursor=left.cursor,
        created=meta.created(connection),
        next_event=written,
        read_only=not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK),
        migrated=migrated,
        damage=f"{path} is damaged: it lacks {', and '.join(damage)}." if damage else "",
    )


def _stated(connection: sqlite3.Connection) -> int:
    """Rows that were written, as the file says; 0 where it does not."""
    stated = meta.get(connection, "rows") or ""
    return min(int(stated), rows.MOST_ROWS) if stated.isdecimal() and len(stated) < 12 else 0


def _lost_rows(connection: sqlite3.Connection, written: int, there: int) -> list[str]:
    """In words, which of the rows that were written are not there."""
    if there >= written:
        return []
    numbers = connection.execute("SELECT seq FROM event UNION SELECT seq FROM distribution")
    present = {seq for (seq,) in numbers}
    first = next((seq for seq in range(written) if seq not in present), 0)
    return [f"{written - there:,} of the {written:,} rows that were written, from {first:,} on"]


def _impossible(connection: sqlite3.Connection, attached: AttachedDistributions) -> list[str]:
    """In words, how many figures are there but cannot be true, and are left out."""
    (logprobs,) = connection.execute(
        "SELECT count(*) FROM event WHERE logprob > ? OR sampler_logprob > ?",
        (rows.MOST_LOGPROB, rows.MOST_LOGPROB),
    ).fetchone()
    counted = ((attached.damaged, "what the model said"), (logprobs, "the token's logprob"))
    return [f"{what} at {steps(number)}" for number, what in counted if number]


def steps(number: int) -> str:
    """A count of steps, in words."""
    return f"{number:,} step{'' if number == 1 else 's'}"


def copy_of(session: Session, folder: Path | None = None) -> Path:
    """A copy of a session's file in a folder, the usual one by default.

    Raises:
        UsageError: when it cannot be written.
    """
    folder = folder or paths.sessions_folder()
    try:
        paths.make_private(folder)
        copy = paths.create_named(folder, session.path.stem, session.created)
        with closing(connect(session.path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"a copy of {session.path} cannot be written in {folder}: {error}."
        ) from None
    return copy
