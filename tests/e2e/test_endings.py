"""However it ends, the terminal is as it was and no process is left."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from support.patience import LATE
from support.terminal import Terminal

ARGUMENTS = ["--temperature", "0", "--max-new-tokens", "900"]
PROGRAM = [sys.executable, "-P", "-m", "tokexplore", *ARGUMENTS]
CRASHING = f"""
import sys
from tokexplore.tui.browse.display import DisplayActions
from tokexplore.tui.cli.dispatch import main

def crash(self):
    raise RuntimeError("a mistake of ours")

async def crash_beside(self):
    crash(self)

DisplayActions.action_inspect = crash
DisplayActions.action_map = lambda self: self.screen.run_worker(crash_beside(self))
sys.argv = ["tokexplore", *{ARGUMENTS}]
raise SystemExit(main())
"""
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l", b"\x1b[?7h")
"""Alternate screen, cursor, mouse, paste, wrapping."""


def start(terminals: list[Terminal], command: list[str], **how: object) -> list[psutil.Process]:
    terminal = Terminal(command, **how)  # type: ignore[arg-type]
    terminals.append(terminal)
    terminal.until(lambda s: "▶" in s.splitlines()[0])
    return psutil.Process(terminal.pid).children(recursive=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_as_shells_expect(
    terminals: list[Terminal], number: signal.Signals, code: int
) -> None:
    children = start(terminals, PROGRAM)
    os.kill(terminals[0].pid, number)
    assert terminals[0].wait() == code
    assert psutil.wait_procs(children, timeout=LATE)[1] == []
    for sequence in RESTORED:
        assert sequence in terminals[0].raw


def test_a_lost_line_ends_it_and_nothing_spins(terminals: list[Terminal]) -> None:
    children = start(terminals, PROGRAM)
    terminals[0].hang_up()
    assert terminals[0].wait() == 129
    assert psutil.wait_procs(children, timeout=LATE)[1] == []


def test_a_lost_line_is_noticed_without_a_signal(terminals: list[Terminal]) -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "import tokexplore.tui.terminal.ending as ending; "
        "ending.watch_signals = lambda end: None; "
        "from tokexplore.tui.cli.dispatch import main; "
        f"sys.argv = ['tokexplore', *{ARGUMENTS}]; raise SystemExit(main())"
    )
    children = start(terminals, [sys.executable, "-P", "-c", ignoring])
    terminals[0].hang_up()
    assert terminals[0].wait() == 129
    assert psutil.wait_procs(children, timeout=LATE)[1] == []


@pytest.mark.usefixtures("cold_start")
def test_a_killed_interface_takes_the_engine_with_it(terminals: list[Terminal]) -> None:
    children = start(terminals, PROGRAM)
    os.kill(terminals[0].pid, signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=LATE)[1] == []


@pytest.mark.parametrize("key", ["i", "I"], ids=["in a handler", "in a worker"])
def test_an_error_of_ours_leaves_a_terminal_and_a_file(
    terminals: list[Terminal], tmp_path: Path, key: str
) -> None:
    children = start(
        terminals,
        [sys.executable, "-P", "-c", CRASHING],
        environment={"XDG_STATE_HOME": str(tmp_path)},
    )
    terminals[0].send(key)
    assert terminals[0].wait() == 1
    assert psutil.wait_procs(children, timeout=LATE)[1] == []
    for sequence in RESTORED:
        assert sequence in terminals[0].raw
    said = bytes(terminals[0].raw).rsplit(b"\x1b[?1004l", 1)[-1].decode()
    assert said.count("tokexplore failed: RuntimeError") == 1
    assert "Traceback" not in said
    (crash,) = (tmp_path / "tokexplore" / "crashes").iterdir()
    assert crash.name in said.replace("\r\n", "")
    assert "in crash\n" in crash.read_text()
    assert "a mistake of ours" in crash.read_text()
    assert crash.stat().st_mode & 0o777 == 0o600
