"""Plays a tape on the real app, headless, on a clock of its own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Input, TextArea

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.display import safe_text
from tokexplore.models.errors import EngineLostError, TokexploreError
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.engine_link import MakeClient, spawn_client
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import OpenSession
from tokexplore.tui.recording.camera import Camera
from tokexplore.tui.recording.cast import BEGINS, CastWriter
from tokexplore.tui.recording.screenshot import svg_of
from tokexplore.tui.screens.lab import LabScreen
from tokexplore.tui.screens.temperatures import TemperaturesScreen
from tokexplore.tui.tape.script import Script, Step
from tokexplore.widgets.cell_text import cut, width

FRAME = 1 / 15
"""Seconds of the tape's clock between two frames."""
SPEED = 15.0
"""Tokens a second that a stream shows when the tape says nothing."""
TYPING, PRESSING = 0.06, 0.3
"""Seconds of the tape's clock that a typed character and a pressed key take."""
NOTICE = 4.0
"""Seconds of the tape's clock that a notice is shown at most."""
GIVE_UP = 120.0
"""Seconds of the tape's clock until a text has to be on the screen."""
CALM = 3
"""Rounds of messages in which nothing may happen before the app counts as at rest."""
PATIENCE = 300.0
"""Real seconds that one step of the app may take."""
_FOREVER = 1e9
_CAPTION = Style(color="#14100a", bgcolor="#ffb454", bold=True)


