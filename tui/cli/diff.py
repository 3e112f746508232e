"""`tokexplore diff`: two models on the same text, token by token."""

import argparse
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED, LoadOptions
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import app_options
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_ending,
    add_loading,
    add_output,
    add_prompt,
    add_sampling,
)
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.second_model import (
    add_second,
    check_is_here,
    second_load,
    server_called,
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
        "server's address or its name in servers.toml"
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
    add_output(parser, TOP, "steps to list in text and html, those that differ most")
    add_loading(parser, names_one=False)
    parser.add_argument_group("whole vocabulary").add_argument(
        "--whole",
        action="store_true",
        help="ask a server that lists the first candidates for all of them: a request a step",
    )
    second = parser.add_argument_group(
        "the second model",
        "How B is loaded where that is not how A is. Where both are servers, B is sent none of A's "
        "keys unless it is at the same address.",
    )
    add_second(second, "b", first="A")
    return parser


def _options(given: argparse.Namespace) -> Prompted[DiffOptions]:
    named = server_called(given.model)
    # Under --api the embedded model's name is the server's own choice of one.
    first = {"api": named, "model": EMBEDDED} if named else {}
    app = app_options(argparse.Namespace(**vars(given) | first))
    other = second_load(app.load, given.other, given)
    options = DiffOptions(
        app, other, given.whole, given.by, given.format, given.top, given.output, given.force
    )
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[DiffOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.diff_runner import write_diff

    app, other = asked.options.app, asked.options.other
    for load in (app.load, other):
        check_is_here(load)
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
