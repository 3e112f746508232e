"""However it is asked to, the app ends: its work first, and once."""

import asyncio
import threading

from support.app import during, make_app, until
from support.lived import OPTIONS, ended
from textual import events

from tokexplore.models.session.reader import listed
from tokexplore.tui.terminal.exit_codes import INTERRUPTED
from tokexplore.tui.terminal.shutdown import TWICE

SIZE = (120, 40)


async def test_ctrl_q_leaves_whatever_the_keys_before_it_wait_for() -> None:
    gate = threading.Semaphore(1000)
    app = make_app(gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        while gate.acquire(blocking=False):
            pass
        for name in ("full_stop", "J", "ctrl+q"):  # a token that never comes
            app.key_queue.receive(events.Key(name, None))
        await until(pilot, lambda: app.return_code is not None)
        assert app.return_code == 0


async def test_ctrl_c_stops_and_soon_after_leaves(gate: threading.Semaphore) -> None:
    now = 0.0
    app = make_app(gate=gate)
    app.clock = lambda: now
    said: list[str] = []
    app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        gate.release(3)
        await during(pilot, lambda: len(app.controller.explorer.nodes) > 3)
        for seconds in (0.0, TWICE, 2 * TWICE - 0.1):
            now = seconds
            await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == INTERRUPTED
    assert said == ["Stopped. ctrl+c again leaves.", "ctrl+c again leaves; q q quits."]


async def test_a_key_between_two_that_leave_begins_anew(gate: threading.Semaphore) -> None:
    app = make_app(gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        gate.release(3)
        await during(pilot, lambda: len(explorer.nodes) > 3)
        for keys in (("ctrl+c", "right"), ("ctrl+c", "q"), ("left", "q"), ("right", "space")):
            await pilot.press(*keys)
        gate.release(2)
        tokens = len(explorer.nodes)
        await during(pilot, lambda: len(explorer.nodes) > tokens)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.controller.streaming)
        assert app.return_code is None
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == INTERRUPTED


async def test_ctrl_c_first_stops_a_stream_that_began_meanwhile(gate: threading.Semaphore) -> None:
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(OPTIONS.max_new_tokens + 1)
        await until(pilot, lambda: ended(app))
        await pilot.press("ctrl+c")
        app.controller.play()
        await during(pilot, lambda: app.controller.streaming)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.controller.streaming)
        assert app.return_code is None


async def test_what_needs_a_model_says_that_it_is_loading() -> None:
    app = make_app(options=OPTIONS, load_gate=threading.Semaphore(0))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.controller.link.absence == "The model is still loading."


async def test_who_asks_while_it_ends_changes_nothing() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        path = app.sessions.path
        await asyncio.gather(app.ending.leave(143), app.ending.leave(0), app.action_quit())
    assert app.return_code == 143
    assert listed(path).ended == "terminated"
