"""The app on a fake engine in a thread: no torch, no sleeping."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from textual.app import App
from textual.pilot import Pilot

import support.headless  # noqa: F401
from support.connect import in_thread
from support.fake_engine import FakeEngine
from support.patience import LATE
from tokexplore.models.api.engine import Engine
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import EngineLostError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.engine_link import MakeClient
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import OpenSession
from tokexplore.tui.keymap import NONE, Rebinding
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.screens.picker import Picker
from tokexplore.tui.terminal.shown import shown_text

PROMPT = "Once upon a time there was"
LENGTH = 24
_SOON, _LATER = 0.002, 0.01
"""Seconds between two looks at what a thread or a timer will bring: at first, and at most."""


def make_app(
    *,
    options: AppOptions | None = None,
    gate: threading.Semaphore | None = None,
    opened: OpenSession | None = None,
    timeline: Timeline | None = None,
    rebinding: Rebinding = NONE,
    engine: Engine | None = None,
    **config: object,
) -> TokexploreApp:
    """An app whose engine is a fake; `config` goes to the engine.

    Args:
        engine: another one, in its place.
        opened: a session to go on with.
        timeline: a session to live again.
        rebinding: the user's own keys.
    """
    make_engine = (
        partial(FakeEngine.open, gate=gate, **config) if engine is None else lambda *_: engine
    )
    default = AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=LENGTH)
    environment = Environment(client_of(make_engine))
    app = TokexploreApp(options or default, environment, opened, timeline, rebinding)
    app.clock = lambda: 0.0  # a second press of a key comes soon after the first, however late
    return app


def client_of(opened: OpenEngine) -> MakeClient:
    """Makes clients of what is opened so, in a thread."""

    def client(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
        return EngineClient(load, connect=in_thread(opened), on_lost=on_lost)

    return client


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Let the app run until something holds and it rests; fail when it does not come true."""
    await during(pilot, holds)
    await settle(pilot)


def looks() -> Iterator[float]:
    """Seconds to wait before each look, until it is late: whoever looks holds threads up."""
    end, pause = time.monotonic() + LATE, _SOON
    while time.monotonic() < end:
        yield pause
        pause = min(_LATER, 1.2 * pause)


async def during(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Let the app run until something holds, whatever else it is at."""
    pauses = looks()
    while not holds():
        if pilot.app._exception is not None:
            raise pilot.app._exception
        pause = next(pauses, None)
        assert pause is not None, "it did not come true in time"
        await pilot.pause(pause)


def all_found(app: App[int]) -> bool:
    """Whether every row is there that the list of a picker will have."""
    assert isinstance(app.screen, Picker)
    return not app.screen.looking and not app.screen.rows_are_coming


async def settle(pilot: Pilot[int]) -> None:
    """Let what was asked for be done and painted."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    pauses = looks()
    while True:
        await pilot.pause()
        for screen in app.screen_stack:
            if isinstance(screen, LiveScreen):
                screen.paint()  # without waiting until the last frame is old enough for eyes
        if app.return_code is not None or _rests(app):
            await pilot.pause()
            return
        if app._exception is not None:
            raise app._exception
        pause = next(pauses, None)
        assert pause is not None, "it did not come to rest"
        await asyncio.sleep(pause)


def _rests(app: TokexploreApp) -> bool:
    """Whether all is done that was asked for but a stream or a replay, and what waits for them."""
    controller = app.controller
    flows = controller.live_leaves or controller.replay is not None
    works = controller.busy or controller.link.client.asked
    return (
        app._browse is not None
        and not controller.changing
        and not app.key_queue
        and (flows or not works)
    )


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one after the other, each one's work done before the next."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def screen_text(app: TokexploreApp) -> str:
    """What the compositor has on the screen, as text."""
    return "\n".join(line.rstrip() for line in shown_text(app).split("\n"))
