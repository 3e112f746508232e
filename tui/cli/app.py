"""`tokexplore` without a subcommand: the app."""

import argparse
import os

import msgspec

import tokexplore
from tokexplore.models.catalog.glance import check_files
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import app_options, check_start
from tokexplore.tui.cli.common.front_end import in_lines, on_screen
from tokexplore.tui.cli.common.option_groups import add_session_file, add_shared
from tokexplore.tui.cli.common.option_types import positive
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.screen_options import add_screen, screen_fields
from tokexplore.tui.cli.common.second_model import (
    add_second,
    check_is_here,
    second_load,
    second_options,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.cli.registry import SUBCOMMANDS, load
from tokexplore.tui.explore.options import CLOSE_CALL, AppOptions


class _Version(argparse.Action):
    """Tells the version, which is looked up where it is asked for alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"tokexplore {tokexplore.__version__}")
        parser.exit()


class _AppParser(Parser):
    """Its help names the subcommands, which are imported for that alone."""

    def format_help(self) -> str:
        lines = ["commands:"]
        for each in map(load, SUBCOMMANDS):
            lines.append(f"  tokexplore {f'{each.name} {each.takes}':<19} {each.summary}")
        lines.append(
            "  (each has its own --help; a model directory of that name is given as ./run)"
        )
        self.epilog = "\n".join(lines)
        return super().format_help()


def app_parser() -> Parser:
    parser = _AppParser(
        "tokexplore",
        "Open the explorer: stream a language model, see every candidate, branch anywhere.",
        usage="tokexplore [MODEL] [options]\n       tokexplore COMMAND ...",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="tell the version")
    add_shared(parser)
    screen = add_screen(parser)
    screen.add_argument(
        "--close-call",
        type=positive,
        default=CLOSE_CALL,
        metavar="NATS",
        help="mark steps whose first two candidates are closer than this (%(default)s)",
    )
    screen.add_argument(
        "--models-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="also list the models in this folder; may be repeated",
    )
    screen.add_argument(
        "--tuned-lens",
        default="",
        metavar="DIR",
        help="read the layers (Y) with this tuned lens, config.json and params.pt, instead of the "
        "logit lens",
    )
    add_session_file(parser, "default: one in the state directory")
    second = parser.add_argument_group(
        "a second model",
        "One that reads along: what would it say? It is loaded as MODEL is, but for what is given "
        "here.",
    )
    second.add_argument(
        "--against",
        metavar="MODEL",
        help="named as MODEL is: another model, or MODEL itself in another dtype; one with other "
        "tokens is compared by what stretches of the text cost both",
    )
    add_second(second, "against", first="MODEL")
    return parser


def read_app(given: argparse.Namespace, *, examples: bool = False) -> Prompted[AppOptions]:
    """What the app is asked for; with `examples` it begins with the gallery."""
    if given.against is not None and given.plain:
        raise UsageError(
            "--against needs the screen: without --plain, or `tokexplore diff` in lines."
        )
    if given.against is None and (alone := second_options(given, "against")):
        raise UsageError(f"{alone} is of a second model: name it with --against MODEL.")
    app = app_options(
        given,
        threads="auto",
        **screen_fields(given),
        directories=tuple(given.models_dir),
        close_call=given.close_call,
        tuned_lens=given.tuned_lens,
        examples=examples,
    )
    if given.against is not None:
        against = second_load(app.load, given.against, given)
        check_is_here(against)
        app = msgspec.structs.replace(app, against=against)
    return Prompted(app, prompt_arguments(given))


def _options(given: argparse.Namespace) -> Prompted[AppOptions]:
    if given.model in SUBCOMMANDS:
        raise UsageError(
            f"the command {given.model} comes first: `tokexplore {given.model} ...`; a model "
            f"directory of that name is ./{given.model}."
        )
    return read_app(given)


def run_app(asked: Prompted[AppOptions], open_engine: OpenEngine) -> int:
    """The app on the screen or in lines; what `run` writes where the output is no terminal."""
    app = asked.options
    model = check_start(app)
    stdin = None if app.plain else piped_stdin()
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, stdin))
    if app.plain:
        return in_lines(app)
    if os.isatty(1):
        check_files(model)  # what is typed into a screen that goes is typed into the shell
        return on_screen(app)
    if app.against is not None:
        raise UsageError(
            "--against needs a terminal; `tokexplore diff` compares where there is none."
        )
    from tokexplore.tui.cli.run import RunOptions, write_run

    return write_run(RunOptions(app), open_engine)


SUBCOMMAND = Subcommand(
    name="",
    takes="[MODEL] [options]",
    summary="stream a language model, see every candidate, branch anywhere",
    parser=app_parser,
    options=_options,
    run=run_app,
)
