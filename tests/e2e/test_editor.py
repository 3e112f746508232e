"""The terminal is lent to the user's own editor, and taken back whatever that does."""

import os
import sys
from pathlib import Path

import pytest
from support.terminal import Terminal

EDITOR = """#!{python}
import sys
file = sys.argv[1]
said = input("as you like: ")
if not said:
    sys.exit(3)
open(file, "w").write(said)
"""


@pytest.fixture
def terminal(
    terminals: list[Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """The program with an unsent draft."""
    monkeypatch.chdir(tmp_path)  # SIGQUIT may leave a core file
    editor = tmp_path / "my-editor"
    editor.write_text(EDITOR.format(python=sys.executable))
    editor.chmod(0o755)
    options = ["--prompt", "Once", "--max-new-tokens", "4"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    terminal = Terminal(
        [sys.executable, "-P", "-m", "tokexplore", *options],
        environment={"VISUAL": editor.name, "PATH": path},
    )
    terminals.append(terminal)
    terminal.until("ended: length")
    terminal.send("p")
    terminal.until("ctrl+o $EDITOR")
    terminal.send(" upon")
    terminal.until("Once upon")
    return terminal


def edit(terminal: Terminal, answer: str, ends: str) -> None:
    """Edit in the program, and wait for what stands on our screen after it."""
    before = terminal.raw.count(b"as you like: ")
    terminal.send("\x0f")
    terminal.until(lambda _: terminal.raw.count(b"as you like: ") > before)
    terminal.send(answer)
    terminal.until(lambda text: ends in " ".join(text.split()) and "ctrl+o $EDITOR" in text)


def test_what_was_edited_is_in_the_draft(terminal: Terminal) -> None:
    edit(terminal, "A king\r", "A king")
    terminal.send("s")
    terminal.until("A kings")


@pytest.mark.parametrize(
    ("answer", "why"),
    [("\r", "it ended with 3"), ("\x03", "signal 2 ended"), ("\x1c", "signal 3 ended")],
)
def test_an_editor_that_fails_gives_the_terminal_back(
    answer: str, why: str, terminal: Terminal
) -> None:
    edit(terminal, answer, why)
    terminal.send("s")
    terminal.until("Once upons")
    edit(terminal, "A king\r", "A king")
