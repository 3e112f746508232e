"""The `tokexplore` command: reads the command line and hands over to the app or to `run`."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from tokexplore.models import opening
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.arguments import Invocation, parse
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.common.prompt_input import piped_stdin, read_prompt
from tokexplore.tui.cli.models import model_table
from tokexplore.tui.cli.run import run
from tokexplore.tui.explore.options import AppOptions, OpenOptions, RunOptions, check_new
from tokexplore.tui.report.step_text import plain_text
from tokexplore.tui.terminal import gc_control
from tokexplore.tui.terminal.exit_codes import FAILURE, INTERRUPTED, PIPE_CLOSED
from tokexplore.tui.terminal.stdio import (
    ensure_stderr,
    ensure_utf8,
    is_dumb,
    private_stdout,
    screen_on_stderr,
    take_keys_from_terminal,
)

if TYPE_CHECKING:
    from tokexplore.tui.explore.session_recorder import OpenSession


def main(
    argv: Sequence[str] | None = None, *, open_engine: OpenEngine = opening.open_engine
) -> int:
    """Run the command line; its exit code.

    0; 2 for a mistake in what was asked; 1 for a failure; 130 for Ctrl-C; 143 for SIGTERM; 141
    where the reader of a pipe has left.

    Args:
        argv: the arguments; the process's own by default.
        open_engine: opens the engine of `run`.
    """
    if argv is None:
        ensure_utf8()
        ensure_stderr()
        argv = sys.argv[1:]
    if sys.stdout is None:
        print("tokexplore: standard output is closed: there is nowhere to write.", file=sys.stderr)
        return FAILURE
    try:
        return _dispatch(parse(argv), open_engine)
    except TokexploreError as error:
        print(f"tokexplore: {plain_text(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output(1)
        return PIPE_CLOSED
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        if error.filename is None:  # what we write to has no name
            print(f"tokexplore: writing failed: {said}.", file=sys.stderr)
            _drop_output(1)
        else:
            print(f"tokexplore: {plain_text(_named(error.filename))}: {said}.", file=sys.stderr)
        return FAILURE
    except Exception as error:
        from tokexplore.tui.terminal.shutdown import failure

        print(failure(error), file=sys.stderr)
        return FAILURE


def _named(filename: object) -> str:
    """A file as an error of the system names it: a path as text or bytes, or a descriptor."""
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)


def _left(code: int) -> int:
    """The code that an app ended with; after a lost line nothing can be written any more."""
    from tokexplore.tui.terminal.shutdown import ENDED

    if ENDED.get(code) == "hangup":
        _drop_output(1, 2)
    return code


def _drop_output(*outputs: int) -> None:
    """What is still in Python's buffers would fail once more when the interpreter ends."""
    for output in outputs:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def _dispatch(asked: Invocation, open_engine: OpenEngine) -> int:
    if asked.command == "models":
        table, wrong = model_table(asked.listing.directories)
        print(table, end="", flush=True)
        if wrong:
            raise UsageError(wrong)
        return 0
    if asked.removing is not None:
        from tokexplore.tui.cli.sessions_removal import remove_sessions

        remove_sessions(asked.removing)
        return 0
    if asked.command == "sessions":
        from tokexplore.tui.cli.sessions_table import session_table

        width = shutil.get_terminal_size().columns if os.isatty(1) else 0
        print(session_table(width), end="", flush=True)
        return 0
    if asked.command == "open":
        return _open(asked.opening)
    if asked.command == "tape":
        from tokexplore.tui.cli.tape_run import run_tape

        print(plain_text(run_tape(asked.taping)))
        return 0
    if asked.command == "lens":
        from tokexplore.tui.cli.lens import lens_lines

        for line in lens_lines(asked.lens):
            print(line)
        return 0
    if asked.command == "gif":
        from tokexplore.tui.recording.cast import read_cast
        from tokexplore.tui.recording.gif import write_gif

        with Meter(sys.stderr) as meter:
            cast = read_cast(Path(asked.drawing.cast))
            frames = write_gif(cast, Path(asked.drawing.out), meter.show)
        print(f"{plain_text(asked.drawing.out)}: {frames} frames")
        return 0
    if asked.command == "replay":
        return _replay(asked.opening)
    if asked.command == "export":
        from tokexplore.tui.cli.export_session import export_session

        with private_stdout() as out:
            export_session(asked.exporting, out)
        return 0
    if asked.command == "score":
        from tokexplore.tui.cli.score_report import score_text

        locate(asked.scoring.app.load.model, asked.scoring.app.load.revision)
        with private_stdout() as out:
            return score_text(asked.scoring, out, open_engine=open_engine)
    if asked.command == "sweep":
        return _sweep(asked, open_engine)
    if asked.command == "lab":
        return _lab(asked, open_engine)
    app = asked.options.app
    if app.session:
        again = f"`tokexplore open {app.session}` goes on with it"
        check_new(app.session, "--session", again)
    locate(app.load.model, app.load.revision)
    stdin = None if app.plain else piped_stdin()
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, stdin))
    if app.plain:
        return _in_lines(app)
    if asked.command == "run" or not os.isatty(1):
        options = msgspec.structs.replace(asked.options, app=app)
        with private_stdout() as out:
            return _run(options, out, open_engine)
    return _on_screen(app)


