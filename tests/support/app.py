"""The app on a fake engine in a thread: no torch, no sleeping."""

import threading
import time
from collections.abc import Callable
from functools import partial

from textual.pilot import Pilot

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

PROMPT = "Once upon a time there was"
LENGTH = 24


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
    return TokexploreApp(options or default, environment, opened, timeline, rebinding)


def client_of(opened: OpenEngine) -> MakeClient:
    """Makes clients of what is opened so, in a thread."""

    def client(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
        return EngineClient(load, connect=in_thread(opened), on_lost=on_lost)

    return client


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Let the app run until something holds and it rests; fail when it does not come true."""
    await during(pilot, holds)
    await settle(pilot)


async def during(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Let the app run until something holds, whatever else it is at."""
    end = time.monotonic() + LATE
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        await pilot.pause(0.01)


async def settle(pilot: Pilot[int]) -> None:
    """Let what was asked for be done and painted."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    end = time.monotonic() + LATE
    while time.monotonic() < end:
        await pilot.pause()
        screen = app._browse
        flows = app.controller.streaming or app.controller.replay is not None
        working = app.controller.busy and not flows
        if screen is not None and not working and not screen._dirty and not app.key_queue:
            return
        if app.return_code is not None:
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to rest")


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one after the other, each one's work done before the next."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def screen_text(app: TokexploreApp) -> str:
    """What the compositor has on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(s.text for s in strip).rstrip() for strip in strips)
