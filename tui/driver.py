"""The driver, whole: everything that the screens ask of an engine."""

from tokexplore.tui.driving.prompting import Prompting
from tokexplore.tui.driving.questions import Questions
from tokexplore.tui.driving.taking import Taking


class Driver(Prompting, Taking, Questions):
    """Drives one engine for one explorer."""
