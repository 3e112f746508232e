"""What an app has on its screen."""

from typing import Any

from textual._context import visible_screen_stack
from textual.app import App
from textual.strip import Strip


def shown_strips(app: App[Any]) -> list[Strip]:
    """The lines of the screen in front, with what shows through it.

    Outside its own refresh Textual's compositor knows no screens behind a dialog: it would leave
    them out, and keep the empty lines for the terminal too.

    Raises:
        ScreenStackError: the app has no screen (any more).
    """
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def shown_text(app: App[Any]) -> str:
    """The same as text, line by line."""
    return "\n".join(strip.text for strip in shown_strips(app))
