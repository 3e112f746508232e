"""Server-sent events, read by a thread of their own, so that nobody waits for a silent server."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2

from tokexplore.models.errors import ServerError, TokexploreError
from tokexplore.models.server.wire.http import Http

LONGEST_LINE = 8 * 2**20
"""Bytes of one event at most."""
AHEAD = 64
"""Events that may wait to be taken."""
_DONE = b"[DONE]"


class EventStream:
    """The data of the events that answer one request (WHATWG HTML, 9.2: server-sent events).

    Args:
        body: of the request.
    """

    def __init__(self, http: Http, path: str, body: dict[str, Any]) -> None:
        self._http, self._path, self._body = http, path, body
        self._arrived: queue.Queue[bytes | TokexploreError | None] = queue.Queue(AHEAD)
        self._response: httpx2.Response | None = None
        self._closed = threading.Event()
        self._over = False
        threading.Thread(target=self._read, name="events", daemon=True).start()

    def next(self, seconds: float) -> bytes | None:
        """The data of the next event; None where none comes in time, and after the end (`over`).

        Raises:
            ServerError: the server refuses, or the stream breaks off.
        """
        if self._over:
            return None
        try:
            arrived = self._arrived.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(arrived, TokexploreError):
            self._over = True
            raise arrived
        self._over = arrived is None
        return arrived

    @property
    def over(self) -> bool:
        """Whether all events were taken."""
        return self._over

    def close(self) -> None:
        """Hang up, which lets the server stop; the thread that reads wakes at once."""
        self._closed.set()
        self._over = True
        response = self._response
        stream = None if response is None else response.extensions.get("network_stream")
        if stream is not None:
            with contextlib.suppress(OSError, AttributeError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(queue.Empty):
            while True:
                self._arrived.get_nowait()

    # The reading thread

    def _read(self) -> None:
        try:
            with self._http.opened("POST", self._path, self._body, self._waits) as response:
                self._response = response
                for data in self._events(response):
                    if not self._put(data):
                        return
        except TokexploreError as error:
            self._put(error)
        else:
            self._put(None)

    def _waits(self, _words: str) -> bool:
        return not self._closed.is_set()

    def _put(self, item: bytes | TokexploreError | None) -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._arrived.put(item, timeout=0.1)
                return True
        return False

    def _events(self, response: httpx2.Response) -> Iterator[bytes]:
        for line in self._lines(response):
            field, _, value = line.partition(b":")
            if field == b"error":  # llama.cpp's, in the middle of a stream
                raise ServerError("the server ended the stream with an error.")
            if field != b"data":
                continue
            data = value.strip()
            if data == _DONE:
                return
            if data:
                yield data

    def _lines(self, response: httpx2.Response) -> Iterator[bytes]:
        rest = bytearray()
        for part in self._http.parts(response):
            if self._closed.is_set():
                return
            rest += part
            *lines, last = rest.split(b"\n")
            rest = bytearray(last)
            if len(rest) > LONGEST_LINE:
                raise self._http.unreadable(f"has a line longer than {LONGEST_LINE >> 20} MiB")
            yield from (bytes(line) for line in lines)
        if rest:
            yield bytes(rest)
