"""The program, where what it stands on is not there."""

import shlex
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
