"""A session is lived again as it was, without a model, until its user takes over."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from support.app import make_app, press, screen_text, settle, until
from support.lived import SIZE, lived
from support.sessions import grow, journal_of, kept, prompted, same

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.timeline import open_timeline
from tokexplore.models.tree.events import Viewed
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.open_session import to_replay
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.replay import Replay

FAST = OpenOptions(app=AppOptions(speed=50.0))


def replaying(options: OpenOptions = FAST) -> TokexploreApp:
    timeline, app = to_replay(options)
    return make_app(options=app, timeline=timeline)


def explorer() -> Explorer:
    return Explorer(SamplingSettings(), 0.5)


async def test_the_tree_that_was_lived_again_is_the_one_that_was_lived(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    tree = TokenTree()
    book = journal_of(tree, path)
    leaf = prompted(tree)
    tree.append(Viewed(leaf, -1))
    grow(tree, leaf, 5)
    await asyncio.sleep(0.3)
    tree.append(Viewed(leaf, 4))
    other = grow(tree, leaf, 4, seed=50)
    tree.append(Viewed(other, -1))
    book.close("quit")
    again = explorer()
    replay = Replay(open_timeline(path), again, speed=1.0)
    began = asyncio.get_running_loop().time()
    await replay.run()
    took = asyncio.get_running_loop().time() - began
    assert same(again.tree, tree)
    assert again.leaf == other
    assert took >= 0.25, "as slowly as it was lived"
    for node in range(len(tree)):
        assert again.tree.distribution.get(node) == tree.distribution.get(node)


async def test_pauses_are_cut_and_speed_divides_them(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    timeline = open_timeline(path)
    for row in timeline.rows:
        if not isinstance(row, int):
            row.at = row.seq * 10_000_000
    capped = Replay(timeline, explorer(), speed=2.0, idle_cap=3.0)
    due = [later - earlier for earlier, later in pairwise(capped._due)]
    assert set(due) == {0.0, 1.5}
    assert capped.clock == (0.0, capped._due[-1])


async def test_the_app_replays_pauses_steps_and_goes_on() -> None:
    before = await lived("home", "l", "3", "home", "K")
    app = replaying(OpenOptions(app=AppOptions(speed=0.001, idle_cap=1.0)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "replaying")
        replay = app.controller.replay
        await press(pilot, "space")
        assert "paused at" in screen_text(app).splitlines()[0]
        at = replay.position
        for _ in range(4):
            await press(pilot, "full_stop")
        assert replay.position > at
        assert replay.paused
        nodes = len(app.controller.explorer.tree)
        await press(pilot, "left", "h")
        assert app.controller.state == "replaying", "looking around takes nothing over"
        for _ in range(200):
            if replay.over:
                break
            await press(pilot, "full_stop")
        assert len(app.controller.explorer.tree) > nodes
        assert app.controller.explorer.ids() == before.controller.explorer.ids()
        assert app.controller.explorer.settings == before.controller.explorer.settings
        await press(pilot, "space")
        await until(pilot, lambda: app.controller.state == "recorded")
        await app.action_quit()
    assert len(all_files()) == 1, "nothing was changed, so nothing is kept"


async def test_whoever_takes_over_has_a_session_of_their_own() -> None:
    await lived("home", "l", "3")
    original = all_files()[0]
    data = original.read_bytes()
    app = replaying(OpenOptions(app=AppOptions(speed=0.001, idle_cap=1.0)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "replaying")
        await press(pilot, "space")
        for _ in range(8):
            await press(pilot, "full_stop")
        await press(pilot, "home", "l", "5")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        tree = app.controller.explorer.tree
        assert len(tree.branches) == 2
        await settle(pilot)
        await app.action_quit()
    assert original.read_bytes() == data
    [mine] = [path for path in all_files() if path != original]
    session = open_session(mine)
    assert same(session.tree, tree)
    assert [p.model for p in session.tree.provenance] == [p.model for p in tree.provenance]


async def test_a_damaged_event_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    kept(path)
    timeline = open_timeline(path)
    index = next(i for i, row in enumerate(timeline.rows) if i > 25 and not isinstance(row, int))
    timeline.rows[index].kind = "boom"  # type: ignore[union-attr]
    again = explorer()
    with pytest.raises(UsageError, match=f"is damaged at event {index}"):
        await Replay(timeline, again, speed=1000.0).run()
    assert len(again.tree) > 5
