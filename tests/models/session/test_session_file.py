"""What happens is in the file, and comes back as it was."""

import os
import shutil
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.patience import LATE
from support.sessions import (
    SETTINGS,
    VOCABULARY,
    distribution,
    grow,
    journal_of,
    kept,
    prompted,
    same,
)

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.errors import UsageError
from tokexplore.models.session import journal, meta, paths, schema, writer
from tokexplore.models.session.meta import Holder
from tokexplore.models.session.reader import connect, copy_of, listed, open_session
from tokexplore.models.tree.distribution_store import Views
from tokexplore.models.tree.events import (
    Bookmarked,
    DistributionRecomputed,
    Ended,
    Hidden,
    Labelled,
    Named,
    Noted,
    Opened,
    Origin,
    Prompted,
    Scored,
    Studied,
    Unhidden,
    Viewed,
)
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.study import Checked, Fork, Reading, StudiedRun, Study, Verdict
from tokexplore.models.tree.tree import TokenTree

VERDICT = Verdict("sampler", 0.25)


def test_a_tree_comes_back_whole_with_its_candidates(tmp_path: Path) -> None:
    tree = kept(tmp_path / "a.tokx")
    session = open_session(tmp_path / "a.tokx")
    assert same(session.tree, tree)
    assert session.vocabulary == VOCABULARY
    for node in range(len(tree)):
        assert session.tree.distribution.get(node) == tree.distribution.get(node)
    assert session.tree.distribution.get(5) is session.tree.distribution.get(5)


def test_a_session_is_never_seen_without_the_one_who_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live: list[bool] = []
    hold = meta.hold

    def seen(connection: sqlite3.Connection, path: Path) -> None:
        live.append(listed(path).live)
        hold(connection, path)

    monkeypatch.setattr(meta, "hold", seen)
    kept(tmp_path / "a.tokx")
    assert live == [True], "as soon as there are tables"


def test_every_kind_of_event_comes_back_and_undo_goes_on(tmp_path: Path) -> None:
    tree = TokenTree()
    book = journal_of(tree, tmp_path / "a.tokx")
    leaf = prompted(tree)
    chat = Chat((Message("user", "why?"),), "well", {"deep": [1, None]})
    tree.append(Prompted(leaf, "chat", chat))
    tip = grow(tree, leaf, 3)
    other = tree.take(leaf, 9, "picked", logprob=float("-inf"), rank=300)
    tree.history.change(Opened(tree.branch_of[other]))
    tree.append(Scored(tree.path(leaf)[1], -3.5, 12))
    tree.append(DistributionRecomputed(leaf, distribution(77)))
    tree.append(Ended(tip, "length"))
    tree.append(Viewed(tip, 5))
    reading = Reading((0,), (10.0, None), (7,))
    fork = Fork(2, (7,), ((7, (0,)), (8, (1,))), (7, 8), (reading,), 0.5, 1.0, None, VERDICT)
    told = (
        StudiedRun(0, "alone", 0, (7, 7), "length", 0.25),
        StudiedRun(1, "batch 2", 0, (7, 8), "eos", 0.5),
    )
    checked = (Checked(0, True, False),)
    tree.append(
        Studied(leaf, Study("greedy", "bfloat16", 2, 2, ("batch",), told, checked, (fork,)))
    )
    tree.history.change(Labelled(tip, "the end"))
    for change in (Named(1, "main\u202e"), Bookmarked(tip, True), Noted(tip, "odd"), Hidden(2)):
        tree.history.change(change)
    tree.history.undo()
    tree.history.undo()
    tree.history.change(Unhidden(2))
    tree.history.undo()
    explore(tree, tip, [4, 5], "typed", extends=True)
    tree.history.change(Noted(tip, "even"))
    for _ in range(2):
        tree.history.undo()
    assert tree.withdrawn
    book.close("quit")
    session = open_session(tmp_path / "a.tokx")
    assert same(session.tree, tree)
    assert (session.leaf, session.cursor) == (tip, 5)
    for _ in range(6):
        assert session.tree.history.redo() == tree.history.redo()
        assert session.tree.history.undo() == tree.history.undo()
        assert session.tree.history.undo() == tree.history.undo()
    assert same(session.tree, tree)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), min_size=1, max_size=8))
