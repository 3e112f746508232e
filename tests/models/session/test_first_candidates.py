"""A session whose distributions have their first candidates only: kept, opened, refused by others.

The file says by its format that not every program can read it; any other file stays as it was.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.first_candidates import first_of
from support.sessions import distribution, grow, journal_of, kept, prompted, same

from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.session import rows, schema
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.reader import Session, connect, open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.models.tree.events import (
    DistributionCompleted,
    DistributionComputed,
    DistributionRecomputed,
)
from tokexplore.models.tree.tree import TokenTree

HERE = 9
"""A node after which only the first candidates are known."""


def growing(path: Path) -> tuple[Journal, TokenTree]:
    """A tree whose path ends in distributions of first candidates, and its file."""
    tree = TokenTree()
    book = journal_of(tree, path)
    leaf = grow(tree, prompted(tree), 4)
    for seed in range(50, 54):
        told = first_of(distribution(seed))
        tree.record_distribution(leaf, told)
        leaf = tree.take(leaf, told.id_view[0], "greedy", logprob=told.logprob(0), rank=1)
    tree.append(DistributionRecomputed(5, first_of(distribution(99), 1)))
    return book, tree


@pytest.fixture
def left(tmp_path: Path) -> tuple[Path, TokenTree]:
    """Such a tree, in a file that is closed."""
    path = tmp_path / "a.tokx"
    book, tree = growing(path)
    assert book.close("quit") == ""
    return path, tree


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return schema.version_of(connection)


def told_by(session: Session) -> list[Distribution | None]:
    return [session.tree.distribution.get(node) for node in range(len(session.tree))]


def test_what_is_read_is_what_was_said(left: tuple[Path, TokenTree]) -> None:
    path, tree = left
    session = open_session(path)
    assert session.damage == ""
    assert not session.migrated
    assert same(session.tree, tree)
    found = told_by(session)
    assert found == [tree.distribution.get(node) for node in range(len(tree))]
    known = [told.complete for told in found if told is not None]
    assert known == [*[True] * 4, *[False] * 4]
    assert session.tree.distribution.incomplete
    assert session.tree.distribution.is_complete(HERE - 2)
    assert not session.tree.distribution.is_complete(HERE)
    assert HERE in session.tree.distribution
    figures = session.tree.distribution.figures(HERE)
    assert figures is not None
    assert figures.entropy is None
    assert figures.margin == tree.distribution[HERE].margin
    assert session.tree.recomputed == tree.recomputed
    assert not session.tree.recomputed[5].margin_known


def test_what_was_completed_is_whole_and_what_was_listed_stays(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.tokx", distribution(53)
    book, tree = growing(path)
    listed = tree.distribution[HERE]
    tree.append(DistributionCompleted(HERE, whole))
    assert book.close("quit") == ""
    session = open_session(path)
    assert session.damage == ""
    for told in (tree, session.tree):
        assert told.distribution[HERE] == whole
        assert told.distribution.is_complete(HERE)
        assert told.listed == {HERE: listed}
        assert HERE not in told.recomputed
        with pytest.raises(ValueError, match=f"node {HERE}"):
            told.append(DistributionCompleted(HERE, whole))


def test_it_is_lived_again(left: tuple[Path, TokenTree]) -> None:
    path, tree = left
    timeline = open_timeline(path)
    moments = [timeline.moment(index, tree.settings) for index in range(len(timeline))]
    told = [m.event for m in moments if isinstance(m.event, DistributionComputed)]
    assert [event.distribution for event in told] == [
        tree.distribution.get(event.node) for event in told
    ]


def test_the_file_is_refused_by_a_program_that_knows_of_none(
    left: tuple[Path, TokenTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version(left[0]) == schema.INCOMPLETE == 5
    monkeypatch.setattr(schema, "VERSION", 4)
    with pytest.raises(UsageError, match=r"newer tokexplore .format 5; this one reads up to 4"):
        open_session(left[0])


def test_a_file_of_complete_distributions_stays_of_its_format(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    assert version(path) == schema.WRITTEN == 4
    assert not open_session(path).tree.distribution.incomplete
    assert not tree.distribution.incomplete


def test_it_becomes_one_with_the_first_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    session = open_session(path)
    book = Journal(lambda: path, print, created=session.created, first=session.next_event, model=0)
    session.tree.recorder = book.record
    book.hold()
    session.tree.record_distribution(session.leaf, first_of(distribution(7)))
    assert book.close("quit") == ""
    assert version(path) == schema.INCOMPLETE
    again = open_session(path)
    assert not again.migrated
    assert again.tree.distribution.get(session.leaf) == first_of(distribution(7))


def test_an_impossible_entropy_is_damage_where_no_such_distribution_can_be(
    left: tuple[Path, TokenTree], tmp_path: Path
) -> None:
    older = tmp_path / "older.tokx"
    kept(older)
    for path, value in ((older, rows.NO_ENTROPY), (left[0], -2.0)):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE distribution SET entropy = {value} WHERE node = {HERE}")
        session = open_session(path)
        assert "it lacks what the model said at 1 step" in session.damage
        assert session.tree.distribution.get(HERE) is None


def test_the_columns_are_those_of_any_file(left: tuple[Path, TokenTree], tmp_path: Path) -> None:
    kept(tmp_path / "b.tokx")
    schemas = []
    for path in (left[0], tmp_path / "b.tokx"):
        connection = connect(path)
        schemas.append(connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]
