"""Which notices stand on the screen, and for how long."""

from collections import deque
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.notifications import Notification

MOST_NOTICES = 2
"""More would hide what they are about, and each costs a layout."""
LONGEST = 4.0
"""Seconds of the app's own clock that a notice stands at most."""
MOST_PAST = 12
"""Notices that can be read again."""
_FOREVER = 1e9


class Notices:
    """Few notices stand at once, each of them once: the oldest make room.

    Args:
        only_last: how notices begin of which only the last one is news.
        clock: ends notices, where `expire` is called as it goes on; else Textual does.
    """

    def __init__(
        self, app: App[Any], only_last: tuple[str, ...], clock: Callable[[], float] | None
    ) -> None:
        self._app, self._only_last, self._clock = app, only_last, clock
        self._ends: dict[str, float] = {}
        self.past: deque[str] = deque(maxlen=MOST_PAST)
        """The last of them, whether they stand or not, the latest last."""

    def admit(self, new: Notification) -> bool:
        """Make room for a notice; whether it is to be shown."""
        if new.message in self.past:
            self.past.remove(new.message)
        self.past.append(new.message)
        if self._clock is not None:
            self._ends[new.message] = self._clock() + min(new.timeout, LONGEST)
            new.timeout = _FOREVER
        for old in self._standing:
            if all(one.message.startswith(self._only_last) for one in (old, new)):
                self._take_away(old)
            elif (old.message, old.severity) == (new.message, new.severity):
                if old.time_left > old.timeout / 2:
                    return False
                self._take_away(old)
        for old in self._standing[: 1 - MOST_NOTICES]:
            self._take_away(old)
        return True

    def expire(self) -> bool:
        """Take away the notices whose time is over by the clock; whether there were any."""
        assert self._clock is not None
        now = self._clock()
        over = [old for old in self._standing if now >= self._ends.get(old.message, 0.0)]
        for old in over:
            self._app._unnotify(old)
        return bool(over)

    def take_away(self, beginnings: tuple[str, ...]) -> None:
        """Take away the notices that begin so: what they say is so no more."""
        for old in self._standing:
            if old.message.startswith(beginnings):
                self._app._unnotify(old)

    @property
    def _standing(self) -> list[Notification]:
        return list(self._app._notifications)

    def _take_away(self, old: Notification) -> None:
        self._app._unnotify(old, refresh=False)
