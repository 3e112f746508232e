"""Getting text out of a terminal: tmux's buffer, the terminal's clipboard, else a file."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import platformdirs

from tokexplore.models.session.paths import make_private

OSC52_BYTES = 74_994
"""Most base64 that common terminals take in one sequence."""
_NO_CLIPBOARD = ("linux", "vt", "dumb", "cons", "screen")
_PATIENCE = 2.0


def copy(text: str, osc52: Callable[[str], None], environment: Mapping[str, str]) -> str:
    """Put text where the user can paste it; a sentence that says where.

    Inside tmux its own buffer is used, which tmux hands on to the terminal around it: an OSC 52 of
    a program is dropped there by default. May wait for tmux, so it is for a thread.

    Args:
        osc52: sends text to the clipboard of the terminal.
        environment: the process's environment.

    Raises:
        OSError: no file can be written either.
    """
    size = f"{len(text):,} characters"
    if environment.get("TMUX") and _to_tmux(text):
        return f"{size} are in tmux's buffer (prefix ]) and went to the terminal's clipboard."
    if takes_osc52(environment) and -(-len(text.encode()) // 3) * 4 <= OSC52_BYTES:
        osc52(text)
        return (
            f"{size} went to the terminal's clipboard (OSC 52); if it takes none, y again writes "
            "a file."
        )
    return f"{size} are in {write_text(text)}."


def takes_osc52(environment: Mapping[str, str]) -> bool:
    """Whether the terminal may have a clipboard that programs can set."""
    multiplexed = environment.get("TMUX") or environment.get("STY")
    return not multiplexed and not environment.get("TERM", "dumb").startswith(_NO_CLIPBOARD)


def _to_tmux(text: str) -> bool:
    if shutil.which("tmux") is None:
        return False
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        done = subprocess.run(
            command, input=text.encode("utf-8", "surrogateescape"), timeout=_PATIENCE,
            capture_output=True, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def write_text(text: str) -> Path:
    """Write text to a new file that its user alone can read; its path.

    Raises:
        OSError: when it cannot be written.
    """
    folder = platformdirs.user_state_path("tokexplore") / "texts"
    name = time.strftime("%Y%m%d-%H%M%S-")
    try:
        make_private(folder)
        descriptor, path = tempfile.mkstemp(".txt", name, folder)
    except OSError:
        descriptor, path = tempfile.mkstemp(".txt", f"tokexplore-{name}")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return Path(path)
