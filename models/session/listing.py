"""The sessions that are here: how large each is, how it ended, which is the latest."""

from tokexplore.models.errors import UsageError
from tokexplore.models.session.paths import all_files, with_log
from tokexplore.models.session.reader import Listed, listed


def size_of(session: Listed) -> float:
    """A session's size on the disk in MB, the log beside it included; 0 for what is gone."""
    return sum(file.stat().st_size for file in with_log(session.path)) / 1e6


def ending(session: Listed) -> str:
    """How a session ended, in a word or two; empty where its user quit it."""
    if session.live:
        return "open now"
    return "" if session.ended == "quit" else session.ended or "cut off"


def latest() -> Listed:
    """The latest session that can be opened.

    Raises:
        UsageError: when there is none.
    """
    for path in all_files():
        session = listed(path)
        if not session.problem and not session.live:
            return session
    raise UsageError("there is no session to open yet: `tokexplore` begins one.")
