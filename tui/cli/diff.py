"""`tokexplore diff`: two models on the same text, token by token."""

import argparse
from typing import Any, Literal, get_args

import msgspec

from tokexplore.models.api.options import Dtype, LoadOptions, ServerOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.opening import OpenEngine
from tokexplore.models.server.wire.address import Address, is_address
from tokexplore.tui.cli.common.app_options import app_options, model_name
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_ending,
    add_loading,
    add_prompt,
    add_sampling,
)
from tokexplore.tui.cli.common.option_types import adapter, count
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.terminal.stdio import private_stdout

TOP = 20
"""Steps that are listed where nothing else was asked."""


class DiffOptions(msgspec.Struct, frozen=True):
    """What `tokexplore diff` takes."""

    app: AppOptions = AppOptions(max_new_tokens=0)
    """How the first model is loaded, the prompt, how it goes on."""
    other: LoadOptions = LoadOptions()
    """How the second model is loaded."""
    whole: bool = False
    """Ask a server for the whole vocabulary of each step."""
    by: Literal["A", "B"] = "A"
    """Which of the two goes on."""
    format: Literal["text", "jsonl", "csv", "html", ""] = ""
    """Empty is what the name of the output tells."""
    top: int = TOP
    """Steps to list."""
    output: str = ""
    """A new file to write; empty is standard output."""
    force: bool = False


def _parser() -> Parser:
    parser = Parser(
        "tokexplore diff",
        "Two models on the same text, token by token: where they differ, and by how much.\n"
        "Models with the same tokens are compared step by step over the whole vocabulary (KL,\n"
        "Jensen-Shannon, ranks, greedy choices), others by what each stretch of the text costs.",
        usage="tokexplore diff A B (--prompt TEXT | --prompt-file FILE) [options]",
    )
    named = (
        "a directory, a GGUF file, a name in the hub cache, a hub id, embedded, smollm2, a "
        "server's address"
    )
    parser.add_argument("model", metavar="A", help=named)
    parser.add_argument("other", metavar="B", help="the same")
    add_prompt(parser)
    add_chat(parser)
    add_ending(parser)
    parser.set_defaults(max_new_tokens=0, api=None, session="", watch=[], watch_id=[])
    parser.add_argument_group("continuation").add_argument(
        "--by",
        choices=("A", "B"),
        default="A",
        help="which of the two goes on for --max-new-tokens; the other reads along, and "
        "the steps of the continuation are compared (%(default)s)",
    )
    add_sampling(parser)
    _add_output(parser)
    add_loading(parser, names_one=False)
    parser.add_argument_group("whole vocabulary").add_argument(
        "--whole",
        action="store_true",
        help="ask a server that lists the first candidates for all of them: a request a step",
    )
    _add_second(parser)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("text", "jsonl", "csv", "html"),
        default="",
        help="default: what the name of the output tells; text on standard output",
    )
    output.add_argument(
        "--top",
        type=count,
        default=TOP,
        metavar="N",
        help="steps to list in text and html, those that differ most (%(default)s)",
    )
    output.add_argument("-o", "--output", default="", metavar="FILE", help="a new file to write")
    output.add_argument("--force", action="store_true", help="write over a file that is there")


def _add_second(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "the second model",
        "How B is loaded where that is not how A is. Where both are servers, B is sent none of A's "
        "keys unless it is at the same address.",
    )
    group.add_argument("--b-device", metavar="NAME", help="as --device")
    group.add_argument("--b-dtype", choices=get_args(Dtype), help="as --dtype")
    group.add_argument(
        "--b-quantize", choices=("int8", "int4", "none"), help="as --quantize; none: in full"
    )
    group.add_argument("--b-device-map", choices=("auto",), help="as --device-map")
    group.add_argument(
        "--b-revision", metavar="REF", help="as --revision, which is A's alone unless B is A"
    )
    group.add_argument(
        "--b-adapter",
        dest="b_adapters",
        type=adapter,
        action="append",
        metavar="[NAME=]DIR|ID",
        help="as --adapter, which is A's alone unless B is A: `A A --b-adapter DIR` holds a model "
        "against itself with an adapter",
    )
    group.add_argument("--b-tokenizer", metavar="DIR", help="as --tokenizer")
    group.add_argument("--b-api-key-env", metavar="NAME", help="as --api-key-env")
    group.add_argument("--b-api-key-file", metavar="FILE", help="as --api-key-file")
    group.add_argument(
        "--b-api-header-env", action="append", metavar="NAME=VARIABLE", help="as --api-header-env"
    )


def _options(given: argparse.Namespace) -> Prompted[DiffOptions]:
    app = app_options(given)
    options = DiffOptions(
        app, second_load(app.load, given), given.whole, given.by, given.format, given.top,
        given.output, given.force,
    )  # fmt: skip
    return Prompted(options, prompt_arguments(given))


def second_load(first: LoadOptions, given: argparse.Namespace) -> LoadOptions:
    """How the second model is loaded: as the first, but for what was given for it alone."""
    name = model_name(given.other)
    fields: dict[str, Any] = {"model": name}
    if name != first.model:
        fields["revision"], fields["adapters"] = "", ()
    if given.b_quantize:
        fields["quantize"] = given.b_quantize.replace("none", "")
    if given.b_adapters:
        fields["adapters"] = tuple(given.b_adapters)
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


def _run(asked: Prompted[DiffOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.diff_runner import write_diff

    app, other = asked.options.app, asked.options.other
    for load in (app.load, other):
        locate(load.model, load.revision)
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, piped_stdin()))
    with private_stdout() as out:
        options = msgspec.structs.replace(asked.options, app=app)
        return write_diff(options, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="diff",
    takes="A B ...",
    summary="two models on the same text, token by token",
    parser=_parser,
    options=_options,
    run=_run,
)
