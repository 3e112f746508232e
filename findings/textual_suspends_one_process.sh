#!/bin/sh
# ctrl+z in a Textual app stops the app's own process and no other of its job.
#
# Versions: textual 8.2.8, psutil 7.2.2, Python 3.11, Linux.
#
# Outside of raw mode that key stops the whole foreground job. App.action_suspend_process signals the
# app's process alone: a program that waits for the app (make, a script that starts it) runs on, so the
# shell sees no job that stopped and does not take the terminal back.
#
# Seen:
#    textual 8.2.8, the app: stopped, the program that waits for it: not stopped
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check textual==8.2.8 psutil==7.2.2

cat > "$folder/app.py" <<'PY'
from textual.app import App


class Waiting(App[None]):
    BINDINGS = [("ctrl+z", "suspend_process", "suspend")]

    def on_mount(self) -> None:
        self.title = "ready"


Waiting().run()
PY

cat > "$folder/look.py" <<'PY'
"""Starts a program that waits for the app in a terminal of its own, and presses ctrl+z in it."""

import importlib.metadata
import os
import pty
import signal
import sys
import threading
import time

import psutil

app = sys.argv[1]
waits = "import subprocess, sys; subprocess.run([sys.executable, sys.argv[1]])"
parent, terminal = pty.fork()
if not parent:
    os.environ["TERM"] = "xterm-256color"
    os.execv(sys.executable, [sys.executable, "-c", waits, app])

written = bytearray()


def read() -> None:
    try:
        while data := os.read(terminal, 65536):
            written.extend(data)
    except OSError:
        pass


threading.Thread(target=read, daemon=True).start()


def until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, bytes(written[-200:])
        time.sleep(0.05)


process = psutil.Process(parent)
until(lambda: b"\x1b[?1049h" in written and process.children())
child = process.children()[0]
time.sleep(2)
os.write(terminal, b"\x1a")
until(lambda: child.status() == psutil.STATUS_STOPPED)
time.sleep(1)
stopped = process.status() == psutil.STATUS_STOPPED
print(
    f"textual {importlib.metadata.version('textual')}, the app: stopped,",
    "the program that waits for it:", "stopped" if stopped else "not stopped",
)
os.killpg(os.getpgid(parent), signal.SIGKILL)
sys.exit(stopped)
PY

"$folder/venv/bin/python" "$folder/look.py" "$folder/app.py"
