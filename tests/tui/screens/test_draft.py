"""A text that is edited in the user's own editor is never lost, whatever that does."""

import errno
import os
import shlex
import signal
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.app import make_app, press, until

from tokexplore.models.api.options import PromptSpec
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.draft import Draft

OPTIONS = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=4)
TYPED = "你 x"


def editor(folder: Path, code: str) -> str:
    """A program that edits the file that it is given."""
    path = folder / "editor.py"
    path.write_text(f"import sys, pathlib\nfile = pathlib.Path(sys.argv[1])\n{code}\n")
    return shlex.join((sys.executable, str(path)))


async def after(monkeypatch: pytest.MonkeyPatch, command: str, *, terminal: bool = True) -> str:
    """The draft after the editor; the error, if there was one, is on a line of its own."""
    monkeypatch.setenv("VISUAL", command)
    if terminal:
        monkeypatch.setattr(TokexploreApp, "suspend", nullcontext)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "p")
        draft = app.screen.query_one(Draft)
        draft.load_text(TYPED)
        app.clear_notifications()
        await press(pilot, "ctrl+o")
        said = [notice.message for notice in app._notifications]
        await press(pilot, "ctrl+g")
        return "\n".join((draft.text, *said))


async def test_what_comes_back_is_the_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = editor(tmp_path, 'file.write_bytes(file.read_bytes() + " é\\n".encode())')
    assert await after(monkeypatch, command) == f"{TYPED} é"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('file.write_bytes(b"\\xff")', "can't decode byte 0xff"),
        ("file.unlink()", "no such file or directory"),
        ("sys.exit(3)", "(it ended with 3)"),
        # One that has no name in Python.
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 1)",
            f"signal {signal.SIGRTMIN + 1} ended it",
        ),
    ],
)
async def test_where_nothing_comes_back_the_draft_stays(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, said = (await after(monkeypatch, editor(tmp_path, code))).split("\n")
    assert draft == TYPED
    assert "did not work (" in said
    assert why in said


@pytest.mark.parametrize("command", ["no-such-editor-here", "vi 'and", "a\x1bb"])
async def test_what_is_no_program_is_told(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draft, said = (await after(monkeypatch, command)).split("\n")
    assert draft == TYPED
    assert "did not work (" in said
    assert said.isprintable()


async def test_without_a_terminal_or_a_disk_the_draft_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draft, said = (await after(monkeypatch, "true", terminal=False)).split("\n")
    assert (draft, "did not work (" in said) == (TYPED, True)

    def full(**_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    draft, said = (await after(monkeypatch, "true")).split("\n")
    assert draft == TYPED
    assert said == "true did not work (no space left on device): the text is as it was."
