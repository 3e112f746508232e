"""A session that was left is one file: its log is taken into it, and reading leaves none."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.sessions import grow, journal_of, kept, prompted, same

from tokexplore.models.session.journal import Journal
from tokexplore.models.session.reader import listed, open_session
from tokexplore.models.tree.tree import TokenTree

READ = """
import sys
from pathlib import Path
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.tui.cli.dispatch import main
assert main(["sessions"]) == 0
assert main(["export", sys.argv[1], "-o", sys.argv[2]]) == 0
held = open_session(Path(sys.argv[1]), to_write=False)
lived = open_timeline(held.path)
"""

TAKE_WHOLE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
print(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
"""
"""What succeeds only where no other process has the file open."""


def beside(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def gone_on_with(path: Path) -> tuple[TokenTree, Journal]:
    """A session that was opened and goes on, its candidates still read from the file."""
    session = open_session(path)
    book = Journal(
        lambda: path, lambda _text, _bad: None, created=session.created,
        first=session.next_event, model=0,
    )  # fmt: skip
    session.tree.recorder = book.record
    book.hold()
    grow(session.tree, session.leaf, 30, seed=500)
    return session.tree, book


def test_a_session_that_was_gone_on_with_is_whole_without_its_log(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.tokx", tmp_path / "copy" / "b.tokx"
    kept(path)
    tree, book = gone_on_with(path)
    assert book.close("quit") == ""
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert same(open_session(copy).tree, tree)
    assert tree.distribution.get(4) is not None, "the reader is still there"


def test_an_export_finds_a_live_session_whole_in_its_file(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.tokx", tmp_path / "b.tokx"
    tree = TokenTree()
    book = journal_of(tree, path)
    leaf = grow(tree, prompted(tree), 5)
    book.gather()
    while not (path.exists() and _whole(path, copy, tree)):
        pass
    grow(tree, leaf, 5)
    assert book.close("quit") == ""
    assert same(open_session(path).tree, tree)


def _whole(path: Path, copy: Path, tree: TokenTree) -> bool:
    shutil.copy(path, copy)
    return not listed(copy).problem and same(open_session(copy, to_write=False).tree, tree)


def test_reading_leaves_nothing_beside_a_file_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "state" / "tokexplore" / "sessions"
    folder.mkdir(parents=True, mode=0o700)
    path = folder / "a.tokx"
    kept(path)
    before, data = path.stat().st_mtime_ns, path.read_bytes()
    assert beside(path) == ["a.tokx"]
    command = [sys.executable, "-c", READ, str(path), str(tmp_path / "a.jsonl")]
    subprocess.run(command, check=True, capture_output=True)
    assert beside(path) == ["a.tokx"]
    assert (path.stat().st_mtime_ns, path.read_bytes()) == (before, data)


def test_a_log_that_a_crash_left_is_read_and_stays(tmp_path: Path) -> None:
    live, crashed = tmp_path / "live" / "a.tokx", tmp_path / "crashed" / "a.tokx"
    live.parent.mkdir()
    kept(live)
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = 'hangup' WHERE key = 'ended'")
        shutil.copytree(live.parent, crashed.parent)
    os.utime(crashed, (1, 1))
    assert listed(crashed).ended == "hangup"
    assert crashed.stat().st_mtime == 1
    assert listed(crashed).ended == "hangup", "what the log held is still there"


def test_a_process_that_reads_what_it_writes_keeps_the_file_s_locks(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    _, book = gone_on_with(path)
    while not listed(path).live:
        pass
    open_session(path, to_write=False)
    taken = subprocess.run(
        [sys.executable, "-c", TAKE_WHOLE, str(path)], capture_output=True, text=True, check=False
    )
    assert "database is locked" in taken.stderr, taken.stdout
    assert book.close("quit") == ""
