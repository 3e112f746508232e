"""Plays a tape on the real app, headless, on a clock of its own."""

import asyncio
from contextlib import suppress
from pathlib import Path

from rich.segment import Segment
from rich.style import Style
from textual.pilot import Pilot
from textual.strip import Strip

from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.models.session.timeline import Timeline
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.engine_link import MakeClient, spawn_client
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import OpenSession
from tokexplore.tui.recording.camera import Camera
from tokexplore.tui.recording.cast import BEGINS, CastWriter
from tokexplore.tui.recording.screenshot import svg_of
from tokexplore.tui.tape.environment import TapeClock, tape_environment
from tokexplore.tui.tape.rest import look_through, settle
from tokexplore.tui.tape.script import Script, Step
from tokexplore.tui.terminal.shown import shown_text
from tokexplore.widgets.cell_text import cut, width

FRAME = 1 / 15
"""Seconds of the tape's clock between two frames."""
SPEED = 15.0
"""Tokens a second that a stream shows when the tape says nothing."""
TYPING, PRESSING = 0.06, 0.3
"""Seconds of the tape's clock that a typed character and a pressed key take."""
GIVE_UP = 120.0
"""Seconds of the tape's clock until a text has to be on the screen."""
_CAPTION = Style(color="#14100a", bgcolor="#ffb454", bold=True)


class Player:
    """Does what a tape says.

    Args:
        clock: that of the app's environment.
        cast: where the recording goes, made once the screen is there.
        pictures: folder of the screenshots.
    """

    def __init__(
        self,
        script: Script,
        app: TokexploreApp,
        clock: TapeClock,
        pilot: Pilot[int],
        *,
        cast: Path | None = None,
        pictures: Path | None = None,
    ) -> None:
        self._script, self._app, self._clock, self._pilot = script, app, clock, pilot
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
        await settle(self._app, self._script.name)
        self._camera = Camera(self._app)
        if self._cast_path is not None:
            self._cast = CastWriter(
                self._cast_path, self._script.size, clock=lambda: self._clock.now, stamp=0
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
        await settle(self._app, self._script.name)
        await self._frame()
        await self._advance(seconds)

    async def _until(self, step: Step) -> None:
        end = self._clock.now + GIVE_UP
        while step.text not in shown_text(self._app):
            if self._clock.now >= end:
                raise TokexploreError(
                    f"{self._script.name}, line {step.line}: {step.text!r} did not come to the "
                    f"screen within {GIVE_UP:.0f} seconds of the tape."
                )
            await self._advance(FRAME)
            await settle(
                self._app, self._script.name
            )  # a screen may open while nothing else is to be done

    def _picture(self, name: str) -> None:
        if self._pictures is not None:
            look_through(self._app)
            path = self._pictures / f"{name}.svg"
            path.write_text(svg_of(self._app), encoding="utf-8")

    async def _advance(self, seconds: float) -> None:
        """Let the tape's clock run, and the tokens that are due come."""
        for _ in range(max(1, round(seconds / FRAME))):
            self._clock.now += FRAME
            self._credit = min(self._credit + self._speed * FRAME, max(1.0, self._speed))
            moved = False
            while self._credit >= 1 and self._app.controller.streams.source.holds:
                self._credit -= 1
                self._app.controller.streams.source.let_come()
                await settle(self._app, self._script.name)
                moved = True
            if not self._app.controller.streams.source.holds:
                self._credit = 0.0
            if (replay := self._app.controller.replay) is not None and not replay.paused:
                replay.live(FRAME)
                moved = True
                await settle(self._app, self._script.name)
            if self._app.notices.expire() or moved:
                await settle(self._app, self._script.name)
                await self._frame()

    async def _frame(self) -> None:
        look_through(self._app)
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
    session: OpenSession | None = None,
    timeline: Timeline | None = None,
) -> None:
    """Play a tape from its start to its end.

    Args:
        session: one to open, as a copy that may be written.
        timeline: a session to live again.

    Raises:
        TokexploreError: a line that cannot be done, a model that cannot be loaded.
    """
    clock = TapeClock()
    app = TokexploreApp(options, tape_environment(clock, make_client), session, timeline)
    try:
        async with app.run_test(size=script.size, notifications=True) as pilot:
            playing = asyncio.ensure_future(
                Player(script, app, clock, pilot, cast=cast, pictures=pictures).play()
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
        await asyncio.to_thread(app.sessions.close, "quit")
