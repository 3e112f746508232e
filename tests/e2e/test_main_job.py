"""The main job, with the real program, the embedded model and a real terminal."""

import os
import re
import sys
from pathlib import Path

import psutil
import pytest
from support.patience import LATE
from support.terminal import Terminal

PROGRAM = [sys.executable, "-P", "-m", "tokexplore"]
PROMPT = "Once upon a time there was a king who had a"


def start(terminals: list[Terminal], *arguments: str, **how: object) -> Terminal:
    terminal = Terminal([*PROGRAM, *arguments], **how)  # type: ignore[arg-type]
    terminals.append(terminal)
    return terminal


def story(screen: str) -> str:
    """The transcript as one line."""
    lines = screen.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("─ step") or "prompt ·" in line)
    return " ".join(" ".join(lines[2:end]).split())


@pytest.mark.usefixtures("cold_start")
def test_stream_walk_branch_compare_return_and_quit(terminals: list[Terminal]) -> None:
    terminal = start(terminals, "--temperature", "0", "--max-new-tokens", "24")
    first = terminal.until("ended: length")
    assert PROMPT in story(first)
    terminal.send("home")
    at_first_step = terminal.until("step 1 · position")
    assert re.search(r"● +1 ", at_first_step), "greedy took the first candidate"
    second = re.search(r"^ +2 +␣(\S+)", at_first_step, re.MULTILINE)
    assert second, at_first_step
    terminal.send("down", "enter")
    branched = terminal.until("branch 2 of 2")
    branched = terminal.until(lambda s: "ended: length" in s and "branch 2 of 2" in s)
    assert f"{PROMPT}┬ {second[1]}" in story(branched)
    assert "1 ┬" in branched, "the old story stays in view"
    terminal.send("d")
    side_by_side = terminal.until("COMPARE")
    side_by_side = terminal.until(lambda s: second[1] in s and "│" in s)
    assert "#1" in side_by_side or "1" in side_by_side.splitlines()[2]
    terminal.send("q")
    terminal.until("BROWSE")
    terminal.send("o")
    back = terminal.until("branch 1 of 2")
    assert story(first).removeprefix("<s>")[: len(PROMPT) + 20].replace("┬", "") in story(
        back
    ).replace("┬", "")
    child = psutil.Process(terminal.pid).children(recursive=True)
    terminal.send("q", "q")
    assert terminal.wait() == 0
    assert psutil.wait_procs(child, timeout=LATE)[1] == [], "the engine's process is gone"
    assert b"\x1b[?1049l" in terminal.raw, "the alternate screen was left"


def test_a_pick_on_a_slow_line_pins_the_step_before_it_acts(terminals: list[Terminal]) -> None:
    terminal = start(terminals, "--temperature", "0", "--max-new-tokens", "400", delay=0.15)
    terminal.until(lambda s: re.search(r"step [2-9]\d* · position", s))
    terminal.send("3")
    terminal.until("Paused at the step you saw")
    pinned = terminal.still()
    step = re.search(r"step (\d+) · position", pinned)
    assert step, pinned
    assert "branch 1 of 1" in pinned, "the first press took nothing"
    row = re.search(r"^.{0,3} +3 +(\S+)", pinned, re.MULTILINE)
    assert row
    terminal.send("3")
    terminal.until("branch 2 of 2")
    terminal.send(" ")
    terminal.until(lambda s: "▶" not in s.splitlines()[0])
    terminal.send("g", step[1], "enter")
    terminal.until(f"step {step[1]} · position")
    landed = terminal.still()
    taken = re.search(r"● +3 +(\S+)", landed)
    assert taken, landed
    assert taken[1] == row[1]


def test_80_by_24_and_a_chinese_prompt(terminals: list[Terminal]) -> None:
    arguments = ("--prompt", "今天是星期五。The king", "--max-new-tokens", "12")
    terminal = start(terminals, *arguments, columns=80, lines=24)
    shown = terminal.until("ended: length")
    assert "今 天 是" in shown or "今天是星期五" in shown.replace(" ", "")
    terminal.send("home", "down", "enter")
    terminal.until("branch 2 of 2")
    terminal.send("b")
    terminal.until("Branches")
    terminal.send("q", "q", "q")
    assert terminal.wait() == 0


def test_keys_of_one_s_own_act_and_a_mistake_among_them_is_told(
    terminals: list[Terminal],
) -> None:
    file = Path(os.environ["XDG_CONFIG_HOME"], "tokexplore", "keys.toml")
    file.parent.mkdir(parents=True)
    file.write_text('program.quit = "Q"\nstep.first = "ctrl+e"\nact.nothing = "N"\n')
    terminal = start(terminals, "--max-new-tokens", "4")
    terminal.until("act.nothing is the id of no key")
    terminal.until("ended: length")
    terminal.send("q", "q", "\x05")
    terminal.until("step 1 · position")
    terminal.send("Q")
    terminal.until("Q again quits")
    terminal.send("Q")
    assert terminal.wait() == 0


def test_ctrl_c_stops_then_leaves_with_130(terminals: list[Terminal]) -> None:
    terminal = start(terminals, "--temperature", "0", "--max-new-tokens", "900")
    terminal.until(lambda s: "▶" in s.splitlines()[0])
    terminal.send("ctrl+c")
    terminal.until("Stopped")
    terminal.send(" ")
    terminal.until(lambda s: "▶" in s.splitlines()[0])
    terminal.send_bytes(b"\x03\x03")  # at once: how soon the second has to come is no matter here
    assert terminal.wait() == 130


def test_the_first_screen_samples_and_its_process_never_imports_torch(
    terminals: list[Terminal], tmp_path: Path
) -> None:
    terminal = start(terminals, "--max-new-tokens", "4")
    header = terminal.until("ended: length").splitlines()[0]
    assert "T .80 p .90 · suggested seed 0" in header, "a shipped model starts as its makers say"
    maps = Path(f"/proc/{terminal.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see which libraries a process has mapped")
    assert "libtorch" not in maps.read_text()
    assert os.path.isdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nowhere/at/all"], "/nowhere/at/all"),
        (["--temperature", "-1"], "-1"),
        (["--prompt", "a", "--prompt-file", "b"], "prompt"),
        (["--top-p", "1.5"], "1.5"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence_with_exit_code_2(
    terminals: list[Terminal], arguments: list[str], said: str
) -> None:
    terminal = start(terminals, *arguments)
    assert terminal.wait() == 2
    assert said in terminal.text
    assert "Traceback" not in terminal.text
