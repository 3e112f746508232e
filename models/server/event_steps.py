"""The steps that the events of a stream bring."""

import time
from collections import deque
from collections.abc import Callable

from tokexplore.models.server.dialect import Step
from tokexplore.models.server.wire.event_stream import EventStream


class EventSteps:
    """A stream whose events hold one token each, or several; implements `Steps`.

    Args:
        read: the steps of an event, given its data and the seconds since the one before.
    """

    def __init__(self, events: EventStream, read: Callable[[bytes, float], list[Step]]) -> None:
        self._events, self._read = events, read
        self.ends = False
        self._ready: deque[Step] = deque()
        self._since = time.perf_counter()

    @property
    def over(self) -> bool:
        return self._events.over and not self._ready

    def next(self, seconds: float) -> Step | None:
        if not self._ready and (data := self._events.next(seconds)) is not None:
            now = time.perf_counter()
            self._ready += self._read(data, now - self._since)
            self._since = now
            self.ends = bool(self._ready) and self._ready[-1].ends
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        self._events.close()
