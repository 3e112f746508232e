"""What was written leaves the memory and reads back as it was; what was not written stays."""

import io
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sessions import SETTINGS, distribution, grow, journal_of, prompted, same

from tokexplore.models.distribution import Distribution
from tokexplore.models.session import journal, paths, writer
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.letting_go import LettingGo
from tokexplore.models.session.reader import copy_of, open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.models.tree import stored
from tokexplore.models.tree.events import DistributionCompleted, Named, TokenTaken
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.cli.export_session import source_of
from tokexplore.tui.export.formats import export

KEPT = 6
"""Values of each kind that stay in memory here."""


@pytest.fixture(autouse=True)
def _few_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "RECENT", KEPT)


def until(done: Callable[[], object]) -> None:
    while not done():
        time.sleep(0.01)


def damage(path: Path, node: int) -> None:
    """Spoil the record of what was said after a node."""
    with sqlite3.connect(path) as connection:
        (seq,) = connection.execute(
            "SELECT seq FROM distribution WHERE node = ?", (node,)
        ).fetchone()
        connection.execute("UPDATE candidates SET packed = x'00' WHERE seq = ?", (seq,))


class Live:
    """A tree that is written to a file, and what was told of its steps."""

    def __init__(self, path: Path) -> None:
        self.tree, self.path, self.said = TokenTree(), path, list[str]()
        self.journal = journal_of(self.tree, path, self.said, lets_go=True)
        self.letting_go = LettingGo(self.tree, self.journal, 0)
        self.leaf = prompted(self.tree)

    def grow(self, count: int, seed: int = 0) -> None:
        self.leaf = grow(self.tree, self.leaf, count, seed)

    def write(self) -> None:
        """Wait until its last token is written, and let go what is."""
        leaf, written = self.leaf, self.journal.written
        # A list is made of it at once: the journal's thread adds to it meanwhile.
        until(lambda: any(isinstance(e, TokenTaken) and e.node == leaf for _, e in list(written)))
        self.letting_go.let_go()

    @property
    def here(self) -> tuple[int, int]:
        """Distributions and views in memory."""
        return len(self.tree.distribution.stored.here), len(self.tree.sampler.stored.here)


def told(tree: TokenTree) -> list[object]:
    """What is told of every step, candidates included."""
    nodes = range(len(tree))
    return [
        *(tree.distribution.get(node) for node in nodes),
        *tree.distribution.walk(nodes),
        *(tree.distribution.figures(node) for node in nodes),
        *(tree.sampler.get(node) for node in nodes),
    ]


def test_what_was_written_is_let_go_and_reads_back_as_it_was(tmp_path: Path) -> None:
    live = Live(tmp_path / "a.tokx")
    live.grow(40)
    before = told(live.tree)
    assert live.here == (40, 40)
    live.write()
    assert live.here == (KEPT, KEPT)
    assert told(live.tree) == before
    assert live.here == (KEPT, KEPT), "what was read back is kept by those who read it alone"
    assert not live.tree.distribution.damaged
    assert live.journal.close("quit") == ""
    assert told(live.tree) == before, "the file is read again after its writer has left it"
    assert same(open_session(live.path).tree, live.tree)


def test_the_memory_of_a_step_that_nobody_looks_at_is_a_few_numbers(tmp_path: Path) -> None:
    live = Live(tmp_path / "a.tokx")
    sizes = []
    for _ in range(2):
        live.grow(400, seed=len(live.tree))
        live.write()
        sizes.append(held_bytes(live.tree))
    assert (sizes[1] - sizes[0]) / 400 < 250
    live.journal.close("quit")


def held_bytes(tree: TokenTree) -> int:
    """Bytes of all that a tree refers to, whatever type it has; shared objects once."""
    seen, ahead, total = {id(tree.recorder)}, [tree.__dict__], 0
    while ahead:
        value = ahead.pop()
        if id(value) in seen or isinstance(value, type) or callable(value):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        if isinstance(value, dict):
            ahead += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset) or hasattr(value, "popleft"):
            ahead += value
        elif hasattr(value, "__struct_fields__"):
            ahead += [getattr(value, name) for name in value.__struct_fields__]
        elif hasattr(value, "__dict__"):
            ahead.append(value.__dict__)
    return total


def test_a_full_disk_keeps_everything_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RETRY", 0.05)
    full, written = threading.Event(), writer.Writer._write

    def write(self: writer.Writer) -> None:
        written(self)
        if full.is_set():
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(writer.Writer, "_write", write)
    live = Live(tmp_path / "a.tokx")
    live.grow(10)
    live.write()
    full.set()
    live.grow(30, seed=50)
    until(lambda: live.said)
    live.letting_go.let_go()
    assert live.here == (30 + KEPT, 30 + KEPT), "none of those that could not be written"
    before = told(live.tree)
    full.clear()
    until(lambda: len(live.said) == 2)
    live.letting_go.let_go()
    assert live.here == (KEPT, KEPT)
    assert told(live.tree) == before
    live.journal.close("quit")


