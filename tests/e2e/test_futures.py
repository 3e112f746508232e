"""Eight futures of the real program on the embedded model, and what is left of them when it is
killed."""

import os
import re
import signal
import sys
import time

from support.patience import LATE
from support.terminal import Terminal

from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import open_session
from tokexplore.models.tree.tree import TokenTree

COMMAND = [sys.executable, "-P", "-m", "tokexplore"]
STOCK = "who had a"


def branches_of(tree: TokenTree) -> dict[int, int]:
    """Tokens from its head to its tip, by branch."""
    return {b.number: tree.depth[b.tip] - tree.depth[b.head] + 1 for b in tree.branches}


def test_eight_lanes_are_dropped_branched_from_and_taken_and_outlive_a_kill(
    terminals: list[Terminal],
) -> None:
    terminal = Terminal([*COMMAND, "--max-new-tokens", "900", "--temperature", "1",
                         "--ignore-eos", "--seed", "3"])  # fmt: skip
    terminals.append(terminal)
    terminal.until(lambda s: (found := re.search(r"ctx (\d+)/", s)) and int(found[1]) > 50)
    terminal.send(" ")
    terminal.until("‖ paused")
    terminal.send("\x1b[H")  # home
    terminal.until(f"after “{STOCK}”")
    terminal.send("F")
    terminal.until("How many")
    terminal.send("8\r")
    terminal.until(lambda s: "FUTURES" in s and len(re.findall(r" ▶ ", s)) >= 5)
    terminal.send("\x1b[B", "x")  # the second one is dropped
    terminal.until("7 futures")
    terminal.send("\x1b[B", "\r")  # the third of what is left becomes the path
    terminal.until(lambda s: "BROWSE" in s and "is in view" in s)
    terminal.send("\x1b[H", "\x1b[C", "\x1b[C", "4")  # and is branched from
    terminal.until(lambda s: re.search(r"branch 9\b|branch 10\b", s))
    [path] = all_files()
    end = time.monotonic() + LATE
    while sum(n > 20 for n in branches_of(open_session(path, to_write=False).tree).values()) < 8:
        assert time.monotonic() < end, terminal.text
        time.sleep(0.2)
    before = branches_of(open_session(path, to_write=False).tree)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.wait()

    kept = open_session(path).tree
    now = branches_of(kept)
    assert all(now[number] >= length for number, length in before.items())
    assert len(now) >= 9, "the path, seven others, and the branch of one of them"
    assert sum(branch.hidden for branch in kept.branches) == 1
    again = Terminal([*COMMAND, "open"])
    terminals.append(again)
    again.until("recorded · space loads the model")
    again.send("b")
    again.until(lambda s: len(re.findall(r"@1\b", s)) >= 6)
    again.send("\x11")
    assert again.wait() == 0
