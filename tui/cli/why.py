"""`tokexplore why`: why the model said, or would say, a token after a prompt."""

import argparse
from typing import Literal, get_args

import msgspec

from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.units import UnitKind
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import load_options
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_loading,
    add_model,
    add_output,
    add_prompt,
)
from tokexplore.tui.cli.common.option_types import at_least_one, count, whole_numbers
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.report.why_layers_text import Order
from tokexplore.tui.report.why_values import VIEWS, View
from tokexplore.tui.terminal.stdio import private_stdout

TOP = 10
"""Stretches that are listed as the strongest where nothing else was asked."""
_FINEST = ("turn", "sentence", "word", "token")
_WHOSE: dict[str, View] = {
    "positions": "lens", "tuned_lens": "lens", "heads": "layers", "sort": "layers",
    "finest": "words", "everything": "words", "gradients": "words", "points": "words",
    "attention": "words",
}  # fmt: skip
"""The view that an option is of."""


class WhyOptions(msgspec.Struct, frozen=True):
    """What `tokexplore why` takes."""

    app: AppOptions = AppOptions()
    """How the model is loaded, and the prompt."""
    views: tuple[View, ...] = ()
    token: str | int | None = None
    """Text or id of the token that is asked about; None is the most probable one."""
    against: str | int | None = None
    literal: bool = False
    """Read the names of tokens in texts (`</s>`) as their characters."""
    positions: int = 1
    """Of the lens: steps, the last one the prompt's end."""
    tuned: str = ""
    heads: tuple[int, ...] = ()
    order: Order = "layer"
    finest: UnitKind = "token"
    everything: bool = False
    gradients: bool = False
    points: int = 0
    attention: bool = False
    format: Literal["text", "jsonl", "csv", "html", ""] = ""
    """Empty is what the name of the output tells."""
    top: int = TOP
    output: str = ""
    """A new file to write; empty is standard output."""
    force: bool = False


def _parser() -> Parser:
    parser = Parser(
        "tokexplore why",
        "Why the model would say a token after a prompt: what each layer says, what each layer\n"
        "did to the choice, and which words of the prompt did it.",
        usage="tokexplore why [MODEL] --prompt TEXT [--token TEXT] [--against TEXT] "
        "(--lens | --layers | --words) [options]",
    )
    add_model(parser)
    _add_tokens(parser)
    _add_lens(parser)
    _add_layers(parser)
    _add_words(parser)
    add_prompt(parser)
    add_chat(parser)
    add_output(parser, TOP, "strongest stretches of --words that text and html list first")
    add_loading(parser)
    return parser


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tokens", "What could come next.")
    for option, what in (
        ("token", "the token that is asked about (mind the space in ' king'; default: the most "
         "probable one)"),
        ("against", "why not this one: the second token of a difference (default for --layers: "
         "the most probable other one)"),
    ):  # fmt: skip
        either = group.add_mutually_exclusive_group()
        either.add_argument(f"--{option}", metavar="TEXT", help=what)
        either.add_argument(f"--{option}-id", type=count, metavar="ID", help="the same by token id")


def _add_lens(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logit lens")
    group.add_argument(
        "--lens",
        action="store_true",
        help="what each layer's state says through the model's own final norm and head",
    )
    group.add_argument(
        "--positions",
        type=at_least_one,
        metavar="N",
        help="of the last N steps of the prompt, as a grid of layers by steps (1)",
    )
    group.add_argument(
        "--tuned-lens",
        metavar="DIR",
        help="read the layers by a tuned lens (Belrose et al.) that was trained for the model",
    )


def _add_layers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("layers")
    group.add_argument(
        "--layers",
        action="store_true",
        help="split the difference of two tokens' logits into what embedding, attention and MLPs "
        "added",
    )
    group.add_argument(
        "--heads",
        type=whole_numbers,
        metavar="L[,L...]",
        help="layers, from 1, whose attention is told head by head",
    )
    group.add_argument("--sort", choices=get_args(Order), help="by layer (the default), or by size")


def _add_words(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("words")
    group.add_argument(
        "--words",
        action="store_true",
        help="hide stretches of the prompt from all later tokens, and tell what that does: turns, "
        "sentences, words, tokens, each inside what mattered",
    )
    group.add_argument("--finest", choices=_FINEST, help="hide nothing finer than this (token)")
    group.add_argument(
        "--everything", action="store_true", help="look into all stretches, whatever they did"
    )
    group.add_argument(
        "--gradients", action="store_true", help="also gradient x input, an estimate"
    )
    group.add_argument(
        "--points",
        type=at_least_one,
        metavar="N",
        help="also integrated gradients of N points, an estimate",
    )
    group.add_argument(
        "--attention",
        action="store_true",
        help="also what the last token attended to, averaged over layers and heads",
    )


def _options(given: argparse.Namespace) -> Prompted[WhyOptions]:
    views = tuple(view for view in VIEWS if getattr(given, view))
    _check_views(given, views)
    options = WhyOptions(
        app=AppOptions(load=load_options(given)),
        views=views,
        token=_named("--token", given.token, given.token_id),
        against=_named("--against", given.against, given.against_id),
        literal=given.literal,
        positions=given.positions or 1,
        tuned=given.tuned_lens or "",
        heads=given.heads or (),
        order=given.sort or "layer",
        finest=given.finest or "token",
        everything=given.everything,
        gradients=given.gradients,
        points=given.points or 0,
        attention=given.attention,
        format=given.format,
        top=given.top,
        output=given.output,
        force=given.force,
    )
    return Prompted(options, prompt_arguments(given))


def _check_views(given: argparse.Namespace, views: tuple[View, ...]) -> None:
    if not views:
        raise UsageError(
            "why needs to be told what to look at: give --lens (what each layer says), --layers "
            "(what each layer did to the choice) or --words (which words of the prompt did it)."
        )
    for name, view in _WHOSE.items():
        if getattr(given, name) and view not in views:
            raise UsageError(f"--{name.replace('_', '-')} is of --{view}: give that too.")


def _named(option: str, text: str | None, token: int | None) -> str | int | None:
    if text == "":
        raise UsageError(f"{option} '' is empty: give the text of a token, or {option}-id ID.")
    return token if text is None else text


def _run(asked: Prompted[WhyOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.why_runner import write_why

    app = asked.options.app
    locate(app.load.model, app.load.revision)
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, piped_stdin()))
    with private_stdout() as out:
        options = msgspec.structs.replace(asked.options, app=app)
        return write_why(options, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="why",
    takes="--lens|--layers|--words ...",
    summary="why it says a token: its layers, and the words of the prompt that did it",
    parser=_parser,
    options=_options,
    run=_run,
)
