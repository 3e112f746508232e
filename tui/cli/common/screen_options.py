"""Options of the screen and of recordings, and what is made of them."""

import argparse
from typing import Any

from tokexplore.tui.cli.common.option_types import positive
from tokexplore.tui.explore.options import THEMES


def add_screen(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    screen = parser.add_argument_group("screen")
    screen.add_argument(
        "--theme",
        choices=tuple(THEMES),
        help="colours of the screen (dark; ansi where the terminal has 16 colours)",
    )
    screen.add_argument(
        "--ansi",
        action="store_const",
        dest="theme",
        const="ansi",
        help="the terminal's own palette: the same as --theme ansi",
    )
    screen.add_argument(
        "--plain",
        action="store_true",
        help="lines instead of a screen, for screen readers and logs: commands are read from "
        "standard input (`help` lists them)",
    )
    screen.add_argument(
        "--output",
        choices=("paced", "stock"),
        default="paced",
        help="paced: send what changed, as fast as the line takes it; stock: Textual's own output "
        "(%(default)s)",
    )
    add_recording(screen, "record the screen to this new file")
    return screen


def add_recording(group: argparse._ArgumentGroup, what: str) -> None:
    group.add_argument("--record", default="", metavar="FILE.cast", help=what)
    group.add_argument(
        "--cast-version",
        type=int,
        choices=(2, 3),
        default=2,
        help="version of the asciicast format of recordings (%(default)s)",
    )
    group.add_argument(
        "--cast-idle-cap",
        type=positive,
        default=None,
        metavar="S",
        help="seconds that a pause in a recording lasts at most",
    )


def screen_fields(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of `AppOptions` that `add_screen` asks for."""
    return {
        "theme": THEMES[given.theme] if given.theme else "",
        "plain": given.plain,
        "stock_output": given.output == "stock",
        **recording_fields(given),
    }


def recording_fields(given: argparse.Namespace) -> dict[str, Any]:
    """Those that `add_recording` asks for."""
    return {
        "record": given.record,
        "cast_version": given.cast_version,
        "cast_idle_cap": given.cast_idle_cap,
    }
