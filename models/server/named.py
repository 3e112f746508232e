"""Servers by the user's own names: `servers.toml` in the configuration folder."""

import contextlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from tokexplore.models.api.options import ServerOptions
from tokexplore.models.errors import UsageError
from tokexplore.models.server.wire.address import Address, check_variable, header_of, is_address
from tokexplore.models.untrusted import BITS, brief, read_toml

FILE = "servers.toml"
_PREFIX = "api-"
_SECRETS = {
    "key", "token", "secret", "password", "auth", "authorization", "bearer", "header", "headers",
}  # fmt: skip
"""Fields, without `api-`, in which somebody would write a key itself."""


class Server(NamedTuple):
    """A server, one of its models, and how it is asked."""

    name: str
    """As the user calls it; empty where it was given by its address."""
    address: Address
    options: ServerOptions


class Wrong(NamedTuple):
    """A part of the file that is left out."""

    name: str
    """The server's, or the file's."""
    problem: str
    """A sentence."""


class Named(NamedTuple):
    """What the file holds."""

    servers: tuple[Server, ...] = ()
    wrong: tuple[Wrong, ...] = ()

    @property
    def problem(self) -> str:
        """All that is wrong with the file; empty where nothing is."""
        return " ".join(wrong.problem for wrong in self.wrong)

    def keys_at(self, model: str) -> ServerOptions:
        """The key and headers for a model behind an address, which the user wrote beside them.

        Nothing for an address that is not there, and where it is there with several keys of which
        none is that model's.
        """
        with contextlib.suppress(UsageError):
            address = Address.parse(model) if is_address(model) else None
            here = [s for s in self.servers if address and s.address.base == address.base]
            keys = {
                ServerOptions().with_keys_of(server.options)
                for server in [s for s in here if s.address == address] or here
            }
            if len(keys) == 1:
                return keys.pop()
        return ServerOptions()


def named_servers() -> Named:
    """The servers of the user's own file; one that is wrong is left out, and the others hold."""
    path = file_path()
    try:
        tables = read_toml(path)
    except ValueError as error:
        return Named(wrong=(Wrong(FILE, f"{path} {error}: none of its servers is known."),))
    servers, wrong = list[Server](), list[Wrong]()
    for name, table in tables.items():
        try:
            server = _server(name, table)
            _check_alone(server, servers)
        except (ValueError, UsageError) as error:
            said = str(error).removesuffix(".")
            wrong.append(Wrong(brief(name), f"{FILE}, {brief(name)}: {said}."))
        else:
            servers.append(server)
    return Named(tuple(servers), tuple(wrong))


def file_path() -> Path:
    """Where the file is looked for."""
    return platformdirs.user_config_path("tokexplore") / FILE


def server_of(given: str) -> Server:
    """The server that an address or a name stands for.

    Raises:
        UsageError: neither is one, or the file of names is wrong.
    """
    if "://" in given:
        return Server("", Address.parse(given), ServerOptions())
    named = named_servers()
    if named.problem:
        raise UsageError(named.problem)
    by_name = {server.name: server for server in named.servers}
    if given in by_name:
        return by_name[given]
    if not by_name:
        raise UsageError(
            f"{brief(given)!r} is no address of a server: give http://HOST:PORT, or name one in "
            f"{file_path()}."
        )
    near = get_close_matches(given, by_name, 3) or list(by_name)[:3]
    raise UsageError(
        f"{FILE} names no server {brief(given)!r}: give {' or '.join(near)}, or http://HOST:PORT."
    )


def _server(name: str, table: object) -> Server:
    """Raises:
    ValueError, UsageError: what is wrong with it, to be read after its name.
    """
    if not isinstance(table, dict):
        raise ValueError(
            f"it stands outside a server's table: write [NAME] in the line above {name}"
        )
    if not name.strip() or not name.isprintable() or "://" in name:
        raise ValueError("this cannot be a name: give one of letters and digits")
    fields = dict[str, Any]()
    for given, value in table.items():
        field = _field(given)
        if field in fields:
            raise ValueError(f"{field} stands there twice, as {given} too: leave one of them out")
        try:
            fields[field] = _READ[field](value)
        except ValueError as error:
            raise ValueError(f"{given} {error}") from None
        except UsageError as error:
            raise ValueError(f"in {given}, {error}") from None
    if "url" not in fields:
        raise ValueError('it has no url: add url = "http://HOST:PORT"')
    if {"key-env", "key-file"} <= fields.keys():
        raise ValueError("key-env and key-file both name its key: leave one of them out")
    address, model = fields.pop("url"), fields.pop("model", "")
    if model and address.model:
        raise ValueError(
            f"its model is {brief(repr(model))}, and {brief(repr(address.model))} at the end of "
            "its url: leave one of them out"
        )
    options = ServerOptions(**{field.replace("-", "_"): value for field, value in fields.items()})
    return Server(name, address._replace(model=model or address.model), options)


def _field(given: str) -> str:
    """The field that is meant: as the option, of which `api-` may be left out.

    Raises:
        ValueError: there is none of this name, to be read after the server's.
    """
    if given in _READ:
        return given
    bare = given.removeprefix(_PREFIX)
    if bare in _OPTIONS:
        return bare
    if given.casefold().replace("_", "-").removeprefix(_PREFIX) in _SECRETS:
        raise ValueError(
            f"{brief(given)} would hold a key, and keys do not stand in this file: name the "
            "variable that holds it with key-env, or a private file with key-file"
        )
    near = get_close_matches(bare.replace("_", "-"), _READ, 1)
    raise ValueError(
        f"{brief(repr(given))} is no field of a server"
        + (f": {near[0]} is" if near else f": {', '.join(_READ)} are")
    )


def _check_alone(server: Server, others: list[Server]) -> None:
    """Raises:
    ValueError: another one has its address and model, to be read after its name.
    """
    for other in others:
        if other.address == server.address:
            raise ValueError(
                f"{server.address.text} is {brief(other.name)} already: leave one of them out, or "
                "name another model"
            )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"needs a text, not {_shown(value)}")
    return value


def _url(value: object) -> Address:
    return Address.parse(_text(value))


def _variable(value: object) -> str:
    name = value if isinstance(value, str) else ""
    check_variable(name, "the server's key")
    return name


def _headers(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    for one in given:
        header_of(one if isinstance(one, str) else "")
    return tuple(given)


def _key_file(value: object) -> str:
    """A path that means the same file wherever we are started."""
    path = _text(value)
    if not path.startswith(("/", "~")):
        raise ValueError(f"needs a path that begins with / or ~, not {_shown(path)}")
    return path


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**BITS:
        raise ValueError(f"needs seconds, 0 or more, not {_shown(value)}")
    return float(value)


def _candidates(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"needs a whole number, 1 or more, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """A wrong value in a sentence; tables and long numbers have no short form."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >> BITS:
        return f"a number of more than {BITS} bits"
    return brief(repr(value))


_OPTIONS: Mapping[str, Callable[[object], Any]] = {
    "key-env": _variable,
    "key-file": _key_file,
    "header-env": _headers,
    "timeout": _seconds,
    "top": _candidates,
}
"""Fields that are options `--api-…`."""
_READ: Mapping[str, Callable[[object], Any]] = {
    "url": _url,
    "model": _text,
    "tokenizer": _text,
    **_OPTIONS,
}
"""From the value in the file to that in `ServerOptions`."""
