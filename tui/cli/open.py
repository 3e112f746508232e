"""`tokexplore open`: a session as it was left."""

import argparse
import os
import sys

from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import server_fields
from tokexplore.tui.cli.common.front_end import in_lines, on_screen
from tokexplore.tui.cli.common.option_groups import LOADING, add_loading, add_session
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.screen_options import add_screen, screen_fields
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.report.step_text import plain_text
from tokexplore.tui.terminal import gc_control


def _parser() -> Parser:
    parser = Parser(
        "tokexplore open",
        "Open a session as it was left. Its model is loaded when it is asked to go on.",
        usage="tokexplore open [SESSION] [options]",
    )
    add_session(parser)
    add_screen(parser)
    add_loading(parser, dtype="default: as it was recorded", names_one=False)
    parser.set_defaults(**dict.fromkeys(LOADING))
    return parser


def _options(given: argparse.Namespace) -> OpenOptions:
    chosen = {name: getattr(given, name) for name in LOADING}
    chosen["adapters"] = tuple(given.adapters) if given.adapters else None
    return OpenOptions(
        session=given.session,
        load={name: value for name, value in chosen.items() if value is not None},
        app=AppOptions(**screen_fields(given)),
        server=server_fields(given),
    )


def _run(asked: OpenOptions, _open_engine: OpenEngine) -> int:
    if not asked.app.plain and not os.isatty(1):
        raise UsageError("open needs a terminal: --plain opens it in lines.")
    gc_control.pause()
    from tokexplore.tui.explore.open_session import continue_session, options_for

    opened = continue_session(asked.session)
    if opened.notice:
        print(f"tokexplore: {plain_text(opened.notice)}", file=sys.stderr)
    app = options_for(opened, asked)
    return in_lines(app, opened) if app.plain else on_screen(app, opened)


SUBCOMMAND = Subcommand(
    name="open",
    takes="[SESSION]",
    summary="one of them as it was left (default: the latest)",
    parser=_parser,
    options=_options,
    run=_run,
)
