"""`tokexplore prob`: how probable given texts are after a prompt."""

import argparse
from typing import Literal

import msgspec

from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import load_options
from tokexplore.tui.cli.common.option_groups import add_chat, add_loading, add_model, add_prompt
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


class ProbOptions(msgspec.Struct, frozen=True):
    """What `tokexplore prob` takes."""

    app: AppOptions = AppOptions()
    """How the model is loaded, and the prompt."""
    texts: tuple[str, ...] = ()
    literal: bool = False
    """Read the names of tokens in the texts (`</s>`) as their characters."""
    format: Literal["text", "json", "jsonl"] = "text"


def _parser() -> Parser:
    parser = Parser(
        "tokexplore prob",
        "How probable texts are after a prompt: token by token, in sum, beside each other.\n"
        "In a chat they are what the assistant says.",
        usage="tokexplore prob [MODEL] --prompt TEXT --text TEXT [--text TEXT ...] [options]",
    )
    add_model(parser)
    texts = parser.add_argument_group("texts")
    texts.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="TEXT",
        help="a text that could come next (mind the space in ' king'); may be repeated",
    )
    add_prompt(parser)
    add_chat(parser)
    parser.add_argument_group("output").add_argument(
        "--format",
        choices=("text", "json", "jsonl"),
        default="text",
        help="text: tables; json: one object; jsonl: one JSON object a line (%(default)s)",
    )
    add_loading(parser)
    return parser


def _options(given: argparse.Namespace) -> Prompted[ProbOptions]:
    if not given.text:
        raise UsageError("prob needs a text to look at: give one or several with --text TEXT.")
    if "" in given.text:
        raise UsageError("--text '' is empty: give a text of at least one character.")
    app = AppOptions(load=load_options(given))
    options = ProbOptions(app, tuple(given.text), given.literal, given.format)
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[ProbOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.prob_report import write_probabilities

    app = asked.options.app
    locate(app.load.model, app.load.revision)
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, piped_stdin()))
    with private_stdout() as out:
        options = msgspec.structs.replace(asked.options, app=app)
        return write_probabilities(options, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="prob",
    takes="--text ...",
    summary="how probable texts are after a prompt, token by token and side by side",
    parser=_parser,
    options=_options,
    run=_run,
)
