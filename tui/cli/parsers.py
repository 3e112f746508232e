"""The parsers of the program and of each of its commands."""

import argparse

import tokexplore
from tokexplore.tui.cli.common.option_groups import (
    LOADING,
    add_chat,
    add_ending,
    add_literal,
    add_loading,
    add_model,
    add_prompt,
    add_sampling,
    add_watch,
    count,
    positive,
)
from tokexplore.tui.cli.common.parser import Parser, new_parser
from tokexplore.tui.explore.options import CLOSE_CALL, IDLE_CAP, THEMES, ExportOptions, RunOptions
from tokexplore.tui.export.formats import FORMATS

COMMANDS = (
    "run", "models", "sessions", "open", "export", "score", "replay", "gif", "tape", "lens",
    "sweep", "lab", "examples",
)  # fmt: skip
_SLOWEST = 1e-3

_COMMAND_HELP = """commands:
  tokexplore examples [MODEL]    begin with a gallery of prompts that show something
  tokexplore run [MODEL] ...     the same engine without the screen: text or JSON lines
  tokexplore score FILE          what the model thinks of a text, token by token
  tokexplore sweep [MODEL] ...   one prompt under many settings; temperature against top-p
  tokexplore lab EXPERIMENT ...  why temperature 0 is not one answer: measured on your model
  tokexplore lens --logits ...   what temperature, top-p and the rest make of a few words
  tokexplore tape FILE           a script that drives the app: recordings, pictures, tests
  tokexplore gif CAST GIF        a recording of the screen as an animated picture
  tokexplore models [DIR ...]    the models that are here
  tokexplore sessions            the sessions that were kept
  tokexplore open [SESSION]      one of them as it was left (default: the latest)
  tokexplore replay [SESSION]    one of them as it was lived, without its model
  tokexplore export [SESSION]    one of them as HTML, Markdown, CSV, JSON, JSON lines or a graph
  (each has its own --help; a model directory of that name is given as ./run)"""


class _Version(argparse.Action):
    """Tells the version, which is looked up where it is asked for alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"tokexplore {tokexplore.__version__}")
        parser.exit()


def app_parser() -> Parser:
    parser = new_parser(
        "tokexplore",
        "Open the explorer: stream a language model, see every candidate, branch anywhere.",
        usage="tokexplore [MODEL] [options]\n       tokexplore COMMAND ...",
        epilog=_COMMAND_HELP,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="tell the version")
    add_shared(parser)
    screen = _add_screen(parser)
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
    _add_keeping(parser, "default: one in the state directory")
    return parser


def open_parser() -> Parser:
    parser = new_parser(
        "tokexplore open",
        "Open a session as it was left. Its model is loaded when it is asked to go on.",
        usage="tokexplore open [SESSION] [options]",
    )
    _add_session(parser)
    _add_screen(parser)
    add_loading(parser, dtype="default: as it was recorded")
    parser.set_defaults(**dict.fromkeys(LOADING))
    return parser


def replay_parser() -> Parser:
    parser = new_parser(
        "tokexplore replay",
        "Live a session again: it streams, branches and switches as it did. space pauses, a dot "
        "steps,\nand whatever changes the tree takes over, in a session of its own.",
        usage="tokexplore replay [SESSION] [options]",
    )
    _add_session(parser)
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
    _add_screen(parser)
    return parser


def _speed(text: str) -> float:
    value = positive(text)
    if not _SLOWEST <= value <= 1 / _SLOWEST:
        raise argparse.ArgumentTypeError(
            f"{text} is not possible: give {_SLOWEST:g} to {1 / _SLOWEST:g}"
        )
    return value


def tape_parser() -> Parser:
    parser = new_parser(
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


def gif_parser() -> Parser:
    parser = new_parser(
        "tokexplore gif",
        "Turn a recording (asciicast) into an animated picture. Needs the extra: tokexplore[gif].",
        usage="tokexplore gif IN.cast OUT.gif",
    )
    parser.add_argument("cast", metavar="IN.cast", help="a recording of version 2 or 3")
    parser.add_argument("out", metavar="OUT.gif", help="a new file")
    return parser


def sessions_parser() -> Parser:
    parser = new_parser(
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


def score_parser() -> Parser:
    parser = new_parser(
        "tokexplore score",
        "Score a text: every token's surprisal, and what the model would have said instead.",
        usage="tokexplore score FILE [MODEL] [options]",
    )
    parser.add_argument("file", metavar="FILE", help="UTF-8 text; - is standard input")
    add_model(parser)
    add_literal(parser)
    parser.add_argument(
        "--format",
        choices=("text", "jsonl", "html"),
        default="text",
        help="text: figures and tables; jsonl: as `run` has it; html: a page (%(default)s)",
    )
    parser.add_argument(
        "--candidates",
        type=count,
        default=None,
        metavar="K",
        help="candidates of each token (0 in text, which then leaves out the table of all tokens; "
        "20 otherwise)",
    )
    add_loading(parser)
    return parser


def export_parser() -> Parser:
    parser = new_parser(
        "tokexplore export",
        "Write a session to a file for others to read. Its model is not needed.",
        usage="tokexplore export [SESSION] [options]",
    )
    _add_session(parser)
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


def _add_keeping(parser: Parser, default: str) -> None:
    parser.add_argument_group("session").add_argument(
        "--session",
        default="",
        metavar="FILE",
        help=f"keep the session in this new file ({default})",
    )


def _add_session(parser: Parser) -> None:
    parser.add_argument(
        "session",
        nargs="?",
        default="",
        metavar="SESSION",
        help="a file, a name that `tokexplore sessions` lists, or how one begins (default: the "
        "latest)",
    )


def _add_screen(parser: Parser) -> argparse._ArgumentGroup:
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
    _add_recording(screen, "record the screen to this new file")
    return screen


def _add_recording(group: argparse._ArgumentGroup, what: str) -> None:
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


def run_parser() -> Parser:
    parser = new_parser(
        "tokexplore run",
        "Generate without the screen; every step is told with its exact distribution.",
        usage="tokexplore run [MODEL] [options]",
    )
    add_shared(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: the text, then a table for each step; jsonl: one JSON object a line, the "
        "prompt's positions too (%(default)s)",
    )
    output.add_argument(
        "--candidates",
        type=count,
        default=RunOptions().candidates,
        metavar="K",
        help="candidates to list for each step (%(default)s)",
    )
    _add_recording(output, "record what is written to this new file, as it is written")
    _add_keeping(parser, "default: it is not kept")
    return parser


def models_parser() -> Parser:
    parser = new_parser(
        "tokexplore models",
        "List the embedded model, the hub cache and the models in the folders given.",
        usage="tokexplore models [DIR ...]",
    )
    parser.add_argument(
        "directories", nargs="*", metavar="DIR", help="a model, or a folder of them"
    )
    return parser


def add_shared(parser: Parser) -> None:
    """The options that the app and `run` have in common."""
    add_model(parser)
    add_prompt(parser)
    add_chat(parser)
    add_sampling(parser)
    add_watch(parser)
    add_ending(parser)
    add_loading(parser)
