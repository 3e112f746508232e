"""Where a server is and which of its models is meant; what authenticates us there."""

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tokexplore.models.api.options import ServerOptions
from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import brief, path_of

_SECRET_MODE = 0o077
"""Permissions of others that a file with a key may not give."""
_CHATS = "/chat/completions"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_address(model: str) -> bool:
    """Whether the name of a model is that of a server."""
    return model.lower().startswith(("http://", "https://"))


class Address(NamedTuple):
    """A server, and one of its models."""

    base: str
    """`http://host:port` and a path where there is one, without `/v1` and without a last slash."""
    model: str = ""
    """As the server names it; empty for the only one that it serves."""
    chats: bool = False
    """Whether its chats are meant, whatever else it can be asked."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """An address as it is given: `http://127.0.0.1:8000/v1#owner/name`.

        Raises:
            UsageError: for what is no such address, or has a secret in it.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            # Python's own words repeat what it took for a port, which may be of a password.
            why = "give http://HOST:PORT, or https://HOST/v1" if "@" in text else error
            raise UsageError(f"{_shown(text)!r} is no address of a server: {why}.") from None
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                "an address must not hold a user or a password, which would stand in sessions and "
                "logs: name the variable that holds the key with --api-key-env."
            )
        if not parts.hostname or parts.query or parts.scheme not in ("http", "https"):
            raise UsageError(
                f"{_shown(text)!r} is no address of a server: give http://HOST:PORT, or "
                "https://HOST/v1."
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        at = host if port is None else f"{host}:{port}"
        path = parts.path.rstrip("/")
        base = path.removesuffix(_CHATS).removesuffix("/v1")
        chats = path.endswith(_CHATS)
        return cls(f"{parts.scheme}://{at}{base}", unquote(parts.fragment), chats)

    @property
    def text(self) -> str:
        """As it can be given again."""
        base = f"{self.base}/v1{_CHATS}" if self.chats else self.base
        return f"{base}#{quote(self.model)}" if self.model else base

    @property
    def host(self) -> str:
        """Whom an error names."""
        return self.base.partition("://")[2]


def _shown(text: str) -> str:
    """An address as an error repeats it: without what may be a password or a key."""
    head, at, host = text.rpartition("@")
    plain, question, _ = host.partition("?")
    return brief(("…@" if at else head) + plain + ("?…" if question else ""))


def same_server(first: str, second: str) -> bool:
    """Whether two models are behind one server, which may then be told the same key."""
    return (
        is_address(first)
        and is_address(second)
        and Address.parse(first).base == Address.parse(second).base
    )


def headers(options: ServerOptions) -> dict[str, str]:
    """What is sent with each request: the key, and headers of the user's.

    Raises:
        UsageError: a variable that is not set, a file that others may read, or a value that cannot
            be sent. The value itself is in no error.
    """
    sent: dict[str, str] = {}
    if key := _key(options):
        sent["Authorization"] = f"Bearer {key}"
    for given in options.header_env:
        name, variable = header_of(given)
        sent[name] = _sendable(_variable(variable, f"the header {brief(name)}"), variable)
    return sent


def header_of(given: str) -> tuple[str, str]:
    """A header's name, and the variable that holds its value, of `NAME=VARIABLE`.

    Raises:
        UsageError: it is something else, maybe the value itself, which is not repeated.
    """
    name, _, variable = given.partition("=")
    if not name.strip() or not variable:
        raise UsageError(
            "a header is not possible as it was given: give NAME=VARIABLE, the variable that holds "
            "its value."
        )
    check_variable(variable, f"the header {brief(name.strip())}")
    return name.strip(), variable


def check_variable(name: str, holds: str) -> None:
    """Refuse what is no name of a variable: it may be the secret itself, and is not repeated.

    Raises:
        UsageError: saying what the variable would hold.
    """
    if not _VARIABLE.fullmatch(name):
        raise UsageError(
            f"what is given for {holds} is no name of a variable: give the name of the variable "
            "that holds it, never the value."
        )


def _key(options: ServerOptions) -> str:
    if options.key_env:
        return _sendable(_variable(options.key_env, "the server's key"), options.key_env)
    if options.key_file:
        return _sendable(_secret_file(path_of(options.key_file)), options.key_file)
    return ""


def _variable(name: str, holds: str) -> str:
    check_variable(name, holds)
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(f"the variable {brief(name)} for {holds} is not set: export it.")
    return value


def _secret_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & _SECRET_MODE:
            raise UsageError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 it."
            )
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not plain text").lower()
        raise UsageError(f"the key in {path} cannot be read: {reason}.") from None


def _sendable(value: str, where: str) -> str:
    if not value or not all(" " <= character <= "~" for character in value):
        raise UsageError(
            f"what {brief(where)} holds cannot be sent as a header: it must be printable ASCII on "
            "one line."
        )
    return value
