#!/bin/sh
# An error inside `with app.suspend()` leaves a Textual app without its terminal, though it runs on.
#
# Versions: textual 8.2.8, Python 3.11, Linux.
#
# A context manager that lends something is expected to take it back whatever is raised inside it. This
# one takes the terminal back after its block alone: where the block raises (an editor that exits with 1
# under `check=True`), and the app catches that, app_resume_signal is not published, the alternate screen
# is not entered again and no key is read. The error has to be kept until the block is over.
#
# Seen:
#    textual 8.2.8, alternate screens entered, a block without an error: 2, one with an error: 1
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check textual==8.2.8

cat > "$folder/app.py" <<'PY'
import contextlib
import sys

from textual.app import App


class Lending(App[None]):
    def on_mount(self) -> None:
        self.set_timer(0.5, self.lend)

    def lend(self) -> None:
        with contextlib.suppress(ValueError), self.suspend():
            if sys.argv[1] == "error":
                raise ValueError
        self.set_timer(1.0, self.exit)


Lending().run()
PY

cat > "$folder/look.py" <<'PY'
"""Counts how often the app enters the alternate screen of a terminal of its own."""

import importlib.metadata
import os
import pty
import sys


def entered(ending: str) -> int:
    child, terminal = pty.fork()
    if not child:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, sys.argv[1], ending])
    written = b""
    try:
        while data := os.read(terminal, 65536):
            written += data
    except OSError:  # the app has ended
        pass
    os.waitpid(child, 0)
    return written.count(b"\x1b[?1049h")


good, bad = entered("none"), entered("error")
print(
    f"textual {importlib.metadata.version('textual')}, alternate screens entered,",
    f"a block without an error: {good}, one with an error: {bad}",
)
sys.exit((good, bad) != (2, 1))
PY

"$folder/venv/bin/python" "$folder/look.py" "$folder/app.py"
