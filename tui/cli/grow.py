"""`tokexplore grow`: a tree that grows after a prompt, always where most of the mass is open."""

import argparse
from typing import Literal, get_args

import msgspec

from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.budget import TOKENS, Budget, bounded
from tokexplore.models.grow.growth import By
from tokexplore.models.grow.watch import Watch
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import BY_FIELD
from tokexplore.tui.cli.common.app_options import app_options
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_loading,
    add_model,
    add_prompt,
    add_sampling,
    add_stops,
)
from tokexplore.tui.cli.common.option_types import at_least_one, count, number, seconds
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.export.grow_formats import FORMATS
from tokexplore.tui.terminal.stdio import private_stdout

TOP = 20
"""Texts that are listed where nothing else was asked."""


class GrowOptions(msgspec.Struct, frozen=True):
    """What `tokexplore grow` takes."""

    app: AppOptions = AppOptions()
    """How the model is loaded, the prompt, the sampler, and how texts end."""
    budget: Budget = Budget(TOKENS)
    by: By = "model"
    watch: tuple[str, ...] = ()
    format: Literal["text", "jsonl", "html", "dot", ""] = ""
    """Empty is what the name of the output tells."""
    top: int = TOP
    output: str = ""
    """A new file to write; empty is standard output."""
    force: bool = False


def _parser() -> Parser:
    parser = Parser(
        "tokexplore grow",
        "A tree that grows after a prompt, always where most of the probability is open: how\n"
        "much of it is seen, the most probable texts, the probability of a text as bounds.",
        usage="tokexplore grow [MODEL] --prompt TEXT [--budget N] [--watch-text TEXT ...] "
        "[options]",
    )
    add_model(parser)
    _add_budget(parser)
    add_prompt(parser)
    add_chat(parser)
    add_sampling(
        parser,
        "Only with --by sampler: the settings under which its probabilities are.",
        seed=False,
    )
    add_stops(parser.add_argument_group("end"))
    _add_output(parser)
    add_loading(parser)
    parser.set_defaults(watch=[], watch_id=[], session="", seed=None, max_new_tokens=0)
    return parser


def _add_budget(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tree", "It grows until one of these is used up.")
    group.add_argument(
        "--budget", type=at_least_one, default=0, metavar="N",
        help=f"forward steps, each of them a node ({TOKENS} unless --seconds is given)",
    )  # fmt: skip
    group.add_argument("--seconds", type=seconds, default=0.0, metavar="S", help="time to grow")
    group.add_argument(
        "--depth", type=at_least_one, default=0, metavar="N",
        help="go on from no text of so many tokens",
    )  # fmt: skip
    group.add_argument(
        "--least-mass", type=number, default=0.0, metavar="P",
        help="go on from no text that is less probable (0.001)",
    )  # fmt: skip
    group.add_argument(
        "--by", choices=get_args(By), default="model",
        help="whose probability: the model's own (the default), or the sampler's under the "
        "settings below",
    )  # fmt: skip
    group.add_argument(
        "--watch-text", action="append", default=[], metavar="TEXT",
        help="tell between which bounds the probability lies that the generated text holds this "
        "text, or matches this /regular expression/; may be repeated",
    )  # fmt: skip


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format", choices=FORMATS, default="",
        help="default: what the name of the output tells; text on standard output",
    )  # fmt: skip
    output.add_argument(
        "--top", type=count, default=TOP, metavar="N",
        help="most probable texts that text and html list, and leaves that dot draws (%(default)s)",
    )  # fmt: skip
    output.add_argument("-o", "--output", default="", metavar="FILE", help="a new file to write")
    output.add_argument("--force", action="store_true", help="write over a file that is there")


def _options(given: argparse.Namespace) -> Prompted[GrowOptions]:
    if not 0 <= given.least_mass < 1:
        raise UsageError(
            f"--least-mass {given.least_mass:g} is not possible: give 0 or more, less than 1."
        )
    for words in given.watch_text:
        Watch(words)  # which refuses what cannot be watched
    app = app_options(given)
    named = [BY_FIELD[field].name for field in sorted(app.given)]
    named += ["model defaults"] * app.model_defaults
    if given.by == "model" and named:
        raise UsageError(
            f"the settings of the sampler ({', '.join(named)}) change nothing in the model's own "
            "tree: give --by sampler too, or leave them out."
        )
    if given.by == "sampler" and app.settings.greedy and not app.model_defaults:
        raise UsageError(
            "--by sampler at temperature 0 is a single text: give --temperature above 0, or "
            "--model-defaults."
        )
    options = GrowOptions(
        app=app,
        budget=bounded(Budget(given.budget, given.seconds, given.depth, given.least_mass)),
        by=given.by,
        watch=tuple(given.watch_text),
        format=given.format,
        top=given.top,
        output=given.output,
        force=given.force,
    )
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[GrowOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.grow_runner import write_tree

    app = asked.options.app
    locate(app.load.model, app.load.revision)
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, piped_stdin()))
    with private_stdout() as out:
        options = msgspec.structs.replace(asked.options, app=app)
        return write_tree(options, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="grow",
    takes="--prompt ...",
    summary="a tree that grows by probability: how much is seen, and what it says",
    parser=_parser,
    options=_options,
    run=_run,
)
