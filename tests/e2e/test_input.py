"""What a terminal sends, at its worst: the program lives, and the keys after it act."""

import os
import random
import sys
from pathlib import Path

import pytest
from support.command import TESTS
from support.input_bytes import PASTE, PASTE_ENDS, REPORTS, pasted, stream
from support.terminal import Terminal

SEEDS = range(int(os.environ.get("INPUT_SEEDS", "1")))
SIZE = int(os.environ.get("INPUT_BYTES", "60000"))
"""Bytes of a seed: CI sends few, `INPUT_SEEDS=200 INPUT_BYTES=1000000` many."""
TOLD = "cannot be read"
SIZE_AS_IT_IS = b"\x1b[48;40;120;800;960t"
APP = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from support.app import make_app
from tokexplore.models.api.options import PromptSpec
from tokexplore.tui.explore.options import AppOptions
app = make_app(options=AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8))
def tell():
    while True:
        time.sleep(0.05)
        if app.is_running and app.screen_stack:
            Path("looked_at").write_text(f"{{len(app.key_queue)}} {{type(app.screen).__name__}}")
threading.Thread(target=tell, daemon=True).start()
app.run()
sys.exit(app.return_code)
"""
"""The app on a fake engine; a file tells how many keys were not acted on, and what is in front."""


@pytest.fixture
def terminal(
    terminals: list[Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """The program at rest after one stream of eight tokens."""
    monkeypatch.chdir(tmp_path)
    terminal = Terminal([sys.executable, "-P", "-c", APP.format(tests=str(TESTS))])
    terminals.append(terminal)
    terminal.until("ended: length")
    terminal.until(lambda _: Path("looked_at").exists())
    return terminal


def no_key_waits() -> bool:
    """Whether all keys that the program read were acted on."""
    return Path("looked_at").read_text().startswith("0 ")


def is_closed() -> bool:
    """Whether, besides, the main screen is in front, with nothing open over it."""
    return Path("looked_at").read_text() == "0 BrowseScreen"


def at_rest(terminal: Terminal) -> str:
    """End a paste, and close what is open until the main screen stays in front; the screen then."""
    terminal.send_bytes(PASTE_ENDS + SIZE_AS_IT_IS)
    for _ in range(50):
        terminal.send("ctrl+g")
        terminal.until(lambda _: no_key_waits())
        shown = terminal.still(0.5)
        if is_closed():
            return shown
    raise AssertionError(f"it does not come back:\n{terminal.text}")


def a_key_acts(terminal: Terminal) -> None:
    terminal.send("g")
    terminal.until("Go to step")
    terminal.send("nowhere", "enter")
    terminal.until("is 'nowhere'")


@pytest.mark.parametrize("seed", SEEDS)
def test_it_lives_whatever_is_sent_and_the_keys_after_it_act(terminal: Terminal, seed: int) -> None:
    terminal.send_bytes(stream(random.Random(seed), SIZE))
    at_rest(terminal)
    a_key_acts(terminal)
    terminal.send("\x11")
    assert terminal.wait() == 0


def test_reports_do_nothing_and_what_cannot_be_read_is_told_once(terminal: Terminal) -> None:
    before = terminal.text.split("\n", 1)[1]
    assert "branch 1 of 1" in before
    terminal.send_bytes(b"".join(REPORTS) * 3 + SIZE_AS_IT_IS)
    terminal.until(TOLD)
    shown = at_rest(terminal)
    assert "branch 1 of 1" in shown
    for cut in (b"\xe9\xe8", b"\x1b[M\xff\xff\xff", b"\x1b[1114112u"):
        terminal.send_bytes(cut)
    a_key_acts(terminal)
    assert terminal.text.count(TOLD) <= 1


def test_nothing_of_a_paste_is_a_key(terminal: Terminal) -> None:
    evil = b"2\rx q q\x07\x11\x03 \x1b[A\x1b[113;5u\x1b[Bpu\x1b\x1b\xff 3\r"
    terminal.send_bytes(pasted(evil))
    terminal.until("What is pasted")
    for byte in pasted(evil):
        terminal.send_bytes(bytes([byte]))
    terminal.send("p")
    terminal.until("Prompt")
    terminal.send_bytes(b"\x1b[200~ab \x1b[31m cd\x07 ef\x1b[20")
    terminal.send_bytes(b"1~")
    shown = terminal.until("ab [31m cd ef")
    assert "Prompt" in shown
    terminal.until("2 control")
    terminal.send("ctrl+g")
    shown = at_rest(terminal)
    assert "branch 1 of 1" in shown
    a_key_acts(terminal)


def test_a_paste_without_an_end_acts_on_nothing_and_ctrl_q_leaves(terminal: Terminal) -> None:
    terminal.send("p")
    terminal.until("Prompt")
    terminal.send_bytes(PASTE + b"tail 2\x07x")
    terminal.until("has not come")
    terminal.until("tail 2x")
    terminal.send("\x11")
    terminal.wait()


def test_a_paste_that_no_editor_takes_leaves_what_was_typed(terminal: Terminal) -> None:
    terminal.send("p")
    terminal.until("Prompt")
    terminal.send("kept ")
    terminal.send_bytes(pasted(b"\n" * 1_000_000))
    shown = terminal.until("This paste has")
    assert "kept" in shown
    terminal.send("typed")
    terminal.until("kept typed")
