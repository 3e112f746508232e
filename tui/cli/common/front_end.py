"""The app on the terminal's screen, or in lines where there is none."""

import sys
from typing import TYPE_CHECKING

from tokexplore.tui.explore.options import AppOptions, check_new
from tokexplore.tui.terminal import gc_control
from tokexplore.tui.terminal.stdio import (
    drop_output,
    is_dumb,
    private_stdout,
    screen_on_stderr,
    take_keys_from_terminal,
)

if TYPE_CHECKING:
    from tokexplore.models.session.timeline import Timeline
    from tokexplore.tui.explore.session_recorder import OpenSession
    from tokexplore.tui.keymap import Place, Rebinding


def on_screen(
    app: AppOptions, opened: "OpenSession | None" = None, timeline: "Timeline | None" = None
) -> int:
    """The app on the screen, or in lines on a terminal that shows no more; its exit code.

    Args:
        opened: a session to go on with.
        timeline: a session to live again, which lines cannot show.

    Raises:
        UsageError: there is no terminal, or the recording's file cannot be made.
    """
    take_keys_from_terminal()
    if is_dumb():
        print(
            "tokexplore: this terminal shows no more than lines (TERM is dumb), so lines it is; "
            "set TERM to what it is, such as xterm-256color, for the screen.",
            file=sys.stderr,
        )
        return in_lines(app, opened)
    gc_control.pause()
    from tokexplore.tui.app import run_app

    if app.record:
        check_new(app.record, "--record", "record to another file")
    with screen_on_stderr():
        return _left(run_app(app, opened, timeline, _own_keys()))


def in_lines(app: AppOptions, opened: "OpenSession | None" = None) -> int:
    """The app without a screen; its exit code."""
    gc_control.resume()
    from tokexplore.tui.line_mode.session import run_lines

    with private_stdout() as out:
        return run_lines(app, out, opened)


def _left(code: int) -> int:
    """The code that an app ended with; after a lost line nothing can be written any more."""
    from tokexplore.tui.terminal.shutdown import ENDED

    if ENDED.get(code) == "hangup":
        drop_output(1, 2)
    return code


def _own_keys() -> "Rebinding":
    """The keys of the user's file; the first paint waits for no screen where there is none."""
    from tokexplore.tui.keymap import own_keys
    from tokexplore.tui.keys import APP_BINDINGS

    def everywhere() -> "list[Place]":
        from tokexplore.tui.browse.places import places

        return places(APP_BINDINGS)

    return own_keys(everywhere, APP_BINDINGS)
