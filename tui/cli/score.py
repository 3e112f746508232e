"""`tokexplore score`: what the model thinks of a text, token by token."""

import argparse
from typing import Literal

import msgspec

from tokexplore.models.catalog.catalog import locate
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import load_options
from tokexplore.tui.cli.common.option_groups import add_literal, add_loading, add_model
from tokexplore.tui.cli.common.option_types import count
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions, ExportOptions
from tokexplore.tui.terminal.stdio import private_stdout


class ScoreOptions(msgspec.Struct, frozen=True):
    """What `tokexplore score` takes."""

    file: str = "-"
    """UTF-8 text; `-` is standard input."""
    app: AppOptions = AppOptions()
    """How the model is loaded."""
    format: Literal["text", "jsonl", "html"] = "text"
    candidates: int = 0
    """Candidates to list for each token; 0 leaves the table of all tokens out."""
    literal: bool = False
    """Read the names of tokens in the text (`</s>`) as their characters."""


def _parser() -> Parser:
    parser = Parser(
        "tokexplore score",
        "Score a text: every token's surprisal, and what the model would have said instead.",
        usage="tokexplore score FILE [MODEL] [options]",
    )
    parser.add_argument("file", metavar="FILE", help="UTF-8 text; - is standard input")
    add_model(parser)
    add_literal(parser)
    parser.add_argument(
        "--format",
        choices=("text", "jsonl", "html"),
        default="text",
        help="text: figures and tables; jsonl: as `run` has it; html: a page (%(default)s)",
    )
    parser.add_argument(
        "--candidates",
        type=count,
        default=None,
        metavar="K",
        help="candidates of each token (0 in text, which then leaves out the table of all tokens; "
        "20 otherwise)",
    )
    add_loading(parser)
    return parser


def _options(given: argparse.Namespace) -> ScoreOptions:
    app = AppOptions(load=load_options(given))
    candidates = given.candidates
    if candidates is None:
        candidates = 0 if given.format == "text" else ExportOptions().candidates
    return ScoreOptions(given.file, app, given.format, candidates, given.literal)


def _run(asked: ScoreOptions, open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.score_report import score_text

    locate(asked.app.load.model, asked.app.load.revision)
    with private_stdout() as out:
        return score_text(asked, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="score",
    takes="FILE",
    summary="what the model thinks of a text, token by token",
    parser=_parser,
    options=_options,
    run=_run,
)
