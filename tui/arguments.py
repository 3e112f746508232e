"""The command line's grammar: options in, checked values out."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

import msgspec

from tokexplore import __version__
from tokexplore.models.errors import UsageError
from tokexplore.models.options import EMBEDDED, EMBEDDED_TITLE, Dtype, LoadOptions
from tokexplore.models.sampling import SamplingSettings
from tokexplore.tui.options import (
    CLOSE_CALL,
    MAX_NEW_TOKENS,
    AppOptions,
    ExportOptions,
    ListOptions,
    OpenOptions,
    RunOptions,
)
from tokexplore.tui.prompts import PromptArguments, check_utf8

COMMANDS = ("run", "models", "sessions", "open", "export")
THEMES = {"dark": "tokexplore-dark", "light": "tokexplore-light", "ansi": "tokexplore-ansi"}
_LARGEST = 2**31 - 1
EXPORT_FORMATS = ("jsonl", "json", "csv", "markdown", "html", "dot")
_LOADING = ("device", "dtype", "device_map", "revision", "trust_remote_code")
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "seed")

_COMMAND_HELP = """commands:
  tokexplore run [MODEL] ...     the same engine without the screen: text or JSON lines
  tokexplore models [DIR ...]    the models that are here
  tokexplore sessions            the sessions that were kept
  tokexplore open [SESSION]      one of them as it was left (default: the latest)
  tokexplore export [SESSION]    one of them as HTML, Markdown, CSV, JSON, JSON lines or a graph
  (each has its own --help; a model directory of that name is given as ./run)"""


class Invocation(msgspec.Struct, frozen=True):
    """What was asked for, before the prompt is read."""

    command: str
    """`app`, or one of `COMMANDS`."""
    options: RunOptions
    """Those of the app are its `app` field."""
    prompt: PromptArguments = PromptArguments()
    listing: ListOptions = ListOptions()
    opening: OpenOptions = OpenOptions()
    exporting: ExportOptions = ExportOptions()


class Parser(argparse.ArgumentParser):
    """Tells a mistake as a `UsageError`, in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`.")


def parse(arguments: Sequence[str]) -> Invocation:
    """The meaning of a command line (without the program's name).

    Raises:
        UsageError: for whatever cannot be meant.
        SystemExit: after --help and --version, with code 0.
    """
    for argument in arguments:
        check_utf8(repr(argument), argument)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else "app"
    if command == "models":
        given = _models_parser().parse_args(arguments[1:])
        return Invocation(command, RunOptions(), listing=ListOptions(tuple(given.directories)))
    if command == "run":
        return _invocation(command, _run_parser().parse_args(arguments[1:]))
    if command == "sessions":
        _sessions_parser().parse_args(arguments[1:])
        return Invocation(command, RunOptions())
    if command == "open":
        opening = _opening(_open_parser().parse_args(arguments[1:]))
        return Invocation(command, RunOptions(), opening=opening)
    if command == "export":
        exporting = ExportOptions(**vars(_export_parser().parse_args(arguments[1:])))
        return Invocation(command, RunOptions(), exporting=exporting)
    given = _app_parser().parse_args(arguments)
    if given.model in COMMANDS:
        raise UsageError(
            f"the command {given.model} comes first: `tokexplore {given.model} ...`; a model "
            f"directory of that name is ./{given.model}."
        )
    return _invocation(command, given)


def _invocation(command: str, given: argparse.Namespace) -> Invocation:
    title = given.model == EMBEDDED_TITLE and not Path(given.model).exists()
    load = LoadOptions(
        model=EMBEDDED if title else given.model,
        device=given.device,
        dtype=given.dtype,
        device_map=given.device_map,
        revision=given.revision,
        trust_remote_code=given.trust_remote_code,
    )
    sampling = {name: getattr(given, name) for name in _SAMPLING}
    chosen = {name: value for name, value in sampling.items() if value is not None}
    app = AppOptions(
        load=load,
        settings=SamplingSettings(**chosen).checked(),
        given=frozenset(chosen),
        model_defaults=given.model_defaults,
        max_new_tokens=given.max_new_tokens,
        stop_texts=tuple(given.stop),
        stop_ids=tuple(given.stop_id),
        ignore_eos=given.ignore_eos,
        theme=THEMES[given.theme] if command == "app" and given.theme else "",
        directories=tuple(given.models_dir) if command == "app" else (),
        close_call=given.close_call if command == "app" else CLOSE_CALL,
        plain=command == "app" and given.plain,
        stock_output=command == "app" and given.output == "stock",
        session=given.session if command == "app" else "",
    )
    if any(not text for text in app.stop_texts):
        raise UsageError("--stop '' is empty: give a text that ends the stream.")
    prompt = PromptArguments(
        text=given.prompt,
        file=given.prompt_file,
        chat=given.chat,
        system=given.system,
        user=given.user,
        prefill=given.prefill,
        messages=given.messages,
        template_args=given.template_arg,
    )
    run = RunOptions(app)
    if command == "run":
        run = RunOptions(app, candidates=given.candidates, format=given.format)
    return Invocation(command, run, prompt)


def _app_parser() -> Parser:
    parser = _parser(
        "tokexplore",
        "Open the explorer: stream a language model, see every candidate, branch anywhere.",
        usage="tokexplore [MODEL] [options]\n       tokexplore run|models|sessions|open|export ...",
        epilog=_COMMAND_HELP,
    )
    parser.add_argument("--version", action="version", version=f"tokexplore {__version__}")
    _add_shared(parser)
    screen = _add_screen(parser)
    screen.add_argument(
        "--close-call",
        type=_positive,
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
    parser.add_argument_group("session").add_argument(
        "--session",
        default="",
        metavar="FILE",
        help="keep the session in this new file (default: one in the state directory)",
    )
    return parser


def _open_parser() -> Parser:
    parser = _parser(
        "tokexplore open",
        "Open a session as it was left. Its model is loaded when it is asked to go on.",
        usage="tokexplore open [SESSION] [options]",
    )
    _add_session(parser)
    _add_screen(parser)
    _add_loading(parser)
    parser.set_defaults(**dict.fromkeys(_LOADING))
    return parser


def _opening(given: argparse.Namespace) -> OpenOptions:
    chosen = {name: getattr(given, name) for name in _LOADING}
    return OpenOptions(
        session=given.session,
        load={name: value for name, value in chosen.items() if value is not None},
        app=AppOptions(
            theme=THEMES[given.theme] if given.theme else "",
            plain=given.plain,
            stock_output=given.output == "stock",
        ),
    )


def _sessions_parser() -> Parser:
    return _parser(
        "tokexplore sessions",
        "List the sessions that were kept, the latest first.",
        usage="tokexplore sessions",
    )


def _export_parser() -> Parser:
    parser = _parser(
        "tokexplore export",
        "Write a session to a file for others to read. Its model is not needed.",
        usage="tokexplore export [SESSION] [options]",
    )
    _add_session(parser)
    parser.add_argument(
        "--format",
        choices=EXPORT_FORMATS,
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
        type=_count,
        default=ExportOptions().candidates,
        metavar="K",
        help="candidates of each step, of the 256 that are kept; 0 for none (%(default)s)",
    )
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="a new file to write")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    return parser


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
    return screen


def _run_parser() -> Parser:
    parser = _parser(
        "tokexplore run",
        "Generate without the screen; every step is told with its exact distribution.",
        usage="tokexplore run [MODEL] [options]",
    )
    _add_shared(parser)
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
        type=_count,
        default=RunOptions().candidates,
        metavar="K",
        help="candidates to list for each step (%(default)s)",
    )
    return parser


def _models_parser() -> Parser:
    parser = _parser(
        "tokexplore models",
        "List the embedded model, the hub cache and the models in the folders given.",
        usage="tokexplore models [DIR ...]",
    )
    parser.add_argument(
        "directories", nargs="*", metavar="DIR", help="a model, or a folder of them"
    )
    return parser


def _parser(prog: str, description: str, usage: str, epilog: str = "") -> Parser:
    return Parser(
        prog=prog,
        description=description,
        usage=usage,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_shared(parser: Parser) -> None:
    """The options that the app and `run` have in common."""
    parser.add_argument(
        "model",
        nargs="?",
        default=EMBEDDED,
        metavar="MODEL",
        help="a directory, a name in the hub cache or a hub id (default: the embedded model)",
    )
    _add_prompt(parser)
    _add_chat(parser)
    _add_sampling(parser)
    _add_ending(parser)
    _add_loading(parser)


def _add_prompt(parser: Parser) -> None:
    group = parser.add_argument_group(
        "prompt", "Standard input is the prompt where it is a pipe and no option names one."
    )
    group.add_argument("--prompt", metavar="TEXT", help="plain text to go on from")
    group.add_argument(
        "--prompt-file",
        metavar="FILE",
        help="read it from a UTF-8 file, - for standard input; one line break at the end is left "
        "out",
    )


def _add_chat(parser: Parser) -> None:
    group = parser.add_argument_group(
        "chat", "Any of these renders the prompt with the model's chat template."
    )
    group.add_argument("--chat", action="store_true", help="the prompt is the user's message")
    group.add_argument("--system", metavar="TEXT", help="the system's message")
    group.add_argument("--user", metavar="TEXT", help="the user's message")
    group.add_argument(
        "--prefill",
        metavar="TEXT",
        help="the assistant's first words, which the model goes on from",
    )
    group.add_argument(
        "--messages", metavar="FILE.json", help='a list of {"role": ..., "content": ...}'
    )
    group.add_argument(
        "--template-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the template, such as enable_thinking=false; may be repeated",
    )


def _add_sampling(parser: Parser) -> None:
    group = parser.add_argument_group("sampling", "Greedy unless --temperature is above 0.")
    group.add_argument("--temperature", type=_number, metavar="T", help="0 is greedy")
    group.add_argument("--top-k", type=_whole, metavar="K", help="keep the K most probable; 0: off")
    group.add_argument("--top-p", type=_number, metavar="P", help="nucleus of mass P; 1: off")
    group.add_argument(
        "--min-p", type=_number, metavar="P", help="keep at least P of the top probability; 0: off"
    )
    group.add_argument("--seed", type=_whole, metavar="N", help="seed of the draws (default: 0)")
    group.add_argument(
        "--model-defaults",
        action="store_true",
        help="adopt the model's own suggestions where no option is given",
    )


def _add_ending(parser: Parser) -> None:
    group = parser.add_argument_group("length and end")
    group.add_argument(
        "--max-new-tokens",
        type=_count,
        default=MAX_NEW_TOKENS,
        metavar="N",
        help="tokens to generate at most (%(default)s)",
    )
    group.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end where this text appears; may be repeated",
    )
    group.add_argument(
        "--stop-id",
        action="append",
        type=_count,
        default=[],
        metavar="ID",
        help="end at this token; may be repeated",
    )
    group.add_argument("--ignore-eos", action="store_true", help="go on past the end of the text")


def _add_loading(parser: Parser) -> None:
    group = parser.add_argument_group("loading")
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto (the GPU with the most free memory, else the CPU), cpu, cuda, cuda:1, mps",
    )
    group.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        default="auto",
        help="auto: float32 on a CPU, the checkpoint's own on a GPU",
    )
    group.add_argument(
        "--device-map",
        choices=("auto",),
        default="",
        help="spread the model over several devices",
    )
    group.add_argument("--revision", default="", metavar="REF", help="branch, tag or commit")
    group.add_argument(
        "--trust-remote-code", action="store_true", help="run the code that comes with the model"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not possible: give 0 or more")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _count(text: str) -> int:
    value = _whole(text)
    if not 0 <= value <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is not possible: give 0 to {_LARGEST}")
    return value
