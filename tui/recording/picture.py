"""Pictures of the screen: SVG that loads nothing."""

import re
from typing import Any

from textual.app import App


def svg_of(app: App[Any], title: str = "tokexplore") -> str:
    """The screen as an SVG without web fonts, so that it shows anywhere and loads nothing."""
    return re.sub(r"\s*@font-face\s*{[^}]*}", "", app.export_screenshot(title=title))
