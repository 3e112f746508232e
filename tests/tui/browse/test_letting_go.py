"""The app lets go what was written of its steps, and shows, exports and compares it as before."""

import io
from collections.abc import Callable

import msgspec
import pytest
from support.app import make_app, press, screen_text, until
from support.fake_engine import FakeEngine
from support.lived import OPTIONS, SIZE, ended

from tokexplore.models.session.reader import open_session
from tokexplore.models.tree import stored
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.export_session import source_of
from tokexplore.tui.export.formats import export
from tokexplore.tui.screens.compare import CompareScreen

KEPT = 4
"""Values of each kind that stay in memory here."""


def let_go(app: TokexploreApp) -> Callable[[], bool]:
    """Whether all but so many of them are let go, once they are written."""
    tree = app.controller.explorer.tree

    def done() -> bool:
        app.sessions.recorder.look()
        kept = tree.distribution.stored.here, tree.sampler.stored.here
        return len(tree) > 40 and all(len(here) <= KEPT for here in kept)

    return done


def exported(tree: TokenTree, app: TokexploreApp) -> bytes:
    session, out = open_session(app.sessions.recorder.path, to_write=False), io.BytesIO()
    export(source_of(session._replace(tree=tree)), "jsonl", "all", 20, out)
    return out.getvalue()


async def test_steps_that_were_let_go_are_shown_exported_compared_and_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "RECENT", KEPT)
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "l", "l", "down", "enter")
        await until(pilot, lambda: ended(app) and len(explorer.tree.branches) == 2)
        await until(pilot, let_go(app))
        await press(pilot, "home")
        for _ in range(12):
            await press(pilot, "right")
            told = app.controller.queries.distribution()
            assert told is not None
            again = engine.describe(explorer.tree.ids(explorer.before))
            assert (told.ids, told.logits, told.lse) == (again.ids, again.logits, again.lse)
            assert "nats" in screen_text(app)
        assert explorer.before not in explorer.tree.distribution.stored.here
        await press(pilot, "d")
        assert isinstance(app.screen, CompareScreen)
        await press(pilot, "v")
        assert str(explorer.tree.branch(2).number) in screen_text(app)
        await press(pilot, "q", "u")
        assert len(explorer.listed()) == 1
        await press(pilot, "U")
        assert len(explorer.listed()) == 2
        app.sessions.gather()
        assert exported(explorer.tree, app) == exported(
            open_session(app.sessions.recorder.path, to_write=False).tree, app
        )
        assert not explorer.tree.distribution.damaged


async def test_the_inspector_says_what_the_engine_keeps_and_what_going_back_costs() -> None:
    engine = FakeEngine()
    engine._info = msgspec.structs.replace(engine.info, kv_limit=2 * 10**9)
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        count = len(app.controller.explorer.nodes)
        engine.kept = lambda _: 7
        await press(pilot, "i")
        words = f"of this one 7 of {count} tokens: {count - 7} are prefilled to go on at its end"
        await until(pilot, lambda: words in app.screen._content.plain)
        assert "0.000 GB in 1 path, 2 GB at most (--kv-memory)" in app.screen._content.plain
        await press(pilot, "q")
        engine.kept = len
        await press(pilot, "i")
        words = "all of this one: to go on at its end needs no prefill"
        await until(pilot, lambda: words in app.screen._content.plain)
