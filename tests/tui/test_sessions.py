"""Another session takes the place of the one in view."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from functools import partial

from support.app import client_of, during, make_app, press, until
from support.connect import in_thread
from support.fake_engine import FakeEngine
from support.lived import OPTIONS, ended, lived
from textual import events
from textual.pilot import Pilot

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import EngineLostError, ModelError
from tokexplore.models.session import meta
from tokexplore.models.session.listing import latest
from tokexplore.models.session.reader import listed
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import STOCK_PROMPT
from tokexplore.tui.screens.dialog import Ask

SIZE = (120, 40)


async def test_another_model_begins_a_session_that_names_the_one_before() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        first = app.sessions.path
        app.sessions.open_model(LoadOptions(model="other"))
        await until(pilot, lambda: app.controller.state == "asking")
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        second = app.sessions.path
        await app.action_quit()
    assert second != first
    with sqlite3.connect(second) as connection:
        assert meta.get(connection, "previous") == str(first)
    assert [listed(p).ended for p in (first, second)] == ["quit", "quit"]


async def other_is_loading(pilot: Pilot[int], app: TokexploreApp, model: str) -> None:
    app.sessions.open_model(LoadOptions(model=model))
    await during(
        pilot, lambda: app.controller.options.load.model == model and not app.sessions.replacing
    )
    await during(pilot, lambda: app.controller.link.progress is not None)


async def test_a_model_that_is_given_up_for_a_third_one_leaves_the_session_before_it(
    gate: threading.Semaphore,
) -> None:
    app = make_app(options=OPTIONS, load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(10)
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        first = app.sessions.path
        for model in ("other", "third"):
            await other_is_loading(pilot, app, model)
        gate.release(30)
        await until(pilot, lambda: app.controller.state == "asking")
        await until(pilot, lambda: listed(first).ended == "quit")
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        second = app.sessions.path
        await app.action_quit()
    with sqlite3.connect(second) as connection:
        assert meta.get(connection, "previous") == str(first)
    assert [listed(p).ended for p in (first, second)] == ["quit", "quit"]


async def test_a_model_that_was_lost_while_it_was_loaded_begins_as_it_would_have() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        first, making = app.sessions.path, app.sessions.make_client
        app.sessions.make_client = client_of(
            partial(FakeEngine.open, load_error=EngineLostError("It ended."))
        )
        app.sessions.open_model(LoadOptions(model="embedded"))
        await until(pilot, lambda: app.controller.state == "lost")
        app.sessions.make_client = making
        await press(pilot, "space")
        await until(pilot, lambda: ended(app) and app.sessions.path != first)
        assert app.controller.explorer.text().startswith(STOCK_PROMPT)
        assert listed(first).ended == "quit", "it can be opened again"


async def test_a_model_that_is_given_up_for_a_session_leaves_the_one_before_it(
    gate: threading.Semaphore,
) -> None:
    await lived()
    path = latest().path
    app = make_app(options=OPTIONS, load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(10)
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        first = app.sessions.path
        await other_is_loading(pilot, app, "other")
        app.sessions.open_session(path)
        await during(pilot, lambda: app.sessions.path == path)
        await during(pilot, lambda: listed(first).ended == "quit")
        gate.release(30)
        await app.action_quit()


async def test_another_model_that_cannot_be_opened_gives_the_tree_back() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        kept, making = list(app.controller.explorer.nodes), app.sessions.make_client

        def refused(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
            app.sessions.make_client = making
            error = ModelError("no weights there: give another directory.")
            opened = partial(FakeEngine.open, load_error=error)
            return EngineClient(load, connect=in_thread(opened), on_lost=on_lost)

        said: list[str] = []  # a notice may be gone before a busy machine looks
        app.sessions.make_client = refused
        app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
        app.sessions.open_model(LoadOptions(model="other"))
        await until(pilot, lambda: bool(said))
        await until(pilot, lambda: app.controller.state == "paused")
        assert said == ["no weights there: give another directory."]
        assert app.controller.explorer.nodes == kept


async def test_keys_are_for_the_session_that_comes_into_view() -> None:
    await lived()
    path = latest().path
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        before = app.controller
        app.sessions.open_session(path)
        while not app.sessions.replacing:
            await asyncio.sleep(0)
        app.post_message(events.Key("a", "a"))
        await until(pilot, lambda: isinstance(app.screen, Ask) and not app.key_queue)
        assert app.controller is not before
        await until(pilot, lambda: app.sessions.path == path)
        await press(pilot, *"ok", "enter")
        assert list(app.controller.explorer.tree.notes.values()) == ["ok"]
        assert not before.explorer.tree.notes


async def test_the_session_in_view_is_not_opened_again() -> None:
    app = make_app(options=OPTIONS)
    said: list[str] = []
    app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        before = app.controller
        app.sessions.open_session(app.sessions.path)
        await until(pilot, lambda: "This session is open." in said)
        assert app.controller is before
