"""Textual without a terminal, as all tests of apps and widgets run it; importing this is enough.

A pilot waits until nothing is left to do. Textual's own waits until the whole process was idle for
a while: longer on a busy machine, and no shorter on one that has nothing to do. Style sheets, which
hundreds of apps share, are parsed once. Nobody sees a screen between two looks: it is drawn when a
test looks at it and when it is left, which is half the work, or each time (`draw_always`). A notice
stands until another one or the app takes it away: how long a test took says nothing of it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import textual.app
import textual.pilot
from textual._context import active_app
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.notifications import Notification
from textual.screen import Screen

from tokexplore.tui.terminal.shown import shown_strips

_CALM = 3
"""Rounds of the event loop without anything to do: what arrives meanwhile begins a new one."""


async def nothing_to_do(*_: float) -> None:
    """Let the event loop run until only timers, threads and processes can bring it more to do."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    calm = 0
    while calm < _CALM:
        await asyncio.sleep(0)
        calm = 0 if ready or _paints() or _keys_go_on() else calm + 1


def _paints() -> bool:
    """Whether the screen in front had a new size or something new to show; it is painted then."""
    app = active_app.get()
    if not app.screen_stack or app._batch_count:
        return False
    if app._resize_timer is not None:
        app._check_resize()
        return True
    screen = app.screen
    if not (
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._dirty_widgets
        or screen._callbacks
    ):
        return False
    screen._on_timer_update()
    return True


def _keys_go_on() -> bool:
    """Whether keys wait for nothing but their turn, or for a dialog that is about to open."""
    app = active_app.get()
    queue = getattr(app, "key_queue", None)
    if not queue or not queue._waiting or app.return_code is not None:
        return False
    opened = getattr(app.screen, "opened", None) if app.screen_stack else None
    opens = opened is not None and not opened.is_set()
    return opens or not queue._keeps_waiting(queue._waiting[0])


textual.pilot.wait_for_idle = textual.app.wait_for_idle = nothing_to_do

Notification.time_left = property(lambda notice: notice.timeout)  # type: ignore[method-assign]

_parse = Stylesheet._parse_rules
_parsed: dict[object, list[RuleSet]] = {}


def _parsed_once(self: Stylesheet, *css: object, **more: object) -> list[RuleSet]:
    key = (*css, *sorted(more.items()), *sorted(self._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse(self, *css, **more)  # type: ignore[arg-type]
    return _parsed[key]


Stylesheet._parse_rules = _parsed_once  # type: ignore[assignment, method-assign]


_draw = Screen._compositor_refresh
_draws_always = False


@contextmanager
def draw_always() -> Iterator[None]:
    """Draw each frame, as a terminal would have it: for tests of what drawing itself may do."""
    global _draws_always
    before, _draws_always = _draws_always, True
    try:
        yield
    finally:
        _draws_always = before


def _draw_later(self: Screen[object]) -> None:
    seen = not self.app.is_headless or self.app.is_inline
    if _draws_always or seen or self is not self.app.screen:
        _draw(self)
        return
    self._dirty_widgets.clear()
    self.app._update_mouse_over(self)


def draw(screen: Screen[object]) -> None:
    """Draw all of a screen as it is now."""
    if screen.is_attached and screen.size:
        shown_strips(screen.app)


_pop, _end = App.pop_screen, App._shutdown


def _pop_drawn(self: App[object]) -> AwaitComplete:
    draw(self.screen)
    return _pop(self)


async def _end_drawn(self: App[object]) -> None:
    if self.screen_stack and self._exception is None:
        draw(self.screen)
    await _end(self)


Screen._compositor_refresh = _draw_later  # type: ignore[method-assign]
App.pop_screen = _pop_drawn  # type: ignore[method-assign]
App._shutdown = _end_drawn  # type: ignore[method-assign]
