"""What reaches a terminal of few colours, of many, of none, and of its own palette."""

import re
import sys

import pytest
from support.terminal import Terminal

PROGRAM = [sys.executable, "-P", "-m", "tokexplore", "--max-new-tokens", "30"]
SIMPLE = {"TERM": "xterm", "COLORTERM": ""}
MANY = {"TERM": "xterm-256color", "COLORTERM": ""}
FULL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def colours(raw: bytes) -> set[str]:
    """Which ways to name a colour were used: `16`, `256`, `rgb`, and what the default is left for.

    The sequences of SGR (ECMA-48 8.3.117) are read, nothing else.
    """
    found = set()
    for sequence in re.findall(rb"\x1b\[([0-9;]*)m", raw):
        parameters = sequence.decode().split(";")
        while parameters:
            first = parameters.pop(0) or "0"
            if first in ("38", "48"):
                kind = parameters.pop(0)
                found.add({"5": "256", "2": "rgb"}[kind])
                del parameters[: 1 if kind == "5" else 3]
            elif 30 <= int(first) <= 37 or 40 <= int(first) <= 47 or 90 <= int(first) <= 107:
                found.add("16")
    return found


@pytest.mark.parametrize(
    ("environment", "arguments", "wanted"),
    [
        (FULL, [], {"rgb"}),
        (MANY, [], {"256"}),
        (SIMPLE, [], {"16"}),
        (SIMPLE, ["--theme", "light"], {"16"}),
        (FULL, ["--ansi"], {"16"}),
        (FULL, ["--ansi", "--output", "stock"], {"16"}),
        (FULL | {"NO_COLOR": "1"}, [], set()),
    ],
    ids=["truecolor", "256", "16", "16-light", "ansi", "ansi-stock", "none"],
)
def test_a_terminal_gets_the_colours_that_it_has(
    terminals: list[Terminal],
    environment: dict[str, str],
    arguments: list[str],
    wanted: set[str],
) -> None:
    terminal = Terminal([*PROGRAM, *arguments], environment=environment)
    terminals.append(terminal)
    terminal.until("ended: length")
    terminal.send("home", "down", "enter")
    terminal.until(lambda s: "branch 2 of 2" in s and "ended: length" in s)
    terminal.still(0.5)
    assert colours(bytes(terminal.raw)) == wanted
    story = [terminal.screen.buffer[y][x] for y in range(2, 10) for x in range(80)]
    looks = {(cell.fg, cell.bg) for cell in story}
    assert len(looks) >= 4 if wanted else looks == {("default", "default")}
    bold = any(cell.bold or cell.reverse or cell.underscore for cell in story)
    assert bold, "the place where the user stands is not told by colour alone"
    terminal.send("q", "q")
    assert terminal.wait() == 0
