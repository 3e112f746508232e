"""What the terminal shows is what the compositor has, after whatever happened between the two."""

import os
import signal
import sys
import time
import unicodedata
from pathlib import Path

import psutil
import pytest
from support.patience import LATE
from support.terminal import Terminal

DUMPING = """
import os
import sys
from tokexplore.tui.browse.display import DisplayActions
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.terminal.shown import shown_text

def dump(self):
    lines = shown_text(self.screen.app).split(chr(10))
    with open({file!r} + "-", "w") as file:
        file.write(chr(10).join(line.rstrip() for line in lines))
    os.replace(file.name, {file!r})

DisplayActions.action_inspect = dump
sys.argv = ["tokexplore", *{arguments!r}]
raise SystemExit(main())
"""
"""The real program, in which `i` writes what the compositor has into a file."""
PROMPT = "今天 fu\u0301nf 🦊 한국 \u0e19\u0e49\u0e33 \u200d\u202e The king"


def start(terminals: list[Terminal], file: Path, *arguments: str, **how: object) -> Terminal:
    given = ["--max-new-tokens", "60", "--prompt", PROMPT, *arguments]
    code = DUMPING.format(file=str(file), arguments=given)
    terminal = Terminal([sys.executable, "-P", "-c", code], **how)  # type: ignore[arg-type]
    terminals.append(terminal)
    return terminal


def check(terminal: Terminal, file: Path) -> None:
    """The screen against what the compositor has, of a moment at which neither changes."""
    shown = ""
    while shown != (now := terminal.still(0.6)):  # a notice may go between the two
        shown, wanted = now, _compositor(terminal, file)
    assert _cells_of(shown) == _cells_of(wanted)


def _compositor(terminal: Terminal, file: Path) -> str:
    file.unlink(missing_ok=True)
    terminal.send("i")
    end = time.monotonic() + LATE
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return file.read_text()


def _cells_of(screen: str) -> list[str]:
    return [_cells(line) for line in screen.rstrip().splitlines()]


def _cells(line: str) -> str:
    """A line as the two sides can be compared: pyte leaves a blank beside some wide characters."""
    composed = unicodedata.normalize("NFC", line)
    return "".join(c for c in composed if c.isascii() and not c.isspace())


@pytest.mark.parametrize("how", [(), ("--output", "stock")], ids=["paced", "stock"])
def test_after_a_stream_and_after_a_resize_in_its_midst(
    terminals: list[Terminal], tmp_path: Path, how: tuple[str, ...]
) -> None:
    file = tmp_path / "screen"
    terminal = start(terminals, file, *how)
    terminal.until(lambda s: "▶" in s.splitlines()[0] or "ended: length" in s)
    terminal.resize(100, 30)
    terminal.until("ended: length")
    check(terminal, file)
    terminal.resize(130, 34)
    terminal.send("home", "down", "enter")
    terminal.until("branch 2 of 2")
    terminal.until("ended: length")
    check(terminal, file)


def test_after_ctrl_z_and_with_the_light_theme(terminals: list[Terminal], tmp_path: Path) -> None:
    file = tmp_path / "screen"
    terminal = start(terminals, file, "--theme", "light")
    terminal.until("ended: length")
    terminal.send("\x1a")
    process = psutil.Process(terminal.pid)
    end = time.monotonic() + LATE
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end
        time.sleep(0.02)
    terminal.screen.reset()
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until("ended: length")
    check(terminal, file)


def test_line_noise_is_gone_after_ctrl_l(terminals: list[Terminal], tmp_path: Path) -> None:
    file = tmp_path / "screen"
    terminal = start(terminals, file)
    terminal.until("ended: length")
    terminal.still(0.3)
    terminal.screen.cursor_position(3, 1)
    terminal.screen.draw("XXXXXXXXXXXXXXXXXXXX")
    terminal.send("\x0c")
    check(terminal, file)


@pytest.mark.parametrize("size", [(20, 5), (59, 14), (60, 15), (300, 100)])
def test_any_size_is_answered_in_peace(
    terminals: list[Terminal], tmp_path: Path, size: tuple[int, int]
) -> None:
    terminal = start(terminals, tmp_path / "screen", columns=size[0], lines=size[1])
    small = size[0] < 60 or size[1] < 15
    terminal.until("tokexplore needs" if small else "ended: length")
    terminal.send("\x11")
    assert terminal.wait() == 0
    assert b"Traceback" not in terminal.raw


OTHER_TEXTUAL = """
import sys, textual
textual.__version__ = "8.9.0"
from tokexplore.tui.cli.dispatch import main
sys.argv = ["tokexplore", "--max-new-tokens", "20"]
raise SystemExit(main())
"""


def test_on_another_textual_its_own_output_is_used_and_told_once(
    terminals: list[Terminal],
) -> None:
    terminal = Terminal([sys.executable, "-P", "-c", OTHER_TEXTUAL])
    terminals.append(terminal)
    terminal.until("Textual 8.9.0 is not the one that our output was tested on")
    terminal.until("ended: length")
    assert b"\x1b[6n" not in terminal.raw, "a line is asked only where frames are ours"
    terminal.send("home", "down", "enter")
    terminal.until("branch 2 of 2")
    terminal.send("\x11")
    assert terminal.wait() == 0
