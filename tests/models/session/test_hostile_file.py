"""A file that is damaged, or made to do harm, is refused in a sentence or read as it is."""

import random
import socket
import sqlite3
from pathlib import Path

import pytest
from support.sessions import kept

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.meta import LATEST
from tokexplore.models.session.reader import listed, open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.models.tree.events import Noted
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.sessions_table import session_table
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.replay import Replay

EDITS = {
    "a token that is a text": "UPDATE event SET token = 'x' WHERE node = 5",
    "a token below zero": "UPDATE event SET token = -1 WHERE node = 5",
    "a token beyond 32 bits": "UPDATE event SET token = 99999999999 WHERE node = 5",
    "a node that is its own parent": "UPDATE event SET parent = 5 WHERE node = 5",
    "a parent that comes later": "UPDATE event SET parent = 9 WHERE node = 5",
    "a node that is left out": "DELETE FROM event WHERE node = 5",
    "a huge node": "UPDATE event SET node = 4000000000 WHERE node = 5",
    "a score of a node that comes later": (
        "INSERT INTO event (seq, at, kind, node, logprob, rank) "
        "SELECT seq, 0, 'scored', 20, -1, 1 FROM distribution WHERE node = 10"
    ),
    "an unknown kind": "UPDATE event SET kind = 'boom' WHERE node = 5",
    "an unknown origin": "UPDATE event SET origin = 'god' WHERE node = 5",
    "no origin": "UPDATE event SET origin = NULL WHERE node = 5",
    "an unknown act": "UPDATE event SET act = 'x' WHERE node = 5",
    "an undo of nothing": "UPDATE event SET act = 'undo' WHERE node = 5",
    "settings that are not there": "UPDATE event SET settings = 9 WHERE node = 6",
    "settings that are no JSON": "UPDATE event SET body = '{' WHERE kind = 'configured'",
    "settings out of range": (
        "UPDATE event SET body = '{\"temperature\": -4}' WHERE kind = 'configured'"
    ),
    "a logprob that is a text": "UPDATE event SET logprob = 'low' WHERE node = 6",
    "a text that is no UTF-8": "UPDATE event SET kind = CAST(x'ff' AS TEXT) WHERE node = 5",
    "a blob for a number": "UPDATE event SET rank = x'00' WHERE node = 6",
    "no vocabulary": "DELETE FROM vocabulary",
    "a vocabulary of another size": "UPDATE vocabulary SET ends = x'789c03000000000001'",
    "a vocabulary that is no data": "UPDATE vocabulary SET bytes = x'00'",
    "special tokens that are texts": "UPDATE vocabulary SET special = '[\"x\"]'",
    "distributions of nodes that are not there": "UPDATE distribution SET node = node + 500",
    "an entropy that is a text": "UPDATE distribution SET entropy = 'much'",
    "no table of events": "DROP TABLE event",
    "another table in its place": "DROP TABLE event; CREATE TABLE event (x)",
    "a deep settings body": (
        "UPDATE event SET body = '" + "[" * 5000 + "' WHERE kind = 'configured'"
    ),
    "a deep chat": (
        "INSERT INTO event (seq, at, kind, node, body) SELECT 900, 0, 'prompted', 3, "
        '\'{"form": "chat", "chat": {"messages": [], "template_args": {"a": '
        + "[" * 5000
        + "]" * 5000
        + "}}}'"
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_what_cannot_be_meant_is_refused_in_a_sentence(tmp_path: Path, edit: str) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(edit)
    before = path.read_bytes()
    with pytest.raises(UsageError) as told:
        open_session(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)
    assert path.read_bytes() == before
    listed(path)


@pytest.mark.parametrize(
    "edit", ["body = '[1]'", "body = '{'", "kept = -3", "log_norm = NULL", "log_norm = 'x'"]
)
def test_a_damaged_view_of_the_sampler_is_missing_and_the_rest_is_there(
    tmp_path: Path, edit: str
) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    node = max(tree.sampler.nodes)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE event SET {edit} WHERE node = ? AND kept", (node,))
    try:
        session = open_session(path)
    except UsageError:
        assert edit in ("kept = -3", "log_norm = 'x'")
        return
    assert session.tree.sampler.get(node) is None
    other = min(tree.sampler.nodes)
    assert session.tree.sampler.get(other) == tree.sampler.get(other)


CANDIDATES = {
    "no data": "x'00'",
    "cut off": "substr(packed, 1, 20)",
    "a text": "'candidates'",
    "empty": "x''",
}


@pytest.mark.parametrize("value", CANDIDATES.values(), ids=CANDIDATES.keys())
def test_damaged_candidates_are_missing_and_the_rest_is_there(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.tokx"
    tree = kept(path)
    with sqlite3.connect(path) as connection:
        connection.execute(
            f"UPDATE candidates SET packed = {value} WHERE seq = "
            "(SELECT seq FROM distribution WHERE node = 8)"
        )
    session = open_session(path)
    assert session.tree.distribution.get(8) is None
    assert session.tree.distribution.figures(8) == tree.distribution.figures(8)
    assert session.tree.distribution.get(9) == tree.distribution.get(9)


@pytest.mark.parametrize("lse", [-800.0, float("inf")])
def test_candidates_that_are_no_distribution_are_missing(tmp_path: Path, lse: float) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE distribution SET lse = ? WHERE node = 8", (lse,))
    assert open_session(path).tree.distribution.get(8) is None


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_and_cut_files_are_refused_or_read(tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole.tokx"
    kept(whole, count=40)
    data, chance = whole.read_bytes(), random.Random(seed)
    path = tmp_path / "a.tokx"
    for _ in range(25):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 3, 30])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        listed(path)
        try:
            session = open_session(path)
        except UsageError:
            continue
        for node in range(len(session.tree)):
            session.tree.distribution.get(node)
            session.vocabulary.show(session.tree.token[node])


@pytest.mark.parametrize("data", [b"", b"hello", b"SQLite format 3\0", bytes(40_000)])
def test_what_is_no_session_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tokx"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"is empty|no session"):
        open_session(path)
    with pytest.raises(UsageError, match="cannot be opened"):
        open_session(tmp_path)
    with pytest.raises(UsageError, match="cannot be opened"):
        open_session(tmp_path / "none.tokx")


def test_another_program_s_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="no session of tokexplore"):
        open_session(path)
    assert path.read_bytes() == before


TIMES = ("nan", "inf", "-inf", "1e300", "-1e300", "1e18", "-5", "x", "9" * 400, "9" * 5000, "1e15")
HERE = socket.gethostname()


def edited(path: Path, statement: str, *values: object) -> Path:
    kept(path)
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    return path


def gone_on_with(path: Path) -> None:
    """Open a session, keep one more event in it, and find that event again."""
    session = open_session(path)
    said: list[str] = []
    journal = Journal(
        lambda: path, lambda text, _bad: said.append(text), created=session.created,
        first=session.next_event, model=0,
    )  # fmt: skip
    journal.hold()
    journal.record(Noted(session.leaf, "one more"))
    assert journal.close("quit") == ""
    assert said == []
    assert open_session(path).tree.notes[session.leaf] == "one more"
    timeline = open_timeline(path)
    assert len(timeline.times()) == len(timeline)


@pytest.mark.parametrize("told", TIMES)
def test_a_session_made_at_no_time_is_listed_replayed_and_gone_on_with(
    tmp_path: Path, told: str
) -> None:
    path = edited(tmp_path / "a.tokx", "UPDATE meta SET value = ? WHERE key = 'created'", told)
    assert 0 <= listed(path).created <= LATEST
    gone_on_with(path)


@pytest.mark.parametrize("told", ["NaN", "1e400", "1e300", "-1e300", "1e15", '"x"', "9" * 400])
def test_a_session_written_at_no_time_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    text = f'{{"model": "fake", "nodes": 3, "words": "w", "updated": {told}}}'
    path = tmp_path / "state" / "tokexplore" / "sessions" / "a.tokx"
    path.parent.mkdir(parents=True)
    edited(path, "UPDATE meta SET value = ? WHERE key = 'summary'", text)
    assert session_table(0).count("\n") == 2
    gone_on_with(path)
    assert dispatch.main(["sessions", "--older-than", "0", "--yes"]) == 0
    assert "Removed: 1 session" in capsys.readouterr().out


@pytest.mark.parametrize("pid", ["-1", "0", "-9999999999", "9" * 30, "1.5", '"x"', "4294967297"])
def test_a_holder_that_is_no_process_holds_nothing(tmp_path: Path, pid: str) -> None:
    holder = f'{{"host": "{HERE}", "pid": {pid}, "started": 1.0}}'
    path = edited(tmp_path / "a.tokx", "INSERT OR REPLACE INTO meta VALUES ('holder', ?)", holder)
    assert not listed(path).live
    gone_on_with(path)


@pytest.mark.parametrize("at", [2**63 - 1, -(2**63), -1, 0])
def test_events_at_no_time_are_lived_again_in_their_order(tmp_path: Path, at: int) -> None:
    path = edited(tmp_path / "a.tokx", "UPDATE event SET at = ? WHERE seq % 3 = 0", at)
    timeline = open_timeline(path)
    replay = Replay(timeline, Explorer(SamplingSettings(), 0.5), speed=1000)
    assert replay.clock[1] < 10
    for _ in timeline.rows:
        replay.step()
    assert len(replay.explorer.tree) == len(open_session(path).tree)
    gone_on_with(path)


def test_a_time_that_is_a_text_is_damage(tmp_path: Path) -> None:
    path = edited(tmp_path / "a.tokx", "UPDATE event SET at = 'x' WHERE kind = 'taken'")
    with pytest.raises(UsageError, match=r"is damaged: Expected `int`"):
        open_timeline(path)


def test_many_distributions_at_the_end_come_with_the_last_event(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    with sqlite3.connect(path) as connection:
        first = "SELECT * FROM {0} WHERE seq = (SELECT min(seq) FROM {0})"
        for table in ("distribution", "candidates"):
            connection.execute(f"CREATE TEMP TABLE one AS {first.format(table)}")
            for seq in range(10_000, 13_000):
                connection.execute("UPDATE one SET seq = ?", (seq,))
                connection.execute(f"INSERT INTO {table} SELECT * FROM one")
            connection.execute("DROP TABLE one")
        connection.execute("UPDATE distribution SET again = 1 WHERE seq >= 10000")
    times = open_timeline(path).times()
    assert set(times[-3000:]) == {times[-3001]}
    assert times == sorted(times)


@pytest.mark.parametrize("speed", ["1e-308", "1e308", "0", "nan", "-1"])
def test_a_speed_at_which_nothing_would_be_seen_is_refused(speed: str) -> None:
    assert dispatch.main(["replay", f"--speed={speed}"]) == 2
