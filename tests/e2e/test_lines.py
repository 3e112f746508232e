"""The line mode in a real terminal that shows no more than lines."""

import os
import signal
import sys

import psutil
from support.patience import LATE
from support.terminal import Terminal

PROGRAM = """
import sys
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.line_mode import session

session.TWICE = 3600.0
raise SystemExit(main())
"""
"""The real program, in which a second ctrl+c may come as late as on a busy machine."""
DUMB = {"TERM": "dumb"}


def start(terminals: list[Terminal], *arguments: str) -> Terminal:
    terminal = Terminal([sys.executable, "-P", "-c", PROGRAM, *arguments], environment=DUMB)
    terminals.append(terminal)
    return terminal


def test_a_dumb_terminal_gets_lines_and_the_main_job_can_be_done(
    terminals: list[Terminal],
) -> None:
    terminal = start(terminals, "--max-new-tokens", "12")
    terminal.until("TERM is dumb")
    terminal.until("[length, step 12]")
    terminal.send("step 4\r")
    terminal.until("step 4 of 12")
    terminal.send("pick 2\r")
    terminal.until("[length, step 16]")
    terminal.send("compare\r")
    shown = terminal.until("branch 1, 9 tokens")
    assert "branch 2, 13 tokens" in shown
    terminal.send("quit\r")
    assert terminal.wait() == 0
    assert b"\x1b" not in terminal.raw


def test_a_line_and_ctrl_c_stop_the_stream_and_ctrl_c_twice_leaves(
    terminals: list[Terminal],
) -> None:
    terminal = start(terminals, "--temperature", "0", "--max-new-tokens", "900")
    terminal.until("Once upon a time")
    terminal.send("where\r")
    terminal.until("[interrupted, step")
    terminal.until("positions used")
    written = len(terminal.raw)
    terminal.send("go\r")
    terminal.until(lambda _: len(terminal.raw) > written + 100)
    terminal.send("ctrl+c")
    terminal.until(lambda s: s.count("[interrupted, step") == 2)
    terminal.send("ctrl+c")
    assert terminal.wait() == 130


def test_a_signal_ends_it_and_the_engine(terminals: list[Terminal]) -> None:
    terminal = start(terminals, "--max-new-tokens", "900")
    terminal.until("sampling: T .80 p .90 seed 0 · suggested, length 900")
    terminal.until("Once upon a time")
    children = psutil.Process(terminal.pid).children(recursive=True)
    assert children
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 143
    assert psutil.wait_procs(children, timeout=LATE)[1] == []
