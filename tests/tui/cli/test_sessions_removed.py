"""Sessions that are no longer wanted go after a question, and nothing else goes."""

import io
import os
import sys
import time
from pathlib import Path

import pytest
from support.patience import LATE
from support.sessions import journal_of, kept, prompted

from tokexplore.models.session.paths import all_files, create_named, sessions_folder
from tokexplore.models.session.reader import listed
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.cli.dispatch import main

NOW = 1_700_000_000.0


def made(model: str, days: float = 0.0) -> Path:
    """A session in the usual folder that was written so many days ago."""
    path = create_named(sessions_folder(), model, NOW)
    path.unlink()
    kept(path)
    when = time.time() - days * 86_400
    os.utime(path, (when, when))
    return path


def answered(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))


@pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("\n", False), ("", False)])
def test_removing_asks_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, gone: bool
) -> None:
    one, other = made("one"), made("other")
    answered(monkeypatch, answer)
    assert main(["sessions", "--remove", one.stem]) == 0
    said = capsys.readouterr().out
    assert "Remove 1 session, 0.1 MB? This cannot be undone. [y/N]" in said
    assert one.stem in said
    assert one.exists() != gone
    assert other in all_files()
    assert not gone or not list(sessions_folder().glob(f"{one.name}*"))


def test_without_a_terminal_it_takes_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = made("one"), made("other")
    assert main(["sessions", "--remove", one.stem, other.stem]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert len(all_files()) == 2
    assert main(["sessions", "--remove", one.stem, other.stem, "--yes"]) == 0
    assert all_files() == []


def test_old_ones_go_but_not_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = made("old", days=40), made("new", days=2)
    tree, live = TokenTree(), sessions_folder() / "live.tokx"
    book = journal_of(tree, live)
    prompted(tree)
    deadline = time.monotonic() + LATE
    while not listed(live).live:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for file in sessions_folder().glob("live*"):
        os.utime(file, (NOW, NOW))
    assert main(["sessions", "--older-than", "30", "--yes"]) == 0
    assert sorted(all_files()) == sorted([new, live])
    assert main(["sessions", "--remove", "live", "--yes"]) == 2
    assert "is open in a tokexplore" in capsys.readouterr().err
    book.close("quit")
    assert main(["sessions", "--older-than", "30", "--yes"]) == 0
    assert "as old as that" in capsys.readouterr().out
    assert not old.exists()


def test_what_is_no_session_is_not_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text("dear diary")
    assert main(["sessions", "--remove", str(diary), "--yes"]) == 2
    assert str(diary) in capsys.readouterr().err
    assert diary.read_text() == "dear diary"


def test_a_damaged_one_among_the_others_can_go() -> None:
    bad = create_named(sessions_folder(), "bad", NOW)
    bad.write_bytes(b"no database at all, but a name that ends like one")
    assert main(["sessions", "--remove", bad.stem, "--yes"]) == 0
    assert not bad.exists()


def test_yes_alone_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "--yes"]) == 2
    assert "--remove" in capsys.readouterr().err
