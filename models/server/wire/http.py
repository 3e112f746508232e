"""Requests to a server: bounded in size and time, and refused in sentences that hold no secret."""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from tokexplore.models.api.options import ServerOptions
from tokexplore.models.display import safe_text
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.server.wire.address import Address, headers
from tokexplore.models.untrusted import brief

SMALL, LARGE = 8 * 2**20, 256 * 2**20
"""Bytes of a reply at most: of most calls, and of those that list the whole vocabulary."""
CONNECT = 10.0
"""Seconds that connecting may take."""
RETRIES = 3
LONGEST_WAIT = 30.0
"""Seconds that a busy server may ask us to wait before a try."""
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_LONGEST_MESSAGE = 300
_LOOK_EVERY = 0.1
_ERRNO = re.compile(r"\[Errno -?\d+\] ")

Waiting = Callable[[str], bool]
"""Told what is waited for; whether to go on waiting."""


def patient(_words: str) -> bool:
    """Wait for a busy server, whoever waits for us."""
    return True


class Http:
    """One server, asked by one thread at a time and read by others.

    Args:
        transport: answers in the place of the network.

    Raises:
        UsageError: a key or header that cannot be had.
    """

    def __init__(
        self,
        address: Address,
        options: ServerOptions,
        *,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.address = address
        self._client = httpx2.Client(
            headers={"User-Agent": "tokexplore", **headers(options)},
            timeout=httpx2.Timeout(options.timeout, connect=CONNECT),
            follow_redirects=False,
            transport=transport,
        )

    def get(self, path: str) -> Any:
        """A JSON reply.

        Raises:
            ServerError: there is none.
        """
        return self._json(self._whole("GET", path, None, SMALL))

    def get_text(self, path: str) -> str:
        """A reply as text.

        Raises:
            ServerError: there is none.
        """
        return self._whole("GET", path, None, SMALL).decode("utf-8", "replace")

    def post(self, path: str, body: dict[str, Any], limit: int = SMALL) -> Any:
        """A JSON reply to a body.

        Raises:
            ServerError: there is none.
        """
        return self._json(self.post_raw(path, body, limit))

    def post_raw(self, path: str, body: dict[str, Any], limit: int = SMALL) -> bytes:
        """A reply's bytes, for a typed decoder.

        Raises:
            ServerError: there is none.
        """
        return self._whole("POST", path, body, limit)

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _json(self, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise self.unreadable("is no JSON") from None

    def unreadable(self, why: str) -> ServerError:
        """The error for a reply that is not what such a server sends."""
        return ServerError(f"a reply of {safe_text(self.address.host)} cannot be read: it {why}.")

    def _whole(self, method: str, path: str, body: dict[str, Any] | None, limit: int) -> bytes:
        with self.opened(method, path, body) as response:
            return self.read(response, limit)

    def read(self, response: httpx2.Response, limit: int) -> bytes:
        """All of a reply.

        Raises:
            ServerError: it breaks off, or is longer than it may be.
        """
        data = bytearray()
        for part in self.parts(response):
            data += part
            if len(data) > limit:
                raise self.unreadable(f"is longer than {limit >> 20} MiB")
        return bytes(data)

    def parts(self, response: httpx2.Response) -> Iterator[bytes]:
        """A reply as it comes.

        Raises:
            ServerError: it breaks off.
        """
        try:
            yield from response.iter_bytes()
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise ServerError(
                f"the answer of {safe_text(self.address.host)} broke off: {_reason(error)}."
            ) from None

    @contextlib.contextmanager
    def opened(
        self, method: str, path: str, body: dict[str, Any] | None, waiting: Waiting = patient
    ) -> Iterator[httpx2.Response]:
        """A reply of which the head is here; a server that is busy is asked again.

        Raises:
            ServerError: it cannot be reached, or refuses.
        """
        for tries_left in reversed(range(RETRIES + 1)):
            with contextlib.ExitStack() as opened:
                response = opened.enter_context(self._sent(method, path, body))
                if response.status_code not in _BUSY or not tries_left:
                    self._check(response, path)
                    yield response
                    return
                seconds = _retry_after(response)
            if not _waited(seconds, waiting):
                raise ServerError(f"{safe_text(self.address.host)} is busy.")

    @contextlib.contextmanager
    def _sent(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> Iterator[httpx2.Response]:
        content = None if body is None else msgspec.json.encode(body)
        try:
            request = self._client.build_request(
                method,
                self.address.base + path,
                content=content,
                headers={"Content-Type": "application/json"} if body is not None else None,
            )
            response = self._client.send(request, stream=True)
        except httpx2.InvalidURL as error:
            raise UsageError(
                f"{brief(self.address.base)!r} is no address of a server: {error}."
            ) from None
        except httpx2.HTTPError as error:
            raise ServerError(
                f"{safe_text(self.address.host)} cannot be reached: {_reason(error)}."
            ) from None
        try:
            yield response
        finally:
            response.close()

    def _check(self, response: httpx2.Response, path: str) -> None:
        """Raises:
        ServerError: the server refuses.
        """
        code, host = response.status_code, safe_text(self.address.host)
        if response.is_success:
            return
        if response.is_redirect:
            target = brief(response.headers.get("location", ""))
            raise ServerError(
                f"{host} sends us on to {target!r}, which may be somebody else: give the address "
                "that answers itself."
            )
        if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ServerError(
                f"{host} refuses us ({code}): name the variable that holds its key with "
                "--api-key-env."
            )
        said = _message(response.headers.get("content-type", ""), self.read(response, SMALL))
        raise RefusedError(f"{host} refuses {path} ({code}): {said}", code)


class RefusedError(ServerError):
    """A request that the server understood and refused."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def _reason(error: Exception) -> str:
    """What happened, in a few words; libraries put addresses and errno into theirs."""
    if isinstance(error, httpx2.TimeoutException):
        return "it took too long (--api-timeout gives it more)"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return "the connection was closed"
    said = _ERRNO.sub("", str(error)).rstrip(".")
    words = safe_text(brief(said or type(error).__name__))
    return words[:1].lower() + words[1:] if words[1:2].islower() else words


def _message(content_type: str, data: bytes) -> str:
    """What the server says of its refusal, as a sentence that can be shown."""
    if "html" in content_type.lower():
        return "a page for browsers; what answers there is no such server."
    words: Any = None
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        said = msgspec.json.decode(data)
        error = said.get("error", said) if isinstance(said, dict) else said
        words = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    if words is None:
        words = data.decode("utf-8", "replace")
    return said_by(words if isinstance(words, str) else json.dumps(words))


def said_by(text: str) -> str:
    """What a server says, as the end of a sentence that can be shown."""
    shown = safe_text(" ".join(text[:_LONGEST_MESSAGE].split()))
    return f"{shown.rstrip('.') or 'it does not say why'}."


def _retry_after(response: httpx2.Response) -> float:
    """Seconds to wait before another try; dates, which few servers send, count as one second."""
    try:
        seconds = float(response.headers.get("retry-after", "1"))
    except ValueError:
        seconds = 1.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _waited(seconds: float, waiting: Waiting) -> bool:
    """Wait; whether it was to the end."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not waiting(f"the server is busy: another try in {left:.0f} s"):
            return False
        time.sleep(min(_LOOK_EVERY, left))
    return True


def models_at(http: Http) -> list[dict[str, Any]]:
    """What a server says of the models that it serves.

    Raises:
        ServerError: it does not say.
    """
    said = http.get("/v1/models")
    listed = said.get("data") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise http.unreadable("lists no models (GET /v1/models)")
    models = [m for m in listed if isinstance(m, dict) and isinstance(m.get("id"), str)]
    if not models:
        raise ServerError(f"{safe_text(http.address.host)} serves no model.")
    return models
