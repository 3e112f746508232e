"""Whether a screen still has its widgets."""

from typing import Any

from textual.screen import Screen


def has_parts(screen: Screen[Any]) -> bool:
    """Whether a screen can be drawn: its widgets are removed before it is.

    An answer of the engine's, or a timer, may come between the two.
    """
    return screen.is_attached and bool(screen.children)
