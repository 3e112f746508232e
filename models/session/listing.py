"""The sessions that are here: how large each is, how it ended, which is the latest."""

from contextlib import closing

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.session import meta
from tokexplore.models.session.paths import all_files, out_of_reach, with_log
from tokexplore.models.session.reader import Listed, connect, listed
from tokexplore.models.session.restore import BROKEN

LOOKED_AT = 60
"""Sessions, the latest, that tell which models were opened."""
MOST_MODELS = 8


class _Load(msgspec.Struct, frozen=True):
    model: str = ""


class _View(msgspec.Struct, frozen=True):
    """As much of a session's view as is read here."""

    load: _Load = _Load()


def size_of(session: Listed) -> float:
    """A session's size on the disk in MB, the log beside it included; 0 for what is gone."""
    return sum(file.stat().st_size for file in with_log(session.path)) / 1e6


def ending(session: Listed) -> str:
    """How a session ended, in a word or two; empty where its user quit it."""
    if session.live:
        return "open now"
    return "" if session.ended == "quit" else session.ended or "cut off"


def latest() -> Listed:
    """The latest session that can be opened and holds something.

    Raises:
        UsageError: when there is none.
    """
    for path in all_files():
        session = listed(path)
        if not (session.problem or session.live or session.holds_nothing):
            return session
    none = "there is no session to open yet: `tokexplore` begins one."
    raise UsageError(out_of_reach() or none)


def recent_models() -> list[str]:
    """The models of the latest sessions, as they were given, the latest first; `MOST_MODELS`."""
    found: dict[str, None] = {}
    for path in all_files()[:LOOKED_AT]:
        try:
            with closing(connect(path)) as connection:
                view = msgspec.json.decode(meta.get(connection, "view") or "{}", type=_View)
        except (UsageError, *BROKEN):
            continue
        if view.load.model:
            found[view.load.model] = None
        if len(found) == MOST_MODELS:
            break
    return list(found)
