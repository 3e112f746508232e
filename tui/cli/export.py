"""`tokexplore export`: a session as a file for others to read."""

from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.option_groups import add_session
from tokexplore.tui.cli.common.option_types import count
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import ExportOptions
from tokexplore.tui.export.formats import FORMATS
from tokexplore.tui.terminal.stdio import private_stdout


def _parser() -> Parser:
    parser = Parser(
        "tokexplore export",
        "Write a session to a file for others to read. Its model is not needed.",
        usage="tokexplore export [SESSION] [options]",
    )
    add_session(parser)
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="",
        help="default: what the name of the output tells; jsonl on standard output",
    )
    parser.add_argument(
        "--scope",
        choices=("path", "visible", "all"),
        default=ExportOptions().scope,
        help="the path in view, all branches but hidden ones, or all (%(default)s)",
    )
    parser.add_argument(
        "--candidates",
        type=count,
        default=ExportOptions().candidates,
        metavar="K",
        help="candidates of each step, of the 256 that are kept; 0 for none (%(default)s)",
    )
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="a new file to write")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    return parser


def _run(asked: ExportOptions, _open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.export_session import export_session

    with private_stdout() as out:
        export_session(asked, out)
    return 0


SUBCOMMAND = Subcommand(
    name="export",
    takes="[SESSION]",
    summary="one of them as HTML, Markdown, CSV, JSON, JSON lines, a graph or a map",
    parser=_parser,
    options=lambda given: ExportOptions(**vars(given)),
    run=_run,
)
