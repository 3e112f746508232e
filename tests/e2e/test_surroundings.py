"""The program, where what it stands on is not there."""

import os
import shlex
import subprocess
import sys

import pytest
from support.terminal import Terminal

COMMAND = shlex.join([sys.executable, "-P", "-m", "tokexplore", "--max-new-tokens", "4"])


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_standard_streams_that_are_closed_are_not_missed(
    terminals: list[Terminal], closed: str
) -> None:
    terminal = Terminal(["sh", "-c", f"exec {COMMAND} {closed}"])
    terminals.append(terminal)
    terminal.until(lambda s: "■ ended" in s.splitlines()[0])
    terminal.send("q")
    terminal.send("q")
    assert terminal.wait() == 0
    assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_streams_of_another_encoding_get_utf_8(encoding: str) -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", "tokexplore", "run", "Straße语"], stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    ).stderr.decode("utf-8")  # fmt: skip
    assert said.startswith("tokexplore: Straße语 needs a prompt")
