"""The sessions that are here: how large each is, how it ended, which is the latest."""

from tokexplore.models.errors import UsageError
from tokexplore.models.session.paths import all_files, with_log
from tokexplore.models.session.reader import Listed, listed


def size_of(known: Listed) -> float:
    """A session's size on the disk in MB, the log beside it included; 0 for what is gone."""
    return sum(file.stat().st_size for file in with_log(known.path)) / 1e6


def ending(known: Listed) -> str:
    """How a session ended, in a word or two; empty where its user quit it."""
    if known.live:
        return "open now"
    return "" if known.ended == "quit" else known.ended or "cut off"


def latest() -> Listed:
    """The latest session that can be opened.

    Raises:
        UsageError: when there is none.
    """
    for path in all_files():
        known = listed(path)
        if not known.problem and not known.live:
            return known
    raise UsageError("there is no session to open yet: `tokexplore` begins one.")
