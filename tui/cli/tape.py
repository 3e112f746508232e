"""`tokexplore tape`: a script that drives the real app, for demos and tests."""

import msgspec

from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.report.step_text import plain_text


class TapeOptions(msgspec.Struct, frozen=True):
    """What `tokexplore tape` takes."""

    tape: str = ""
    cast: str = ""
    gif: str = ""
    svg: str = ""
    """Folder of the screenshots."""
    check: bool = False
    """Play it and write nothing."""


def _parser() -> Parser:
    parser = Parser(
        "tokexplore tape",
        "Play a script that drives the real app, without a terminal and on a clock of its own.",
        usage="tokexplore tape FILE [options]",
        epilog="A tape has one command a line: Size, Theme, Options and Session or Replay first,\n"
        "then Type, Key, Repeat, Wait, Until, Speed, Screenshot, Caption and Keys; # begins a\n"
        "comment.",
    )
    parser.add_argument("tape", metavar="FILE", help="the tape")
    parser.add_argument("--cast", default="", metavar="OUT.cast", help="record it (asciicast)")
    parser.add_argument(
        "--gif", default="", metavar="OUT.gif", help="draw it; needs the extra tokexplore[gif]"
    )
    parser.add_argument("--svg", default="", metavar="DIR", help="where its screenshots go")
    parser.add_argument("--check", action="store_true", help="only see whether it runs")
    return parser


def _run(asked: TapeOptions, _open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.tape_run import run_tape

    print(plain_text(run_tape(asked)))
    return 0


SUBCOMMAND = Subcommand(
    name="tape",
    takes="FILE",
    summary="a script that drives the app: recordings, pictures, tests",
    parser=_parser,
    options=lambda given: TapeOptions(**vars(given)),
    run=_run,
)
