"""The `tokexplore` command: finds the subcommand, runs it, and tells what went wrong."""

import os
import sys
from collections.abc import Sequence

from tokexplore.models import opening
from tokexplore.models.errors import TokexploreError, reason_of
from tokexplore.models.opening import OpenEngine
from tokexplore.models.temporary import ensure_temporary
from tokexplore.tui.cli.registry import find
from tokexplore.tui.report.step_text import plain_text
from tokexplore.tui.terminal.exit_codes import FAILURE, INTERRUPTED, PIPE_CLOSED
from tokexplore.tui.terminal.stdio import drop_output, ensure_streams, ensure_utf8


def main(
    argv: Sequence[str] | None = None, *, open_engine: OpenEngine = opening.open_engine
) -> int:
    """Run the command line; its exit code.

    0; 2 for a mistake in what was asked; 1 for a failure; 130 for Ctrl-C; 143 for SIGTERM; 141
    where the reader of a pipe has left.

    Args:
        argv: the arguments; the process's own by default.
        open_engine: opens the engine of what runs in this process.
    """
    if argv is None:
        ensure_utf8()
        ensure_streams()
        ensure_temporary()
        argv = sys.argv[1:]
    if sys.stdout is None:
        print("tokexplore: standard output is closed: there is nowhere to write.", file=sys.stderr)
        return FAILURE
    try:
        subcommand, arguments = find(argv)
        return subcommand.run(subcommand.read(arguments), open_engine)
    except TokexploreError as error:
        print(f"tokexplore: {plain_text(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output(1)
        return PIPE_CLOSED
    except OSError as error:
        reason = reason_of(error)
        if error.filename is None:  # what we write to has no name
            print(f"tokexplore: writing failed: {reason}.", file=sys.stderr)
            drop_output(1)
        else:
            print(f"tokexplore: {plain_text(_named(error.filename))}: {reason}.", file=sys.stderr)
        return FAILURE
    except Exception as error:
        from tokexplore.tui.terminal.shutdown import failure

        print(failure(error), file=sys.stderr)
        return FAILURE


def _named(filename: object) -> str:
    """A file as an error of the system names it: a path as text or bytes, or a descriptor."""
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)
