"""`tokexplore replay`: a session as it was lived."""

import argparse
import os

from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.front_end import on_screen
from tokexplore.tui.cli.common.option_groups import add_session
from tokexplore.tui.cli.common.option_types import positive
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.screen_options import add_screen, screen_fields
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import IDLE_CAP, AppOptions, OpenOptions
from tokexplore.tui.terminal import gc_control
from tokexplore.tui.terminal.stdio import is_dumb

_SLOWEST = 1e-3


def _parser() -> Parser:
    parser = Parser(
        "tokexplore replay",
        "Live a session again: it streams, branches and switches as it did. space pauses, a dot "
        "steps,\nand whatever changes the tree takes over, in a session of its own.",
        usage="tokexplore replay [SESSION] [options]",
    )
    add_session(parser)
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="times as fast as it was lived (1)"
    )
    parser.add_argument(
        "--idle-cap",
        type=positive,
        default=IDLE_CAP,
        metavar="S",
        help="seconds that a pause lasts at most (%(default)s)",
    )
    add_screen(parser)
    return parser


def _speed(text: str) -> float:
    value = positive(text)
    if not _SLOWEST <= value <= 1 / _SLOWEST:
        raise argparse.ArgumentTypeError(
            f"{text} is not possible: give {_SLOWEST:g} to {1 / _SLOWEST:g}"
        )
    return value


def _options(given: argparse.Namespace) -> OpenOptions:
    app = AppOptions(**screen_fields(given), speed=given.speed, idle_cap=given.idle_cap)
    return OpenOptions(given.session, app=app)


def _run(asked: OpenOptions, _open_engine: OpenEngine) -> int:
    if asked.app.plain or not os.isatty(1) or is_dumb():
        raise UsageError("replay needs a terminal with a screen: export writes a session to read.")
    gc_control.pause()
    from tokexplore.tui.explore.open_session import to_replay

    timeline, app = to_replay(asked)
    return on_screen(app, timeline=timeline)


SUBCOMMAND = Subcommand(
    name="replay",
    takes="[SESSION]",
    summary="one of them as it was lived, without its model",
    parser=_parser,
    options=_options,
    run=_run,
)