class TapeApp(TokexploreApp):
    """The app without anything that depends on the time of day or on how fast this machine is."""

    by_hand = True

    def __init__(
        self,
        options: AppOptions,
        make_client: MakeClient,
        kept: OpenSession | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.now = 0.0
        """Seconds of the tape's clock."""
        self._ends: dict[str, float] = {}
        super().__init__(options, make_client, kept, timeline)
        self.animation_level = "none"

    def clock(self) -> float:
        """The tape's."""
        return self.now

    def new_client(
        self, load: LoadOptions, on_lost: Callable[[EngineLostError], None]
    ) -> EngineClient:
        """Tokens come when the tape's clock says so, computed in one way whatever is faster."""
        threads = 0 if load.threads == "auto" else load.threads
        client = super().new_client(msgspec.structs.replace(load, threads=threads), on_lost)
        client.by_hand = True
        return client

    def _offer_last(self) -> None:  # type: ignore[override]
        """Other sessions have no part in a tape."""

    @property
    def session_path(self) -> Path | None:
        """No two runs share a file."""
        return None

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """A notice that goes when the tape's clock says so."""
        self._ends[message] = self.now + min(timeout or NOTICE, NOTICE)
        super().notify(message, title=title, severity=severity, timeout=_FOREVER, markup=markup)

    def expire(self) -> bool:
        """Take away the notices whose time is over; whether there were any."""
        over = [
            notification
            for notification in self._notifications
            if self.now >= self._ends.get(notification.message, 0.0)
        ]
        for notification in over:
            self._unnotify(notification)
        return bool(over)

    @property
    def idle(self) -> bool:
        """Whether nothing happens before a key is pressed or a token let through."""
        controller, screen = self.controller, self._browse
        if controller.state == "loading" or screen is None or screen.is_dirty:
            return False
        if controller.link.client.asked or any(not worker.is_finished for worker in self.workers):
            return False
        if self.keys_waiting and not (controller.changing and controller.link.client.holds):
            return False
        # Whatever else is under way then waits for the stream, or for the replay.
        return not controller.busy or controller.link.client.holds or controller.replay is not None

    def paint_now(self) -> None:
        """Paint without waiting until the last frame is old enough for eyes."""
        for screen in {self._browse, self.screen}:
            if isinstance(screen, BrowseScreen | TemperaturesScreen | LabScreen):
                screen.paint()

    def look_through(self) -> None:
        """Take what shows through a dialog as it is now: it would be two paints behind."""
        if len(self.screen_stack) > 1:
            self.screen.refresh()

    @property
    def in_sight(self) -> list[Screen[Any]]:
        """The screens of which something can be seen: each turn of another repaints these."""
        stack = self.screen_stack
        opaque = [n for n, screen in enumerate(stack) if screen.styles.background.a == 1]
        return stack[opaque[-1] if opaque else 0 :]

    def screen_text(self) -> str:
        """What is on the screen, as text."""
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


class Player:
    """Does what a tape says.

    Args:
        cast: where the recording goes, made once the screen is there.
        pictures: folder of the screenshots.
    """

    def __init__(
        self,
        script: Script,
        app: TapeApp,
        pilot: Pilot[int],
        *,
        cast: Path | None = None,
        pictures: Path | None = None,
    ) -> None:
        self._script, self._app, self._pilot = script, app, pilot
        self._cast_path, self._pictures = cast, pictures
        self._cast: CastWriter | None = None
        self._camera: Camera | None = None
        self._speed, self._credit = SPEED, 0.0
        self._caption, self._keys, self._pressed = "", False, ""

    async def play(self) -> None:
        """From the loaded model to the last line.

        Raises:
            TokexploreError: a line that cannot be done, with its number.
        """
        await self._settle()
        self._camera = Camera(self._app)
        if self._cast_path is not None:
            self._cast = CastWriter(
                self._cast_path, self._script.size, clock=lambda: self._app.now, stamp=0
            )
            self._cast.output(BEGINS)
        await self._frame()
        for step in self._script.steps:
            for _ in range(step.times):
                await self._do(step)
        await self._advance(FRAME)
        if self._cast is not None:
            self._cast.close()

    async def _do(self, step: Step) -> None:
        match step.name:
            case "Key":
                for key in step.text.split():
                    await self._press(key, PRESSING)
            case "Type":
                for character in step.text:
                    await self._press(character, TYPING)
            case "Wait":
                await self._advance(float(step.text))
            case "Until":
                await self._until(step)
            case "Speed":
                self._speed = float(step.text)
            case "Screenshot":
                self._picture(step.text)
            case "Caption":
                self._caption = safe_text(step.text)
                await self._frame()
            case "Keys":
                self._keys, self._pressed = step.text == "on", ""
                await self._frame()

    async def _press(self, key: str, seconds: float) -> None:
        self._pressed = key
        await self._pilot.press(key)
        await self._settle()
        await self._frame()
        await self._advance(seconds)

    async def _until(self, step: Step) -> None:
        end = self._app.now + GIVE_UP
        while step.text not in self._app.screen_text():
            if self._app.now >= end:
                raise TokexploreError(
                    f"{self._script.name}, line {step.line}: {step.text!r} did not come to the "
                    f"screen within {GIVE_UP:.0f} seconds of the tape."
                )
            await self._advance(FRAME)
            await self._settle()  # a screen may open while nothing else is to be done

    def _picture(self, name: str) -> None:
        if self._pictures is not None:
            self._app.look_through()
            path = self._pictures / f"{name}.svg"
            path.write_text(svg_of(self._app), encoding="utf-8")

    async def _advance(self, seconds: float) -> None:
        """Let the tape's clock run, and the tokens that are due come."""
        for _ in range(max(1, round(seconds / FRAME))):
            self._app.now += FRAME
            self._credit = min(self._credit + self._speed * FRAME, max(1.0, self._speed))
            moved = False
            while self._credit >= 1 and self._app.controller.link.client.holds:
                self._credit -= 1
                self._app.controller.link.client.let_come()
                await self._settle()
                moved = True
            if not self._app.controller.link.client.holds:
                self._credit = 0.0
            if (replay := self._app.controller.replay) is not None and not replay.paused:
                replay.live(FRAME)
                moved = True
                await self._settle()
            if self._app.expire() or moved:
                await self._settle()
                await self._frame()

    async def _settle(self) -> None:
        """Until nothing more happens by itself."""
        loop = asyncio.get_running_loop()
        end, calm = loop.time() + PATIENCE, 0
        while calm < CALM:
            await self._messages_are_done()
            self._app.paint_now()
            for field in self._app.screen.query(Input):
                field.cursor_blink = False
            for area in self._app.screen.query(TextArea):
                area.cursor_blink = False
            calm = calm + 1 if self._app.idle else 0
            if not calm:
                await asyncio.sleep(0.002)
                if loop.time() > end:
                    raise TokexploreError(
                        f"{self._script.name}: the app did not come to rest within "
                        f"{PATIENCE:.0f} seconds."
                    )

    async def _messages_are_done(self) -> None:
        """Until every widget has had its turn with what waits for it, and the screen is painted.

        What shows through a dialog is painted before the dialog is.

        The pilot's own pause waits for the whole process to be idle, which takes much longer.
        """
        app = self._app
        screens = app.in_sight
        waiting: list[MessagePump] = [app]
        for screen in screens:
            waiting += screen.walk_children(with_self=True)
        done = asyncio.Event()

        def one_less() -> None:
            waiting.pop()
            if not waiting:
                done.set()

        for widget in list(waiting):
            if not widget.call_later(one_less):
                waiting.pop()
        if waiting:
            with suppress(TimeoutError):  # a widget may go while it is waited for
                await asyncio.wait_for(done.wait(), 1)
        for screen in screens:
            painted = asyncio.Event()
            if screen.is_current and screen.call_after_refresh(painted.set):
                with suppress(TimeoutError):
                    await asyncio.wait_for(painted.wait(), 1)

    async def _frame(self) -> None:
        self._app.look_through()
        if self._camera is not None and self._cast is not None:
            changes = self._camera.look(self._overlay())
            if changes:
                self._cast.output(changes)

    def _overlay(self) -> list[tuple[int, int, Strip]]:
        """The caption and the last key, over the last line."""
        columns, rows = self._script.size
        shown = []
        if self._caption:
            text = f" {cut(self._caption, columns - 4)} "
            shown.append((max(0, (columns - width(text)) // 2), text))
        if self._keys and self._pressed:
            text = f" {safe_text(self._pressed)} "
            shown.append((columns - width(text) - 1, text))
        return [(x, rows - 1, Strip([Segment(text, _CAPTION)])) for x, text in shown]


async def play(
    script: Script,
    options: AppOptions,
    *,
    cast: Path | None = None,
    pictures: Path | None = None,
    make_client: MakeClient = spawn_client,
    kept: OpenSession | None = None,
    timeline: Timeline | None = None,
) -> None:
    """Play a tape from its start to its end.

    Args:
        kept: a session to open, as a copy that may be written.
        timeline: a session to live again.

    Raises:
        TokexploreError: a line that cannot be done, a model that cannot be loaded.
    """
    app = TapeApp(options, make_client, kept, timeline)
    try:
        async with app.run_test(size=script.size, notifications=True) as pilot:
            playing = asyncio.ensure_future(
                Player(script, app, pilot, cast=cast, pictures=pictures).play()
            )
            while not playing.done() and app._running:
                await asyncio.wait([playing], timeout=0.5)
            if not playing.done():
                playing.cancel()
                with suppress(asyncio.CancelledError):
                    await playing
                raise TokexploreError(f"{script.name}: the app ended before the tape did.")
            await playing
    finally:
        await app.controller.close()
        await asyncio.to_thread(app.close_session, "quit")
