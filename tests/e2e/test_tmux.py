"""The real program inside tmux, under the names that terminals go by."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.patience import LATE

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
STARTED = f"{sys.executable} -P -m tokexplore"
PROGRAM = f"{STARTED} --max-new-tokens 16; echo left with $?; sleep 60"


class Pane:
    """One tmux server with one pane, the user's own configuration left out."""

    def __init__(self, name: str) -> None:
        self._tmux = ["tmux", "-u", "-L", f"tokexplore-{name}", "-f", "/dev/null"]

    def run(self, *command: str) -> str:
        done = subprocess.run([*self._tmux, *command], capture_output=True, text=True, check=True)
        return done.stdout

    def start(self, term: str, columns: int, lines: int, program: str = PROGRAM) -> None:
        size = ("-x", str(columns), "-y", str(lines))
        self.run("new-session", "-d", *size, f"exec env TERM={term} sh -c '{program}'")

    def until(self, holds: Callable[[str], object]) -> str:
        end = time.monotonic() + LATE
        while not holds(shown := self.run("capture-pane", "-p")):
            assert time.monotonic() < end, shown
            time.sleep(0.1)
        return shown

    def still(self, seconds: float = 1.0) -> str:
        """The screen with its styles, once it has not changed for so long."""
        seen, since = "", time.monotonic()

        def unchanged(_: str) -> bool:
            nonlocal seen, since
            if (shown := self.run("capture-pane", "-p", "-e", "-N")) != seen:
                seen, since = shown, time.monotonic()
            return time.monotonic() - since >= seconds

        self.until(unchanged)
        return seen

    def keys(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    def stop(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True)


@pytest.fixture
def pane(request: pytest.FixtureRequest) -> Iterator[Pane]:
    opened = Pane(str(abs(hash(request.node.name))))
    yield opened
    opened.stop()


@pytest.mark.parametrize(
    ("term", "columns", "lines"),
    [
        ("xterm-256color", 80, 24),
        ("screen-256color", 120, 40),
        ("tmux-256color", 80, 24),
        ("linux", 120, 40),
    ],
)
def test_it_streams_branches_compares_and_leaves(
    pane: Pane, term: str, columns: int, lines: int
) -> None:
    pane.start(term, columns, lines)
    pane.until(lambda s: "ended: length" in s)
    pane.keys("Home", "Down", "Enter")
    pane.until(lambda s: "branch 2 of 2" in s and "ended: length" in s)
    pane.keys("d")
    pane.until(lambda s: "COMPARE" in s and "mean" in s)
    pane.keys("q")
    pane.until(lambda s: "BROWSE" in s)
    pane.keys("q", "q")
    left = pane.until(lambda s: "left with 0" in s)
    assert "Traceback" not in left
    assert "[?" not in left, "no answer of the terminal came after the program had left"


SCRIPTS = "va\u0300 phone cafe\u0301. हिन्दी भाषा में लिखो 今天 ภาษาไทย שָׁלוֹם مَرْحَبًا"


def test_text_of_all_scripts_is_whole_and_as_if_painted_anew(pane: Pane, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(SCRIPTS, encoding="utf-8")
    pane.start("tmux-256color", 130, 34, f"{STARTED} --max-new-tokens 8 --prompt-file {prompt}")
    shown = pane.until(lambda s: "ended: length" in s)
    assert SCRIPTS in shown
    pane.keys("Home")
    first = int(re.findall(r"step 1 · position (\d+)", pane.until(lambda s: "step 1 ·" in s))[0])
    for key, times, place in (
        ("Left", 9, first - 9),
        ("Left", 20, first - 29),
        ("Right", 29, first),
    ):
        pane.keys(*[key] * times)
        rule = re.compile(rf"position {place} .*H \d")
        pane.until(rule.search)
        shown = pane.still()
        pane.keys("C-l")
        assert pane.still() == shown


def test_the_size_is_the_terminal_s_whatever_is_reported(pane: Pane) -> None:
    pane.start("tmux-256color", 80, 24)
    pane.until(lambda s: "ended: length" in s)
    before = pane.still()
    for report in (b"\x1b[?2048;2$y", b"\x1b[48;99999;99999;0;30t", b"\x1b[48;10;20;0;0t"):
        pane.keys("-H", *(f"{byte:02x}" for byte in report))
    pane.keys("j")
    pane.keys("k")
    assert pane.still() == before
    pane.run("resize-window", "-x", "100", "-y", "30")
    pane.until(lambda s: max(map(len, s.splitlines())) > 90 and "? help" in s.splitlines()[-1])


def test_ctrl_z_gives_the_terminal_to_the_shell_under_a_program_that_waits_for_ours(
    pane: Pane, tmp_path: Path
) -> None:
    """As `make run` does."""
    waits = tmp_path / "waits.py"
    waits.write_text("import subprocess, sys\nsys.exit(subprocess.run(sys.argv[1:]).returncode)\n")
    pane.start("xterm-256color", 100, 30, "bash --norc --noprofile")
    pane.until(lambda text: "$" in text or "#" in text)
    pane.keys(f"{sys.executable} {waits} {STARTED} --max-new-tokens 8", "Enter")
    pane.until(lambda text: "ended: length" in text)
    for _ in range(3):
        pane.keys("C-z")
        pane.until(lambda text: "Stopped" in text and "BROWSE" not in text)
        pane.keys("echo shell$((40 + 2))", "Enter")
        pane.until(lambda text: "shell42" in text)
        pane.keys("clear; fg", "Enter")
        pane.until(lambda text: "BROWSE" in text and "ended: length" in text)
    pane.keys("q", "q")
    pane.until(lambda text: "Kept: " in text)
