"""The options that tell how a second model is loaded, and what they come to."""

import argparse
from typing import Any, get_args

import msgspec

from tokexplore.models.api.options import SHIPPED, SMOLLM2, Dtype, LoadOptions, ServerOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.server.named import FILE, Server, named_servers
from tokexplore.models.server.wire.address import Address, is_address
from tokexplore.models.untrusted import brief, path_of
from tokexplore.tui.cli.common.app_options import model_name, server_fields
from tokexplore.tui.cli.common.option_types import adapter


def add_second(group: "argparse._ArgumentGroup", prefix: str, *, first: str) -> None:
    """Options of its own for how the second model is loaded: `--PREFIX-dtype` and others.

    Args:
        first: the first model, as the help names it.
    """
    group.add_argument(f"--{prefix}-device", dest="b_device", metavar="NAME", help="as --device")
    group.add_argument(
        f"--{prefix}-dtype", dest="b_dtype", choices=get_args(Dtype), help="as --dtype"
    )
    group.add_argument(
        f"--{prefix}-quantize",
        dest="b_quantize",
        choices=("int8", "int4", "none"),
        help="as --quantize; none: in full",
    )
    group.add_argument(
        f"--{prefix}-device-map", dest="b_device_map", choices=("auto",), help="as --device-map"
    )
    group.add_argument(
        f"--{prefix}-revision",
        dest="b_revision",
        metavar="REF",
        help=f"as --revision, which is {first}'s alone unless both are one model",
    )
    group.add_argument(
        f"--{prefix}-adapter",
        dest="b_adapters",
        type=adapter,
        action="append",
        metavar="[NAME=]DIR|ID",
        help=f"as --adapter, which is {first}'s alone unless both are one model; none: without",
    )
    group.add_argument(
        f"--{prefix}-tokenizer", dest="b_tokenizer", metavar="DIR", help="as --tokenizer"
    )
    group.add_argument(
        f"--{prefix}-api-key-env", dest="b_api_key_env", metavar="NAME", help="as --api-key-env"
    )
    group.add_argument(
        f"--{prefix}-api-key-file", dest="b_api_key_file", metavar="FILE", help="as --api-key-file"
    )
    group.add_argument(
        f"--{prefix}-api-header-env",
        dest="b_api_header_env",
        action="append",
        metavar="NAME=VARIABLE",
        help="as --api-header-env",
    )


def second_options(given: argparse.Namespace, prefix: str) -> str:
    """The first of the options of `add_second` that was given; empty where none was."""
    named = (name for name, value in vars(given).items() if name.startswith("b_") and value)
    dest = next(named, "").removeprefix("b_").replace("adapters", "adapter")
    return f"--{prefix}-{dest.replace('_', '-')}" if dest else ""


def server_called(name: str) -> Server | None:
    """The server of the user's file that a model's name stands for; None of any other name, and
    where a file or one of our own models has it."""
    if is_address(name) or model_name(name) in (*SHIPPED, SMOLLM2):
        return None
    if path_of(name).exists():
        return None
    return next((server for server in named_servers().servers if server.name == name), None)


def second_load(first: LoadOptions, called: str, given: argparse.Namespace) -> LoadOptions:
    """How the second model is loaded: as the first, but for what was given for it alone.

    Args:
        called: the second model, as it was given.
    """
    named = server_called(called)
    name = named.address.text if named else model_name(called)
    fields: dict[str, Any] = {"model": name}
    if name != first.model:
        fields["revision"], fields["adapters"] = "", ()
    if given.b_quantize:
        fields["quantize"] = given.b_quantize.replace("none", "")
    if given.b_adapters:
        fields["adapters"] = tuple(one for one in given.b_adapters if one.source != "none")
    for field in ("device", "dtype", "device_map", "revision"):
        if (value := getattr(given, f"b_{field}")) is not None:
            fields[field] = value
    server = _named_server(named, first, given) if named else _second_server(first, name)
    fields["server"] = server.with_given(_server_fields(given))
    return msgspec.structs.replace(first, **fields)


def _named_server(named: Server, first: LoadOptions, given: argparse.Namespace) -> ServerOptions:
    """The options of a second model that stands in the user's file: those, and what was given for
    both."""
    fields = server_fields(given)
    if is_address(first.model) and not _alike(first, named.address.text):
        fields = {field: fields[field] for field in ("timeout", "top") if field in fields}
    return named.options.with_given(fields)


def _second_server(first: LoadOptions, name: str) -> ServerOptions:
    """The first one's options, its keys and tokenizer only where they can be meant for both."""
    if not is_address(first.model) or _alike(first, name):
        return first.server
    return msgspec.structs.replace(first.server.without_secrets(), tokenizer="")


def _alike(first: LoadOptions, name: str) -> bool:
    """Whether a second model is at the first one's address."""
    return is_address(name) and Address.parse(name).base == Address.parse(first.model).base


def _server_fields(given: argparse.Namespace) -> dict[str, Any]:
    header_env = given.b_api_header_env
    fields = {
        "key_env": given.b_api_key_env,
        "key_file": given.b_api_key_file,
        "header_env": None if header_env is None else tuple(header_env),
        "tokenizer": given.b_tokenizer,
    }
    return {name: value for name, value in fields.items() if value is not None}


def check_is_here(load: LoadOptions) -> None:
    """Refuse a model that cannot be found, before anything is loaded.

    Raises:
        UsageError: for a name that can stand for nothing, and one that the hub would be asked for
            while the file of servers, which may have meant it, is wrong.
        ModelError: see `locate`.
    """
    if locate(load.model, load.revision).path or is_address(load.model) or "/" in load.model:
        return
    name = brief(load.model)
    if wrong := [each.problem for each in named_servers().wrong if each.name in (name, FILE)]:
        raise UsageError(f"{name} is no model that is here, nor a known server: {wrong[0]}")
