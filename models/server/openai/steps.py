"""A stream of OpenAI's API."""

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tokexplore.models.errors import ServerError
from tokexplore.models.server.dialect import Step
from tokexplore.models.server.openai.reply import STOP, check_whole, decoded
from tokexplore.models.server.wire.event_stream import EventStream
from tokexplore.models.server.wire.http import Http

if TYPE_CHECKING:
    from tokexplore.models.server.openai.dialect import OpenAI


class OpenAISteps:
    """A stream whose events hold one token each, several, or none; implements `Steps`."""

    def __init__(
        self, server: "OpenAI", http: Http, body: dict[str, Any], ids: Sequence[int], top: int
    ) -> None:
        self._server, self._http, self._path, self._top = server, http, list(ids), top
        self._events = EventStream(http, server.path, body)
        self.ends = False
        self._ready: deque[Step] = deque()
        self._fault: ServerError | None = None
        """What came before it is given first."""
        self._since = time.perf_counter()

    @property
    def over(self) -> bool:
        return self._events.over and not self._ready and self._fault is None

    def next(self, seconds: float) -> Step | None:
        if not self._ready and self._fault is not None:
            raise self._fault
        if not self._ready and (data := self._events.next(seconds)) is not None:
            try:
                self._take(data)
            except ServerError as fault:
                self._fault = fault
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        self._events.close()

    def _take(self, data: bytes) -> None:
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        for choice in decoded(self._http, data, self._server.kind).choices:
            written, ends = choice.written(self._http), choice.finish_reason == STOP
            for number, told in enumerate(written, 1):
                if ends and number == len(written) and told.spelling.unseen:
                    break
                step = self._server.taken(told, self._path, self._top, seconds)
                self._path.append(step.token)
                self._ready.append(step)
            check_whole(choice)
            self.ends = self.ends or ends
