"""Whether the app that a tape plays is at rest, and letting it come there."""

import asyncio
from contextlib import suppress
from typing import Any

from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widgets import Input, TextArea

from tokexplore.models.errors import TokexploreError
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.screens.live import LiveScreen

CALM = 3
"""Rounds of messages in which nothing may happen before the app counts as at rest."""
PATIENCE = 300.0
"""Real seconds that one step of the app may take."""


async def settle(app: TokexploreApp, tape: str) -> None:
    """Wait until nothing more happens by itself.

    Args:
        tape: the tape's name, for the error.

    Raises:
        TokexploreError: it did not come to rest.
    """
    loop = asyncio.get_running_loop()
    end, calm = loop.time() + PATIENCE, 0
    while calm < CALM:
        await _messages_are_done(app)
        for screen in _live(app):
            screen.paint()  # without waiting until the last frame is old enough for eyes
        for field in app.screen.query(Input):
            field.cursor_blink = False
        for area in app.screen.query(TextArea):
            area.cursor_blink = False
        calm = calm + 1 if is_idle(app) else 0
        if not calm:
            await asyncio.sleep(0.002)
            if loop.time() > end:
                raise TokexploreError(
                    f"{tape}: the app did not come to rest within {PATIENCE:.0f} seconds."
                )


def is_idle(app: TokexploreApp) -> bool:
    """Whether nothing happens before a key is pressed or a token let through."""
    controller, client = app.controller, app.controller.link.client
    if (
        controller.state == "loading"
        or controller.second.is_busy
        or not _live(app)
        or any(s.is_dirty for s in _live(app))
    ):
        return False
    if client.asked or any(not worker.is_finished for worker in app.workers):
        return False
    if app.key_queue and not (controller.changing and controller.streams.source.holds):
        return False
    # Whatever else is under way then waits for the stream, or for the replay.
    return not controller.busy or controller.streams.source.holds or controller.replay is not None


def _live(app: TokexploreApp) -> list[LiveScreen]:
    return [screen for screen in app.screen_stack if isinstance(screen, LiveScreen)]


async def _messages_are_done(app: TokexploreApp) -> None:
    """Until every widget has had its turn with what waits for it, and the screen is painted.

    What shows through a dialog is painted before the dialog is.

    The pilot's own pause waits for the whole process to be idle, which takes much longer.
    """
    screens = _in_sight(app)
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


def _in_sight(app: TokexploreApp) -> list[Screen[Any]]:
    """The screens of which something can be seen: each turn of another repaints these."""
    stack = app.screen_stack
    opaque = [n for n, screen in enumerate(stack) if screen.styles.background.a == 1]
    return stack[opaque[-1] if opaque else 0 :]


def look_through(app: TokexploreApp) -> None:
    """Take what shows through a dialog as it is now: it would be two paints behind."""
    if len(app.screen_stack) > 1:
        app.screen.refresh()
