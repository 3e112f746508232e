"""What a file has lost is told: no page of it can be overwritten without a word."""

import json
import math
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.sessions import distribution, grow, journal_of, kept, prompted, same

from tokexplore.models.errors import UsageError
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.schema import PAGE_SIZE
from tokexplore.models.tree.events import DistributionRecomputed, Ended
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.cli import dispatch
from tokexplore.tui.explore.open_session import continue_session

LOST = {
    "a distribution": ("DELETE FROM distribution WHERE node = 8", "lacks 1 of the "),
    "the end": ("DELETE FROM event WHERE kind = 'ended'", "lacks 1 of the "),
    "a score": ("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", "lacks 1 of the "),
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
    assert dispatch.main(["export", str(path), "-o", str(tmp_path / "a.jsonl")]) == 0
    assert said in capsys.readouterr().err
    assert said in continue_session(str(path)).notice


IMPOSSIBLE = (
    "entropy = -5", "entropy = 9e999", "entropy = -9e999", "lse = 9e999", "lse = -9e999",
    "margin = -1", "top_logprob = 3", "top_logprob = -9e999",
)  # fmt: skip


@pytest.mark.parametrize("edit", IMPOSSIBLE)
def test_figures_that_cannot_be_true_are_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    path = tmp_path / "a.tokx"
    tree = ended(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE distribution SET {edit} WHERE node IN (8, 9)")
    session = open_session(path)
    assert session.damage == f"{path} is damaged: it lacks what the model said at 2 steps."
    told = session.tree.distribution
    assert told.damaged == {8, 9}
    assert told.figures(8) is told.get(8) is None
    assert told.get(10) == tree.distribution.get(10)
    assert exported(path, capsys) == (
        {9: (None, []), 10: (None, [])}, f"tokexplore: {session.damage}\n"
    )  # fmt: skip


UNREADABLE = {
    "no data": "UPDATE candidates SET packed = x'00ff00' WHERE seq IN {seqs}",
    "none": "DELETE FROM candidates WHERE seq IN {seqs}",
    "of another step": "UPDATE candidates SET packed = (SELECT packed FROM candidates "
    "WHERE seq = (SELECT seq FROM distribution WHERE node = 12)) WHERE seq IN {seqs}",
    "of another sum": "UPDATE distribution SET lse = lse - 0.01 WHERE seq IN {seqs}",
}


@pytest.mark.parametrize("edit", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_candidates_that_cannot_be_read_are_left_blank_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    path = tmp_path / "a.tokx"
    ended(path)
    seqs = "(SELECT seq FROM distribution WHERE node IN (8, 9))"
    with sqlite3.connect(path) as connection:
        connection.execute(edit.format(seqs=seqs))
    said = "the candidates of 2 steps cannot be read and are left blank.\n"
    assert exported(path, capsys) == (
        {9: (None, []), 10: (None, [])}, f"tokexplore: {path} is damaged: {said}"
    )  # fmt: skip


def exported(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[int, tuple[object, object]], str]:
    """The steps that an export leaves blank, by node, and what it said beside it."""
    made = path.with_suffix(".jsonl")
    assert dispatch.main(["export", str(path), "--scope", "all", "-o", str(made)]) == 0
    steps = [line for line in map(json.loads, made.open()) if line["type"] == "step"]
    return {
        line["node"]: (line["entropy"], line["candidates"])
        for line in steps
        if line["entropy"] is None and line["node"] > 5
    }, capsys.readouterr().err


def test_a_logprob_above_0_is_told_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = ended(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event SET logprob = 710, sampler_logprob = 3 WHERE node = 8")
        connection.execute("UPDATE event SET sampler_logprob = 9e999 WHERE node = 9")
    session = open_session(path)
    assert "it lacks the token's logprob at 2 steps" in session.damage
    known = session.tree
    assert math.isnan(known.logprob[8])
    assert math.isnan(known.sampler_logprob[8])
    assert math.isnan(known.sampler_logprob[9])
    assert (known.logprob[9], known.rank[9]) == (tree.logprob[9], tree.rank[9])


@pytest.mark.parametrize("edit", ["distribution SET entropy = -1", "candidates SET packed = x''"])
def test_what_is_computed_again_takes_the_place_of_what_is_damaged(
    tmp_path: Path, edit: str
) -> None:
    path = tmp_path / "a.tokx"
    tree = ended(path)
    with sqlite3.connect(path) as connection:
        (seq,) = connection.execute("SELECT seq FROM distribution WHERE node = 8").fetchone()
        connection.execute(f"UPDATE {edit} WHERE seq = {seq}")
    session = open_session(path)
    book = Journal(lambda: path, print, created=session.created, first=session.next_event, model=0)
    session.tree.recorder = book.record
    assert session.tree.distribution.get(8) is None
    again = tree.distribution.get(8)
    assert again is not None
    session.tree.record_distribution(8, again)
    assert session.tree.distribution.get(8) == again
    book.hold()
    assert book.close("quit") == ""
    found = open_session(path).tree.distribution
    assert found.get(8) == again
    assert 8 not in found.damaged
    assert found.get(9) == tree.distribution.get(9)


def test_a_damaged_distribution_that_was_computed_again_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = TokenTree()
    book = journal_of(tree, path)
    grow(tree, prompted(tree), 5)
    tree.append(DistributionRecomputed(6, distribution(1)))
    tree.append(DistributionRecomputed(7, distribution(2)))
    assert book.close("quit") == ""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE distribution SET lse = 9e999 WHERE again AND node = 6")
    session = open_session(path)
    assert "what the model said at 1 step." in session.damage
    assert session.tree.recomputed == {7: distribution(2)}
    assert session.tree.distribution.get(6) == tree.distribution.get(6)


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
