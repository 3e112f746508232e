"""Few notices stand at once, for as long as they are news."""

import threading

from support.app import during, make_app, press, settle, until
from support.patience import LATE
from textual.app import App

from tokexplore.tui.browse.generation import PAUSED
from tokexplore.tui.explore.streams import ENDED
from tokexplore.tui.terminal.notices import LONGEST, MOST_NOTICES
from tokexplore.tui.terminal.paced_app import PacedApp

SIZE = (120, 40)


async def test_few_notices_stand_at_once_and_each_once() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        for number in range(30):
            app.notify("the same", markup=False, timeout=LATE)
            app.notify(f"notice {number}", markup=False, timeout=LATE)
        await settle(pilot)
        standing = [n.message for n in app._notifications]
        assert standing[-1] == "notice 29"
        assert len(standing) == len(set(standing)) == MOST_NOTICES
        await until(pilot, lambda: len(app.screen.query("Toast")) == MOST_NOTICES)


class NoticeApp(PacedApp[None]):
    """Shows notices, by a clock where there is one."""


def standing(app: App[None]) -> list[str]:
    return [notification.message for notification in app._notifications]


async def test_of_some_only_the_last_one_is_news() -> None:
    app = NoticeApp(only_last=("Took back", "Made again"))
    async with app.run_test(notifications=True) as pilot:
        for text in ("Took back: one", "other", "Made again: one", "Took back: two"):
            app.notify(text)
            await pilot.pause()
        assert standing(app) == ["other", "Took back: two"]


async def test_what_was_so_until_a_stream_began_is_said_no_longer() -> None:
    gate = threading.Semaphore(4)
    app = make_app(gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        streams = app.controller.streams
        await during(pilot, lambda: len(app.controller.explorer.nodes) > 8)
        await pilot.press("2")
        await until(pilot, lambda: not streams.live and bool(standing(app)))
        assert standing(app)[-1].startswith(PAUSED)
        app.notify(f"{ENDED}the model ended the text; space goes on.")
        await until(pilot, lambda: len(standing(app)) == MOST_NOTICES)
        await pilot.press("2")
        await during(pilot, lambda: streams.live)
        assert standing(app) == []
        app.notify("something else")
        await press(pilot, "space", "space")
        await during(pilot, lambda: streams.live)
        assert standing(app) == ["something else"]


async def test_a_clock_of_the_app_s_own_ends_notices() -> None:
    now = 0.0
    app = NoticeApp(clock=lambda: now)
    async with app.run_test(notifications=True) as pilot:
        app.notify("short", timeout=1)
        app.notify("long", timeout=LONGEST * 9)
        await pilot.pause()
        assert all(n.time_left > 1e6 for n in app._notifications), "Textual ends none"
        now = 0.9
        assert not app.notices.expire()
        app.notify("short", timeout=1)
        await pilot.pause()
        assert standing(app) == ["short", "long"]
        now = 1.5
        assert not app.notices.expire(), "said again it stands anew"
        now = 2.0
        assert app.notices.expire()
        assert standing(app) == ["long"]
        now = LONGEST
        assert app.notices.expire()
        assert standing(app) == []