def _run(options: RunOptions, out: BinaryIO, open_engine: OpenEngine) -> int:
    app = options.app
    if not app.record:
        return run(options, out, open_engine=open_engine)
    from tokexplore.tui.recording.cast import CastWriter
    from tokexplore.tui.recording.tee import RecordedOutput

    cast = CastWriter(
        Path(app.record), shutil.get_terminal_size(), version=app.cast_version,
        idle_cap=app.cast_idle_cap,
    )  # fmt: skip
    try:
        return run(options, RecordedOutput(out, cast), open_engine=open_engine)
    finally:
        cast.close()


def _sweep(asked: Invocation, open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.sweep_runner import run_sweep

    for model in asked.sweep.models:
        locate(model, asked.sweep.app.load.revision)
    prompt = read_prompt(asked.prompt, piped_stdin())
    app = msgspec.structs.replace(asked.sweep.app, prompt=prompt)
    with private_stdout() as out:
        options = msgspec.structs.replace(asked.sweep, app=app)
        return run_sweep(options, out, open_engine=open_engine)


def _lab(asked: Invocation, open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.lab.registry import EXPERIMENTS
    from tokexplore.tui.cli.lab.runner import run_lab

    for model in asked.lab.models:
        locate(model, asked.lab.app.load.revision)
    prompt = read_prompt(asked.prompt, piped_stdin())
    app = msgspec.structs.replace(asked.lab.app, prompt=prompt)
    options = msgspec.structs.replace(asked.lab, app=app)
    with private_stdout() as out:
        return run_lab(
            options, EXPERIMENTS[options.experiment].load(), out, open_engine=open_engine
        )


def _open(asked: OpenOptions) -> int:
    if not asked.app.plain and not os.isatty(1):
        raise UsageError("open needs a terminal: --plain opens it in lines.")
    gc_control.pause()
    from tokexplore.tui.explore.open_session import keep_on, options_for

    kept = keep_on(asked.session)
    if kept.said:
        print(f"tokexplore: {plain_text(kept.said)}", file=sys.stderr)
    app = options_for(kept, asked)
    return _in_lines(app, kept) if app.plain else _on_screen(app, kept)


def _replay(asked: OpenOptions) -> int:
    if asked.app.plain or not os.isatty(1) or is_dumb():
        raise UsageError("replay needs a terminal with a screen: export writes a session to read.")
    gc_control.pause()
    from tokexplore.tui.app import run_app
    from tokexplore.tui.explore.open_session import to_replay

    timeline, app = to_replay(asked)
    take_keys_from_terminal()
    with screen_on_stderr():
        return _left(run_app(app, timeline=timeline))


def _on_screen(app: AppOptions, kept: "OpenSession | None" = None) -> int:
    take_keys_from_terminal()
    if is_dumb():
        print(
            "tokexplore: this terminal shows no more than lines (TERM is dumb), so lines it is; "
            "set TERM to what it is, such as xterm-256color, for the screen.",
            file=sys.stderr,
        )
        return _in_lines(app, kept)
    gc_control.pause()
    from tokexplore.tui.app import run_app

    if app.record:
        check_new(app.record, "--record", "record to another file")
    with screen_on_stderr():
        return _left(run_app(app, kept))


def _in_lines(app: AppOptions, kept: "OpenSession | None" = None) -> int:
    gc_control.resume()
    from tokexplore.tui.line_mode.session import run_lines

    with private_stdout() as out:
        return run_lines(app, out, kept)
