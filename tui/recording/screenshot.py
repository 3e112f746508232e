"""Pictures of the screen: SVG that loads nothing, and PNG where the extra `gif` is installed."""

import re
from pathlib import Path
from typing import Any

from textual.app import App

from tokexplore.tui.recording.camera import Camera
from tokexplore.tui.recording.cast import BEGINS


def svg_of(app: App[Any]) -> str:
    """The screen as an SVG without web fonts, so that it shows anywhere and loads nothing."""
    return re.sub(r"\s*@font-face\s*{[^}]*}", "", app.export_screenshot(title="tokexplore"))


def write_png(app: App[Any], path: Path) -> bool:
    """The screen as a PNG; False where what draws it is not installed.

    Raises:
        UsageError: no font was found.
        OSError: the file cannot be written.
    """
    try:
        import pyte

        from tokexplore.tui.recording.gif import draw, load_fonts

        fonts = load_fonts()
    except ImportError:
        return False
    camera = Camera(app)
    screen = pyte.Screen(*camera.size)
    pyte.Stream(screen).feed(BEGINS + camera.look())
    draw(screen, camera.size, fonts).save(path)
    return True