def test_random_trees_come_back(
    tmp_path_factory: pytest.TempPathFactory, growth: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("random") / "a.tokx"
    tree = TokenTree()
    book = journal_of(tree, path)
    prompted(tree)
    for seed, (at, count) in enumerate(growth):
        grow(tree, 1 + at % (len(tree) - 1), count, seed)
    book.close("quit")
    assert same(open_session(path).tree, tree)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("go on", "go on", "go on", "go back", "again", "score", "view", "hide", "act", "undo")
        ),
        st.integers(0, 30),
        st.sampled_from(("prompt", "greedy", "sampled", "picked", "typed")),
    ),
    min_size=20,
    max_size=40,
)


@settings(max_examples=60)
@given(STEPS)
def test_chains_of_tokens_come_back_as_they_were_lived(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, Origin]]
) -> None:
    path = tmp_path_factory.mktemp("lived") / "a.tokx"
    tree = TokenTree()
    book = journal_of(tree, path)
    leaf = prompted(tree)
    tree.configure(SETTINGS)
    for what, number, origin in steps:
        if what == "go on":
            known = {"logprob": -0.1 * number, "rank": number} if number % 3 else {}
            leaf = tree.take(leaf, number % 4, origin, draw=number % 2, **known)
        elif what == "go back":
            leaf = max(1, len(tree) - 1 - number)
        elif what == "again":
            for node in tree.path(leaf):  # a prompt that is given again, or a path lived again
                tree.take(tree.parent[node], tree.token[node], origin)
        elif what == "act":
            leaf = explore(tree, leaf, [number % 4, number % 3], origin, extends=True)
        elif what == "undo":
            tree.history.undo()
        elif what == "score":
            tree.append(Scored(leaf, -1.25, 4))
        elif what == "view":
            tree.append(Viewed(leaf, -1))
        else:
            tree.history.change(Hidden(1 + number % len(tree.branches)))
    book.close("quit")
    assert same(open_session(path).tree, tree)


def test_nothing_is_written_before_the_first_token(tmp_path: Path) -> None:
    tree = TokenTree()
    book = journal_of(tree, tmp_path / "a.tokx")
    tree.configure(SETTINGS)
    assert book.close("quit") == ""
    assert not (tmp_path / "a.tokx").exists()


