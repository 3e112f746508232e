"""Where sessions lie, and what kind of disk that is."""

import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import platformdirs

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import brief

SUFFIX = ".tokx"
NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs",
        "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs",
        "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "vastfs", "wekafs",
    }
)  # fmt: skip
"""Types of file systems on which SQLite's WAL does not work, because hosts share no memory."""
_MOUNTS = Path("/proc/self/mounts")


def sessions_folder() -> Path:
    """Where sessions lie when nothing else is asked."""
    return platformdirs.user_state_path("tokexplore") / "sessions"


def spare_folder() -> Path:
    """Where sessions go when the usual folder cannot be written.

    Raises:
        OSError: no folder for temporary files can be written either.
    """
    return Path(tempfile.gettempdir(), f"tokexplore-{os.getuid()}")


def make_private(folder: Path) -> None:
    """Make a folder that its user alone can read.

    Raises:
        OSError: when it cannot be made, or is somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")


def create_file(path: Path) -> Path:
    """Make an empty file that its user alone can read.

    Raises:
        FileExistsError: when it is there.
        OSError: when it cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return path


def create_named(folder: Path, model: str, when: float) -> Path:
    """An empty file in a folder, named by time and model.

    Raises:
        OSError: when it cannot be made.
    """
    make_private(folder)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[-40:] or "model"
    stem = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(when))}-{slug}"
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            return create_file(folder / f"{name}{SUFFIX}")
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder} has too many files named {stem}")


def find(name: str) -> Path:
    """The file of a session that is named by its path, its name or the beginning of one.

    Raises:
        UsageError: when there is none, or more than one, or nobody may look.
    """
    folder = sessions_folder()
    for path in (Path(name), folder / name, folder / f"{name}{SUFFIX}"):
        try:
            if name and stat.S_ISREG(path.stat().st_mode):
                return path
        except PermissionError as error:
            raise UsageError(f"{path} cannot be read: {reason_of(error)}.") from None
        except (OSError, ValueError):  # such as a name that no file can have
            continue
    hits = sorted(p for p in all_files() if p.stem.startswith(name)) if name else []
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise UsageError(
            f"{name!r} begins the names of {len(hits)} sessions, such as {hits[0].stem} and "
            f"{hits[1].stem}: name one of them."
        )
    raise UsageError(f"there is no session {brief(name)!r}: `tokexplore sessions` lists them.")


def all_files() -> list[Path]:
    """The session files in the usual folder and the spare one, the latest first; those of a folder
    that cannot be read are left out (`out_of_reach`)."""
    return list(dated_files())


def out_of_reach() -> str:
    """Why the sessions of the usual folder cannot be found, as a sentence; empty where they can."""
    folder = sessions_folder()
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        return ""  # nothing was ever kept there
    except OSError as error:
        return f"{folder} cannot be read: {reason_of(error)}."
    return ""


def dated_files() -> dict[Path, float]:
    """The same, each with when it was written last, in Unix time."""
    dated = {}
    for path in chain(_session_files(sessions_folder), _session_files(spare_folder)):
        try:
            dated[path] = max(file.stat().st_mtime for file in with_log(path))
        except (OSError, ValueError):
            continue
    latest = sorted(dated, key=lambda path: (dated[path], path), reverse=True)
    return {path: dated[path] for path in latest}


def _session_files(place: Callable[[], Path]) -> list[Path]:
    """Those of a folder that is ours; none where it cannot be read, or there is no such place."""
    try:
        folder = place()
        ours = folder.is_dir() and folder.stat().st_uid == os.getuid()
        return list(folder.glob(f"*{SUFFIX}")) if ours else []
    except OSError:
        return []


def with_log(path: Path) -> list[Path]:
    """A session's file and the log beside it, which may hold what was written last; if there."""
    return [file for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]


def has_log(path: Path) -> bool:
    """Whether the log beside a session's file holds anything."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def remove(path: Path) -> None:
    """Remove a session that nobody has open, with the logs that lie beside it.

    Raises:
        OSError: when it cannot be removed.
    """
    path.unlink()
    for end in ("-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def network_type(path: Path) -> str:
    """The type of the network file system that a path is on; empty for a local one."""
    place = str(path.resolve())
    best, kind = "", ""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in NETWORK else ""
