"""What must be right about the terminal and the standard streams before anything is shown."""

import codecs
import io
import locale
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import platformdirs

from tokexplore.models.errors import UsageError


def ensure_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale is not UTF-8; returns where it is.

    In a Latin-1 locale every character of a table would be counted and written wrongly. What
    PYTHONIOENCODING says of the streams alone would do the same in either mode.
    """
    if not sys.flags.utf8_mode and not _is_utf8(locale.getencoding()):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_utf8(stream.encoding):
            stream.reconfigure(encoding="utf-8")


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"


def ensure_streams() -> None:
    """Make standard input and standard error the null device where they are closed: nothing is read
    there, and what is said may be lost.

    Textual's driver takes those that Python began with.
    """
    if sys.stdin is None:
        _lead_nowhere(0, os.O_RDONLY)
        sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)  # type: ignore[misc]
    if sys.stderr is None:
        _lead_nowhere(2, os.O_WRONLY)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]


def is_dumb() -> bool:
    """Whether the terminal says that it can show lines of text and no more."""
    return os.environ.get("TERM") == "dumb"


def take_keys_from_terminal() -> None:
    """Make the controlling terminal standard input, where a pipe was.

    Textual's driver reads the descriptor of `sys.__stdin__`, which is 0.

    Raises:
        UsageError: when the process has no terminal.
    """
    if os.isatty(0):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise UsageError("there is no terminal to take keys from: use `tokexplore run`.") from None
    os.dup2(terminal, 0)
    os.close(terminal)


@contextmanager
def screen_on_stderr() -> Iterator[None]:
    """Make standard error the terminal while the app runs, because Textual's driver writes there.

    Without this `tokexplore 2>log` would draw the app into the log.
    """
    if os.isatty(2):
        yield
        return
    sys.stderr.flush()
    errors = os.dup(2)
    os.dup2(1, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(errors, 2)
        os.close(errors)


@contextmanager
def private_stdout() -> Iterator[BinaryIO]:
    """Standard output for ourselves; what libraries print meanwhile goes to standard error."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as ours:
        os.dup2(2, 1)
        try:
            yield ours
        finally:
            sys.stdout.flush()
            os.dup2(ours.fileno(), 1)


def drop_output(*outputs: int) -> None:
    """Let descriptors that fail lead nowhere.

    What is still in Python's buffers would fail once more when the interpreter ends.
    """
    for output in outputs:
        _lead_nowhere(output, os.O_WRONLY)


def _lead_nowhere(descriptor: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null == descriptor:  # it was closed, and the first one that is free
        os.set_inheritable(null, True)
        return
    os.dup2(null, descriptor)
    os.close(null)


def warns_of_lost_line(environment: Mapping[str, str]) -> bool:
    """Whether this terminal may be lost with its line, and that was not told here before.

    A multiplexer at the far end keeps the terminal when the line is lost.
    """
    if not environment.get("SSH_CONNECTION") or environment.get("TMUX") or environment.get("STY"):
        return False
    marker = platformdirs.user_state_path("tokexplore") / "told-of-ssh"
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch(exist_ok=False)
    except OSError:
        return False
    return True
