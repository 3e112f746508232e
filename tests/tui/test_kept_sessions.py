"""Sessions of earlier programs are read, shown, exported and lived again as they always were."""

import json
import re
import socket
from pathlib import Path

import msgspec
import pytest
from support.app import make_app, press, screen_text, until
from support.kept_sessions import EXPECTED, NAMES, expected_of, laid_out
from support.lived import SIZE
from support.sessions import same

from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import rows, schema
from tokexplore.models.session.reader import connect, open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import OpenOptions
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.explore.session_recorder import OpenSession, read_state, resumed

TOLD = json.loads(EXPECTED.read_text(encoding="utf-8"))
every_session = pytest.mark.parametrize("name", NAMES)


def test_something_is_expected_of_each() -> None:
    kept = ["branching", "chat", "first-candidates", "format3", "grown", "killed", "lab"]
    assert list(TOLD) == NAMES == kept


@every_session
def test_it_ends_and_is_exported_as_it_was(name: str, tmp_path: Path) -> None:
    found = json.loads(
        json.dumps(expected_of(open_session(laid_out(name, tmp_path), to_write=False)))
    )
    assert found["end"] == TOLD[name]["end"]
    exports = TOLD[name]["exports"]
    other = [label for label, digest in found["exports"].items() if digest != exports[label]]
    assert not other, "other bytes than before: `python -m support.kept_sessions FOLDER` shows them"
    assert found == TOLD[name]


@every_session
def test_it_is_lived_again_to_the_same_end(name: str, tmp_path: Path) -> None:
    path = laid_out(name, tmp_path)
    left = open_session(path, to_write=False)
    explorer = Explorer(SamplingSettings(), 0.5)
    replay = Replay(open_timeline(path), explorer)
    replay.live(1e9)
    assert replay.over
    assert same(explorer.tree, left.tree)
    assert explorer.nodes == resumed(OpenSession(left, read_state(left.view)[0], path)).nodes
    for node in range(len(left.tree)):
        told = left.tree.distribution.get(node)
        assert explorer.tree.distribution.get(node) == told


@every_session
def test_what_was_read_would_be_written_as_it_was(name: str, tmp_path: Path) -> None:
    path = laid_out(name, tmp_path)
    connection = connect(path)
    version = schema.check(connection, path)
    found = connection.execute(f"SELECT {rows.COLUMNS} FROM event ORDER BY seq").fetchall()
    connection.close()
    settings: list[SamplingSettings] = []
    for values in found:
        row = msgspec.convert(values, rows.EventRow)
        event = rows.event_of(row, settings)
        if row.kind == "configured":
            settings.append(event.settings)
        again = rows.row_of(event, row.act or "", row.seq, row.at)
        if version >= schema.WRITTEN:
            assert again == values
        else:  # later programs say more in some bodies
            assert again[:-1] == values[:-1]
            assert holds(*(json.loads(body or "null") for body in (again[-1], values[-1])))


def holds(larger: object, smaller: object) -> bool:
    """Whether one JSON value is another, or that with more fields in its objects."""
    if isinstance(larger, dict) and isinstance(smaller, dict):
        return all(key in larger and holds(larger[key], smaller[key]) for key in smaller)
    return larger == smaller


@every_session
def test_the_interface_finds_again_what_it_left(name: str, tmp_path: Path) -> None:
    view = open_session(laid_out(name, tmp_path), to_write=False).view
    again = msgspec.json.encode(read_state(view)[0])
    assert holds(json.loads(again), json.loads(view))


@every_session
async def test_it_opens_in_the_app_and_can_be_changed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "kept")  # where one of them was killed
    opened = continue_session(str(laid_out(name, tmp_path)))
    assert ("older format" in opened.notice) == (name == "format3")
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.explorer.nodes != [])
        explorer = app.controller.explorer
        tree, leaf = explorer.tree, explorer.leaf
        number, count = tree.branch_of[leaf], len(explorer.listed())
        assert re.search(rf"branch {number}\b.* of {count} ", screen_text(app))
        undoable, bookmarks = tree.history.undoable, set(tree.bookmarks)
        await press(pilot, "u", "U", "apostrophe")
        assert len(tree.bookmarks ^ bookmarks) == 1
        await app.action_quit()
    after = open_session(opened.file)
    assert after.damage == ""
    assert after.tree.bookmarks == tree.bookmarks
    after.tree.history.undo()
    assert after.tree.history.undoable == undoable
    assert after.tree.bookmarks == bookmarks
