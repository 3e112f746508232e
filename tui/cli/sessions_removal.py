"""`tokexplore sessions --remove`, `--older-than`: sessions that are no longer wanted."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tokexplore.models.display import counted
from tokexplore.models.errors import UsageError
from tokexplore.models.session.listing import size_of
from tokexplore.models.session.paths import dated_files, find, remove
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.cli.sessions import RemoveOptions
from tokexplore.tui.cli.sessions_table import session_line
from tokexplore.widgets.cell_text import cut

_DAY = 86_400.0


def remove_sessions(asked: RemoveOptions) -> None:
    """Remove sessions, after a question that only `yes` answers beforehand.

    Raises:
        UsageError: one is not there, is open, or is no session; nobody is there to be asked.
        OSError: a file cannot be removed.
    """
    found = _found(asked)
    if not found:
        print("No session is as old as that.")
        return
    size = sum(map(size_of, found))
    width = shutil.get_terminal_size().columns if os.isatty(1) else 0
    for line in map(session_line, found):
        print(cut(line, width) if width else line)
    if not asked.yes and not _agreed(len(found), size):
        print("Nothing was removed.")
        return
    for session in found:
        remove(session.path)
    print(f"Removed: {counted(len(found), 'session')}, {size:,.1f} MB.")


def _found(asked: RemoveOptions) -> Sequence[Listed]:
    """Those that are meant, the latest first."""
    dated = dated_files()
    chosen: dict[Path, Listed] = {}
    for name in asked.names:
        session = listed(find(name))
        if session.problem and session.path not in dated:
            raise UsageError(session.problem)
        if session.live:
            raise UsageError(f"{session.path} is open in a tokexplore: close it there first.")
        chosen[session.path] = session
    if asked.older_than is not None:
        oldest = time.time() - asked.older_than * _DAY
        aged = (listed(path) for path, written in dated.items() if written <= oldest)
        chosen |= {session.path: session for session in aged if not session.live}
    return list(chosen.values())


def _agreed(count: int, size: float) -> bool:
    if not os.isatty(0):
        raise UsageError("removing needs a yes: there is no terminal to ask on, so give --yes.")
    print(
        f"Remove {counted(count, 'session')}, {size:,.1f} MB? This cannot be undone. [y/N] ",
        end="",
        flush=True,
    )
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except UnicodeDecodeError:
        return False
