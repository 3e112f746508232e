"""`tokexplore gif`: a recording of the screen as an animated picture."""

import sys
from pathlib import Path

import msgspec

from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.report.step_text import plain_text


class GifOptions(msgspec.Struct, frozen=True):
    """What `tokexplore gif` takes."""

    cast: str = ""
    out: str = ""


def _parser() -> Parser:
    parser = Parser(
        "tokexplore gif",
        "Turn a recording (asciicast) into an animated picture. Needs the extra: tokexplore[gif].",
        usage="tokexplore gif IN.cast OUT.gif",
    )
    parser.add_argument("cast", metavar="IN.cast", help="a recording of version 2 or 3")
    parser.add_argument("out", metavar="OUT.gif", help="a new file")
    return parser


def _run(asked: GifOptions, _open_engine: OpenEngine) -> int:
    from tokexplore.tui.recording.cast import read_cast
    from tokexplore.tui.recording.gif import write_gif

    with Meter(sys.stderr) as meter:
        frames = write_gif(read_cast(Path(asked.cast)), Path(asked.out), meter.show)
    print(f"{plain_text(asked.out)}: {frames} frames")
    return 0


SUBCOMMAND = Subcommand(
    name="gif",
    takes="CAST GIF",
    summary="a recording of the screen as an animated picture",
    parser=_parser,
    options=lambda given: GifOptions(**vars(given)),
    run=_run,
)