def test_a_session_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    session = open_session(path)
    book = journal.Journal(
        lambda: path, print, created=session.created, first=session.next_event, model=0
    )
    session.tree.recorder = book.record
    grow(session.tree, session.tree.branches[0].tip, 5, seed=50)
    book.close("quit")
    again = open_session(path)
    assert same(again.tree, session.tree)
    assert again.created == session.created


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = paths.create_named(tmp_path / "new" / "sessions", "org/Mödel x", 0.0)
        tree = TokenTree()
        book = journal_of(tree, path)
        grow(tree, prompted(tree), 3)
        while not path.with_name(f"{path.name}-wal").exists():
            time.sleep(0.01)
        modes = {p.suffix: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        book.close("quit")
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name.endswith("-org-M-del-x.tokx")
    second = paths.create_named(path.parent, "org/Mödel x", 0.0)
    assert second.stem == f"{path.stem}-2"


def test_a_file_that_another_one_writes_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    other = Holder("elsewhere", 12, 0.0)
    with sqlite3.connect(path) as connection:
        meta.put(connection, "holder", '{"host": "elsewhere", "pid": 12, "started": 0.0}')
    assert other.alive, "nothing is known of another machine"
    with pytest.raises(UsageError, match=r"open in another tokexplore .process 12"):
        open_session(path)
    assert len(open_session(path, to_write=False).tree) > 20
    said: list[str] = []
    tree = TokenTree()
    monkeypatch.setattr(journal, "RETRY", 0.05)
    before = path.read_bytes()
    book = journal_of(tree, path, said)
    grow(tree, prompted(tree), 3)
    assert "process 12 on elsewhere" in book.close("quit")
    assert path.read_bytes() == before, "nothing is overwritten"
    with sqlite3.connect(path) as connection:
        meta.put(
            connection, "holder", f'{{"host": "{os.uname().nodename}", "pid": 1, "started": 1}}'
        )
    assert len(open_session(path).tree) > 20, "its process is gone"


def test_a_newer_format_is_refused_and_an_older_one_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    version = schema.WRITTEN
    monkeypatch.setattr(schema, "WRITTEN", version + 1)
    migration = "INSERT INTO meta VALUES ('migrated', 'yes');"
    monkeypatch.setitem(schema.MIGRATIONS, version, migration)
    before = path.read_bytes()
    session = open_session(path)
    assert session.migrated
    assert session.path == tmp_path / f"a-format{version + 1}.tokx"
    assert same(session.tree, tree)
    assert path.read_bytes() == before
    assert meta.get(connect(session.path), "migrated") == "yes"
    monkeypatch.setattr(schema, "VERSION", version)
    monkeypatch.setattr(schema, "WRITTEN", version)
    with pytest.raises(UsageError, match=rf"newer tokexplore .format {version + 1}"):
        open_session(session.path)


def test_the_first_format_told_other_cuts_which_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    assert tree.sampler.nodes
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("UPDATE event SET body = '[[\"top-p\", 0.9, 9, 0.1]]' WHERE kept")
    session = open_session(path)
    assert session.migrated
    assert not session.tree.sampler.nodes
    tree.sampler = Views()
    assert same(session.tree, tree)


def test_a_disk_that_is_full_loses_nothing_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RETRY", 0.05)
    path, said, full = tmp_path / "a.tokx", [], threading.Event()
    written = writer.Writer._write

    def write(self: writer.Writer) -> None:
        written(self)
        if full.is_set():
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(writer.Writer, "_write", write)
    tree = TokenTree()
    book = journal_of(tree, path, said)
    leaf = grow(tree, prompted(tree), 3)
    full.set()
    leaf = grow(tree, leaf, 5, seed=30)
    while not said:
        time.sleep(0.01)
    assert "database or disk is full" in said[0]
    assert len(said) == 1, "it is said once"
    full.clear()
    grow(tree, leaf, 5, seed=60)
    while len(said) < 2:
        time.sleep(0.01)
    assert "nothing is missing" in said[1]
    assert book.close("quit") == ""
    assert same(open_session(path).tree, tree)


def test_a_disk_that_does_not_answer_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, commit = threading.Event(), writer.Writer.commit

    def wait(self: writer.Writer, *, sync: bool) -> bool:
        answers.wait()
        return commit(self, sync=sync)

    monkeypatch.setattr(writer.Writer, "commit", wait)
    monkeypatch.setattr(journal, "PATIENCE", 0.05)
    tree, path = TokenTree(), tmp_path / "a.tokx"
    book = journal_of(tree, path)
    grow(tree, prompted(tree), 3)
    assert book.close("quit") == "the disk did not answer in time"
    answers.set()
    assert book.close("quit", patience=LATE) == ""
    assert same(open_session(path).tree, tree)


def test_a_folder_that_cannot_be_made_is_told_and_the_tree_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RETRY", 0.05)
    (tmp_path / "file").write_text("no folder")
    said: list[str] = []
    tree = TokenTree()
    place = tmp_path / "file" / "sessions"
    book = journal.Journal(
        lambda: paths.create_named(place, "fake", 0.0), lambda text, _: said.append(text)
    )
    tree.recorder = book.record
    grow(tree, prompted(tree), 3)
    while not said:
        time.sleep(0.01)
    assert str(place) in said[0]
    assert len(tree) == 8
    assert "Not a directory" in book.close("quit")


def test_a_session_that_cannot_be_written_is_read_and_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    session = open_session(path)
    assert session.read_only
    copy = copy_of(session)
    assert copy.parent == paths.sessions_folder()
    assert same(open_session(copy).tree, tree)


def test_on_a_network_file_system_another_journal_is_used_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/x / ext4 rw 0 0\nserver:/home {str(tmp_path).replace(' ', chr(92) + '040')} "
        "nfs4 rw 0 0\nbroken\n"
    )
    monkeypatch.setattr(paths, "_MOUNTS", mounts)
    said: list[str] = []
    tree = TokenTree()
    path = tmp_path / "a.tokx"
    book = journal_of(tree, path, said)
    grow(tree, prompted(tree), 3)
    while not said:
        time.sleep(0.01)
    assert "network file system (nfs4)" in said[0]
    assert not path.with_name("a.tokx-wal").exists()
    assert book.close("quit") == ""
    assert same(open_session(path).tree, tree)
    monkeypatch.setattr(paths, "_MOUNTS", tmp_path / "none")
    assert paths.network_type(path) == ""


