"""The program, where what it stands on is not there."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.terminal import Terminal

PROGRAM = shlex.join([sys.executable, "-P", "-m", "tokexplore"])
LENGTH = "--max-new-tokens 4"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_standard_streams_that_are_closed_are_not_missed(
    terminals: list[Terminal], closed: str
) -> None:
    terminal = Terminal(["sh", "-c", f"exec {PROGRAM} {LENGTH} {closed}"])
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


def test_a_current_directory_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["sh", "-c", f"rmdir {shlex.quote(str(gone))}; exec {PROGRAM} run {LENGTH}"],
        stdin=subprocess.DEVNULL, cwd=gone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == (
        "tokexplore: the current directory was removed, and no model can be computed in it: "
        "change to another one and start again.\n"
    )
