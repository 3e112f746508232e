"""Ways to end that nobody chose: signals, a line that is lost, an error in a handler."""

import asyncio
import os
import platform
import select
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import platformdirs

import tokexplore
from tokexplore.models.display import safe_text
from tokexplore.models.errors import reason_of
from tokexplore.tui.terminal.exit_codes import BY_SIGNAL

ENDED = {129: "hangup", 143: "terminated"}
"""What a session says of its end, by exit code, where it is not `quit`."""
TWICE = 2.0
"""Seconds within which a second ctrl+c leaves."""
PATIENCE = 8.0
"""Seconds that an orderly end may take, more than engines have; what a dead terminal blocks is then
left undone."""
LOOK_EVERY = 1.0
"""Seconds between looks at whether the terminal is still there."""
_LONGEST = 200
"""Characters of an error's own words in the line about it."""


def watch_signals(end: Callable[[int], None]) -> None:
    """Call `end` with an exit code where a signal asks for the end.

    Textual by itself would be killed by them with the terminal left as it is.
    """
    loop = asyncio.get_running_loop()
    for number, code in BY_SIGNAL.items():
        loop.add_signal_handler(number, end, code)


def is_line_lost(descriptor: int = 0) -> bool:
    """Whether a terminal was closed at its other end.

    A process that ignores SIGHUP (nohup) hears of it in no other way, and Textual would read the
    end of its input for ever.
    """
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))


def leave_in_time(code: int) -> None:
    """End the process after some patience, whatever then still waits for a terminal."""
    timer = threading.Timer(PATIENCE, os._exit, (code,))
    timer.daemon = True
    timer.start()


def failure(error: BaseException) -> str:
    """One line about an error that nothing explains: what it is, and the file with the rest."""
    words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    summary = safe_text(f"{type(error).__name__}: {words}" if words else type(error).__name__)
    summary = summary if len(summary) <= _LONGEST else summary[: _LONGEST - 1] + "…"
    try:
        return f"tokexplore failed: {summary.rstrip('.')}. The details are in {_write_crash(error)}"
    except OSError as full:
        why = reason_of(full)
        return f"tokexplore failed: {summary.rstrip('.')}. The details cannot be written: {why}"


def _write_crash(error: BaseException) -> Path:
    """Describe an error in a file that its user alone can read; its path.

    The file is in the user's state directory or, where that can't be written, among temporary
    ones.
    """
    from importlib.metadata import version  # 40 ms that no start has to wait for

    lines = [
        f"tokexplore {tokexplore.__version__}, Textual {version('textual')}, "
        f"Python {sys.version.split()[0]}",
        f"{platform.platform()}, TERM={os.environ.get('TERM', '')}, {time.strftime('%F %T %z')}",
        "",
        *traceback.format_exception(error),
    ]
    try:
        folder = Path(platformdirs.user_state_dir("tokexplore"), "crashes")
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(".txt", time.strftime("%Y%m%d-%H%M%S-"), folder)
    except OSError:
        descriptor, name = tempfile.mkstemp(".txt", "tokexplore-crash-")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join(lines))
    return Path(name)