def test_a_list_shows_each_session_and_finds_it_by_its_name() -> None:
    folder = paths.sessions_folder()
    folder.mkdir(parents=True)
    kept(folder / "first.tokx")
    kept(folder / "fourth.tokx")
    (folder / "broken.tokx").write_bytes(b"SQLite format 3\0" + bytes(200))
    os.utime(folder / "first.tokx", (2e9, 2e9))
    assert paths.all_files()[0].stem == "first"
    known = listed(folder / "first.tokx")
    assert (known.summary.model, known.summary.nodes, known.ended) == ("fake", 44, "quit")
    assert not known.live
    assert "damaged" in listed(folder / "broken.tokx").problem
    assert paths.find("fir") == folder / "first.tokx"
    assert paths.find("first") == paths.find(str(folder / "first.tokx"))
    with pytest.raises(UsageError, match="begins the names of 2 sessions"):
        paths.find("f")
    with pytest.raises(UsageError, match="no session 'x'"):
        paths.find("x")


def test_a_file_that_is_removed_is_written_again(tmp_path: Path) -> None:
    said: list[str] = []
    tree, path = TokenTree(), tmp_path / "in" / "a.tokx"
    path.parent.mkdir()
    book = journal_of(tree, path, said)
    leaf = grow(tree, prompted(tree), 5)
    while book.read_back is None:  # the file is open
        time.sleep(0.02)
    shutil.rmtree(path.parent)
    leaf = grow(tree, leaf, 5, seed=30)
    while not any("was removed" in text for text in said):  # the folder may be half gone at first
        time.sleep(0.02)
    grow(tree, leaf, 5, seed=60)
    assert book.close("quit") == ""
    assert book.path == path.with_name("a-again1.tokx")
    assert same(open_session(book.path).tree, tree)
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600
    assert listed(book.path).ended == "quit"


def test_a_file_that_is_removed_before_it_is_open_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RETRY", 0.01)
    said: list[str] = []
    tree, placed = TokenTree(), []

    def place() -> Path:
        placed.append(paths.create_named(tmp_path / "in", "m", 0.0))
        if len(placed) == 1:
            shutil.rmtree(tmp_path / "in")
        return placed[-1]

    book = journal.Journal(place, lambda text, _bad: said.append(text))
    tree.recorder = book.record
    book.vocabulary(VOCABULARY)
    grow(tree, prompted(tree), 5)
    while book.read_back is None:
        time.sleep(0.01)
    assert book.close("quit") == ""
    assert said[-1].startswith("The session can be written again")
    assert same(open_session(placed[1]).tree, tree)


def test_a_walk_over_many_nodes_gives_what_each_has_damaged_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path, 300)
    with sqlite3.connect(path) as connection:
        (seq,) = connection.execute("SELECT seq FROM distribution WHERE node = 30").fetchone()
        connection.execute("UPDATE candidates SET packed = x'00' WHERE seq = ?", (seq,))
    session = open_session(path)
    new = distribution(5000)
    tip = session.tree.branches[0].tip
    session.tree.record_distribution(tip, new)
    nodes = [*range(len(tree)), 7, tip, 7]
    wanted = [None if node == 30 else tree.distribution.get(node) for node in nodes]
    wanted[nodes.index(tip)] = wanted[-2] = new
    assert list(session.tree.distribution.walk(nodes)) == wanted