def test_without_a_file_everything_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY", 0.05)
    (tmp_path / "file").write_text("no folder")
    said = list[str]()
    tree = TokenTree()
    book = Journal(
        lambda: paths.create_named(tmp_path / "file" / "in", "fake", 0.0),
        lambda text, _: said.append(text),
        lets_go=True,
    )
    tree.recorder = book.record
    grow(tree, prompted(tree), 20)
    until(lambda: said)
    LettingGo(tree, book, 0).let_go()
    assert len(tree.distribution.stored.here) == len(tree.sampler.stored.here) == 20
    book.close("quit")


def test_on_a_network_file_system_everything_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "network_type", lambda _: "nfs4")
    live = Live(tmp_path / "a.tokx")
    live.grow(20)
    until(lambda: live.journal._writer and not live.journal._waiting)
    assert live.journal.close("quit") == ""
    live.letting_go.let_go()
    assert live.here == (20, 20), "a read would have to wait for the writer"


def test_a_file_that_vanished_is_read_on(tmp_path: Path) -> None:
    live = Live(tmp_path / "in" / "a.tokx")
    live.path.parent.mkdir()
    live.grow(20)
    live.write()
    before = told(live.tree)
    shutil.rmtree(live.path.parent)
    assert told(live.tree) == before
    live.grow(20, seed=100)
    until(lambda: any("was removed" in text for text in live.said))
    live.grow(20, seed=200)
    live.write()
    assert live.here == (KEPT, KEPT)
    assert told(live.tree)[: len(before) // 4][:20] == before[:20]
    again = live.journal.path
    assert live.journal.close("quit") == ""
    assert again != live.path
    assert told(open_session(again).tree) == told(live.tree)
    assert not live.tree.distribution.damaged


def test_a_distribution_that_took_another_s_place_is_the_one_that_is_read(tmp_path: Path) -> None:
    live = Live(tmp_path / "a.tokx")
    whole = distribution(3)
    listed = Distribution(whole.ids[:80], whole.logits[:80], 300, whole.lse, None, "server")
    node = live.leaf
    live.tree.record_distribution(node, listed)
    live.grow(20, seed=40)
    live.write()
    assert node not in live.tree.distribution.stored.here
    live.tree.append(DistributionCompleted(node, whole))
    assert (live.tree.distribution.get(node), live.tree.listed[node]) == (whole, listed)
    live.grow(20, seed=80)
    live.write()
    assert node not in live.tree.distribution.stored.here
    assert (live.tree.distribution.get(node), live.tree.listed[node]) == (whole, listed)
    live.journal.close("quit")
    assert open_session(live.path).tree.distribution.get(node) == whole


def test_a_record_that_is_damaged_is_named_and_told_anew(tmp_path: Path) -> None:
    live = Live(tmp_path / "a.tokx")
    live.grow(20)
    node = 8
    canonical = live.tree.distribution.get(node)
    live.write()
    damage(live.path, node)
    assert live.tree.distribution.get(node) is None
    assert live.tree.distribution.damaged == {node}
    live.tree.record_distribution(node, canonical)
    live.grow(20, seed=50)
    live.write()
    assert node not in live.tree.distribution.stored.here
    assert live.tree.distribution.get(node) == canonical
    assert not live.tree.distribution.damaged
    live.journal.close("quit")


@pytest.mark.parametrize("copied", [False, True])
def test_a_session_that_is_gone_on_with_reads_old_and_new(tmp_path: Path, copied: bool) -> None:
    first = Live(tmp_path / "a.tokx")
    first.grow(20)
    before, again = told(first.tree), first.tree.distribution.get(8)
    first.write()
    damage(first.path, 8)
    assert first.tree.distribution.get(8) is None
    first.tree.record_distribution(8, again)
    first.journal.close("quit")
    session = open_session(first.path)
    tree, path = session.tree, copy_of(session, tmp_path / "other") if copied else first.path
    book = Journal(lambda: path, lambda *_: None, first=session.next_event, model=0, lets_go=True)
    tree.recorder = book.record
    letting_go = LettingGo(tree, book, session.next_event)
    grow(tree, first.leaf, 20, seed=70)
    grown = told(tree)
    until(lambda: len(book.written) >= 40)
    letting_go.let_go()
    assert len(tree.distribution.stored.here) == KEPT
    assert told(tree) == grown
    assert told(tree)[:20] == before[:20]
    book.close("quit")
    assert told(open_session(path).tree) == grown


def test_undo_exports_and_replay_go_over_steps_that_were_let_go(tmp_path: Path) -> None:
    live = Live(tmp_path / "a.tokx")
    fork = live.leaf
    live.grow(20)
    live.tree.history.change(Named(1, "one"))
    live.leaf = fork
    live.grow(20, seed=90)
    live.write()
    live.tree.history.undo()
    live.tree.configure(SETTINGS)
    live.journal.close("quit")
    session = open_session(live.path)
    assert same(session.tree, live.tree)
    for format, count in (("jsonl", 20), ("csv", 0), ("markdown", 0), ("html", 5)):
        texts = []
        for tree in (session.tree, live.tree):
            out = io.BytesIO()
            export(source_of(session._replace(tree=tree)), format, "all", count, out)
            texts.append(out.getvalue())
        assert texts[0] == texts[1], format
    assert live.here == (KEPT, KEPT)
    again, timeline = TokenTree(), open_timeline(live.path)
    for index in range(len(timeline)):
        again.replay(*timeline.moment(index, again.settings))
    assert told(again) == told(live.tree)
