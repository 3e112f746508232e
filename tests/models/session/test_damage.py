"""What a file has lost is told: no page of it can be overwritten without a word."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from support.sessions import grow, journal_of, kept, prompted, same

from tokexplore.models.errors import UsageError
from tokexplore.models.events import Ended
from tokexplore.models.session.reading import open_session
from tokexplore.models.session.schema import PAGE_SIZE
from tokexplore.models.tree import TokenTree
from tokexplore.tui import cli
from tokexplore.tui.commands.opening import keep_on

LOST = {
    "a distribution": ("DELETE FROM distribution WHERE node = 8", "lacks 1 of the "),
    "the end": ("DELETE FROM event WHERE kind = 'ended'", "lacks 1 of the "),
    "a score": ("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", "lacks 1 of the "),
    "the candidates of some steps": ("DELETE FROM candidates WHERE seq < 40", "candidates of 1"),
}


def ended(path: Path, count: int = 20) -> TokenTree:
    """A session whose last event says how its stream ended."""
    tree = TokenTree()
    book = journal_of(tree, path)
    tree.append(Ended(grow(tree, prompted(tree), count), "length"))
    assert book.close("quit") == ""
    return tree


@pytest.mark.parametrize(("edit", "said"), LOST.values(), ids=LOST.keys())
def test_rows_that_are_lost_are_told_and_the_rest_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str, said: str
) -> None:
    path = tmp_path / "a.tokx"
    tree = ended(path)
    assert open_session(path, to_write=False).damage == ""
    with sqlite3.connect(path) as connection:
        connection.execute(edit)
    session = open_session(path, to_write=False)
    assert said in session.damage
    assert session.damage.startswith(f"{path} is damaged")
    assert len(session.tree) == len(tree)
    assert cli.main(["export", str(path), "-o", str(tmp_path / "a.jsonl")]) == 0
    assert said in capsys.readouterr().err
    if "candidates" not in edit:  # of those the screen asks the model again
        assert said in keep_on(str(path))[1]


def test_a_file_of_an_older_program_lacks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'rows'")
    assert open_session(path).damage == ""
    for value in ("x", "-3", "9" * 40, "1"):
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('rows', ?)", (value,))
        assert open_session(path).damage == "", value


def test_no_page_can_be_another_one_without_a_word(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.tokx", tmp_path / "b.tokx"
    tree = ended(path, 400)
    data, quiet = path.read_bytes(), []
    pages = len(data) // PAGE_SIZE
    for page in range(1, pages):
        for other in (page - 1, page + 1):
            if not 0 < other < pages:
                continue
            overwritten = bytearray(data)
            overwritten[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = data[
                other * PAGE_SIZE : (other + 1) * PAGE_SIZE
            ]
            copy.write_bytes(overwritten)
            try:
                session = open_session(copy, to_write=False)
            except UsageError:
                continue
            if not session.damage and not same(session.tree, tree):
                quiet.append((page, other))
    assert pages > 20
    assert quiet == []
    shutil.copy(path, copy)
    assert same(open_session(copy).tree, tree)
