"""Sessions of the real program: killed, cut off, listed, opened again."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.patience import LATE
from support.terminal import Terminal

from tokexplore.models.errors import UsageError
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import listed, open_session

COMMAND = [sys.executable, "-P", "-m", "tokexplore"]
STREAMING = [*COMMAND, "--max-new-tokens", "900", "--temperature", "1", "--ignore-eos"]


def start(terminals: list[Terminal], command: list[str]) -> Terminal:
    terminal = Terminal(command)
    terminals.append(terminal)
    return terminal


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def kept_in(path: Path) -> int:
    """Tokens that a session's file holds; 0 where nothing is in it yet."""
    try:
        return len(open_session(path, to_write=False).tree)
    except UsageError:
        return 0


def test_a_killed_session_is_whole_and_offered(terminals: list[Terminal]) -> None:
    terminal = start(terminals, STREAMING)
    terminal.until(lambda s: "▶" in s.splitlines()[0])
    end = time.monotonic() + LATE
    while not any(kept_in(path) > 100 for path in all_files()):
        assert time.monotonic() < end, terminal.text
        time.sleep(0.1)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.wait()
    [path] = all_files()
    known = listed(path)
    assert (known.live, known.ended) == (False, "")
    assert len(open_session(path).tree) > 100
    assert "[cut off]" in run("sessions").stdout
    again = start(terminals, [*COMMAND, "--max-new-tokens", "5"])
    again.until("ended without a sign")
    again.until(lambda s: "ended: length" in s and len(all_files()) == 2)
    again.send("O")
    again.until("this one")
    again.send("\x1b[B\r")
    again.until("recorded · space loads the model")
    again.send("\x11")
    assert again.wait() == 0
    assert listed(path).ended == "quit"


def context_used(screen: str) -> int:
    """Tokens of the path in view, as the header tells them."""
    found = re.search(r"ctx (\d+)/", screen)
    return int(found[1]) if found else 0


def test_a_lost_line_ends_the_model_and_not_the_session(terminals: list[Terminal]) -> None:
    terminal = start(terminals, STREAMING)
    terminal.until(lambda s: "▶" in s.splitlines()[0])
    terminal.hang_up()
    assert terminal.wait() == 129
    [path] = all_files()
    assert listed(path).ended == "hangup"
    again = start(terminals, [*COMMAND, "open"])
    again.until("recorded · space loads the model")
    nodes = len(open_session(path, to_write=False).tree)
    again.send(" ")
    again.until(lambda s: "▶" in s and context_used(s) >= nodes)  # a token more than there was
    again.send("\x11")
    assert again.wait() == 0
    assert len(open_session(path).tree) > nodes


def test_a_file_of_its_own_and_every_mistake_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.tokx"
    said = "step 2\npick 3\nquit\n"
    begun = subprocess.run(
        [*COMMAND, "--plain", "--max-new-tokens", "6", "--session", str(file)],
        input=said, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert begun.returncode == 0
    assert all_files() == []
    assert len(open_session(file).tree.branches) == 2
    again = run("--session", str(file))
    assert (again.returncode, again.stdout) == (2, "")
    assert f"tokexplore open {file}" in again.stderr
    assert "there is no folder" in run("--session", str(tmp_path / "no" / "x.tokx")).stderr
    for arguments, text in (
        (("open", "--plain"), "no session to open yet"),
        (("open", "--plain", "nothing"), "no session 'nothing'"),
        (("open", str(file)), "open needs a terminal"),
    ):
        result = run(*arguments)
        assert result.returncode == 2
        assert text in result.stderr
        assert result.stderr.count("\n") == 1
    opened = subprocess.run(
        [*COMMAND, "open", "--plain", str(file)],
        input="table 2\nbranch 1\nquit\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "branch 1 of 2" in opened.stdout
    assert "loading" not in opened.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in run("--session", str(tmp_path / "x.tokx")).stderr
