"""Textual without a terminal, as all tests of apps and widgets run it; importing this is enough.

A pilot waits until nothing is left to do. Textual's own waits until the whole process was idle for
a while: longer on a busy machine, and no shorter on one that has nothing to do. Style sheets, which
hundreds of apps share, are parsed once.
"""

import asyncio

import textual.app
import textual.pilot
from textual._context import active_app
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

_CALM = 3
"""Rounds of the event loop without anything to do: what arrives meanwhile begins a new one."""


async def nothing_to_do(*_: float) -> None:
    """Let the event loop run until only timers, threads and processes can bring it more to do."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    calm = 0
    while calm < _CALM:
        await asyncio.sleep(0)
        calm = 0 if ready or _paints() else calm + 1


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


textual.pilot.wait_for_idle = textual.app.wait_for_idle = nothing_to_do

_parse = Stylesheet._parse_rules
_parsed: dict[object, list[RuleSet]] = {}


def _parsed_once(self: Stylesheet, *css: object, **more: object) -> list[RuleSet]:
    key = (*css, *sorted(more.items()), *sorted(self._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse(self, *css, **more)  # type: ignore[arg-type]
    return _parsed[key]


Stylesheet._parse_rules = _parsed_once  # type: ignore[assignment, method-assign]
