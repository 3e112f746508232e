"""`tokexplore sessions`: the sessions that are here, and those that are no longer wanted."""

import argparse
import os
import shutil

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.session.paths import out_of_reach
from tokexplore.tui.cli.common.option_types import positive
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand


class RemoveOptions(msgspec.Struct, frozen=True):
    """Sessions that are no longer wanted."""

    names: tuple[str, ...] = ()
    older_than: float | None = None
    """Days since anything was written."""
    yes: bool = False
    """Do not ask."""


def _parser() -> Parser:
    parser = Parser(
        "tokexplore sessions",
        "List the sessions that were kept, the latest first; or remove some of them.",
        usage="tokexplore sessions [--remove SESSION ...] [--older-than DAYS] [--yes]",
    )
    add = parser.add_argument
    add(
        "--remove", nargs="+", default=[], metavar="SESSION",
        help="remove these: files, names, or how they begin",
    )  # fmt: skip
    add(
        "--older-than", type=positive, metavar="DAYS",
        help="remove those to which nothing was written for so many days",
    )  # fmt: skip
    add("--yes", action="store_true", help="do not ask first")
    return parser


def _options(given: argparse.Namespace) -> RemoveOptions | None:
    if given.remove or given.older_than is not None:
        return RemoveOptions(tuple(given.remove), given.older_than, given.yes)
    if given.yes:
        raise UsageError("--yes is for --remove and --older-than: say what is to be removed.")
    return None


def _run(removing: RemoveOptions | None, _open_engine: OpenEngine) -> int:
    if removing is not None:
        from tokexplore.tui.cli.sessions_removal import remove_sessions

        remove_sessions(removing)
        return 0
    from tokexplore.tui.cli.sessions_table import session_table

    width = shutil.get_terminal_size().columns if os.isatty(1) else 0
    if table := session_table(width):
        print(table, end="", flush=True)
    if wrong := out_of_reach():
        raise UsageError(wrong)
    return 0


SUBCOMMAND = Subcommand(
    name="sessions",
    takes="",
    summary="the sessions that were kept",
    parser=_parser,
    options=_options,
    run=_run,
)
