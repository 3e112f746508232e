"""The options that tell how a second model is loaded, and what they come to."""

import argparse
from typing import Any, get_args

import msgspec

from tokexplore.models.api.options import Dtype, LoadOptions, ServerOptions
from tokexplore.models.server.wire.address import Address, is_address
from tokexplore.tui.cli.common.app_options import model_name


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
        f"--{prefix}-device-map", dest="b_device_map", choices=("auto",), help="as --device-map"
    )
    group.add_argument(
        f"--{prefix}-revision",
        dest="b_revision",
        metavar="REF",
        help=f"as --revision, which is {first}'s alone unless both are one model",
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


def second_load(first: LoadOptions, named: str, given: argparse.Namespace) -> LoadOptions:
    """How the second model is loaded: as the first, but for what was given for it alone.

    Args:
        named: the second model, as it was given.
    """
    name = model_name(named)
    fields: dict[str, Any] = {"model": name}
    if name != first.model:
        fields["revision"] = ""
    for field in ("device", "dtype", "device_map", "revision"):
        if (value := getattr(given, f"b_{field}")) is not None:
            fields[field] = value
    fields["server"] = _second_server(first, name).with_given(_server_fields(given))
    return msgspec.structs.replace(first, **fields)


def _second_server(first: LoadOptions, name: str) -> ServerOptions:
    """The first one's options, its keys and tokenizer only where they can be meant for both."""
    if not is_address(first.model):
        return first.server
    alike = is_address(name) and Address.parse(name).base == Address.parse(first.model).base
    if alike:
        return first.server
    return msgspec.structs.replace(first.server.without_secrets(), tokenizer="")


def _server_fields(given: argparse.Namespace) -> dict[str, Any]:
    header_env = given.b_api_header_env
    fields = {
        "key_env": given.b_api_key_env,
        "key_file": given.b_api_key_file,
        "header_env": None if header_env is None else tuple(header_env),
        "tokenizer": given.b_tokenizer,
    }
    return {name: value for name, value in fields.items() if value is not None}
