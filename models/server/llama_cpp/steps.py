"""A stream of llama.cpp's server, with the tokens that it leaves out."""

import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from tokexplore.models.errors import ServerError
from tokexplore.models.server.dialect import Ask, Step
from tokexplore.models.server.llama_cpp.replies import EOS, PATH, Reply, Row
from tokexplore.models.server.wire.event_stream import EventStream
from tokexplore.models.server.wire.http import Http

if TYPE_CHECKING:
    from tokexplore.models.server.llama_cpp.dialect import LlamaCpp


class LlamaCppSteps:
    """Implements `Steps`: a greedy stream; what it leaves out is asked for.

    Of a character of several tokens a stream shows the last one alone.

    Args:
        ask: a plain one.
        length: tokens at most.
    """

    def __init__(self, server: "LlamaCpp", http: Http, ask: Ask, length: int) -> None:
        self._server, self._ask, self._path = server, ask, list(ask.ids)
        self._left, self._told = length, 0
        self.ends = False
        self._ready: deque[Step] = deque()
        self._since = time.perf_counter()
        body = server.body(ask, length)
        self._events: EventStream | None = EventStream(http, PATH, body)
        """None once it is given up: each token is then asked for."""

    @property
    def over(self) -> bool:
        ended = self._events.over if self._events is not None else self._left <= 0
        return ended and not self._ready

    def next(self, seconds: float) -> Step | None:
        if not self._ready and not self.over:
            if self._events is None:
                self._add(self._server.step(self._ask._replace(ids=self._path)))
            elif (data := self._events.next(seconds)) is not None:
                self._take(data)
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        if self._events is not None:
            self._events.close()

    def _add(self, step: Step) -> None:
        self.ends = step.ends
        self._ready.append(step)
        self._path.append(step.token)
        self._left -= 1
        self._told += 1

    def _take(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data, type=Reply)
        except (msgspec.MsgspecError, RecursionError):
            raise ServerError("an event of the stream cannot be read.") from None
        rows = event.completion_probabilities
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        hidden = event.tokens_predicted - self._told - len(rows)
        if hidden > 0 and not self._recovered(hidden, rows):
            return
        for row in rows:
            self._add(self._server.taken(row, self._ask.top, seconds))
        if event.stop_type == EOS:
            self.ends = True

    def _recovered(self, hidden: int, rows: list[Row]) -> bool:
        """Ask for the tokens that the stream has left out; whether the rest of it goes on from
        them. Else the stream is given up, and each token is asked for."""
        path, steps = list(self._path), list[Step]()
        for _ in range(hidden):
            steps.append(self._server.greedy(self._ask._replace(ids=path)))
            path.append(steps[-1].token)
        bytes_of = self._server.vocabulary.bytes_of
        spelled = b"".join(bytes_of(step.token) for step in steps)
        fits = not rows or bytes(rows[0].bytes) == spelled + bytes_of(rows[0].id)
        if fits:
            for step in steps:
                self._add(step)
            return True
        self.close()
        self._events = None
        return False
