"""The driver, whole: everything that the screens ask of an engine."""

from tokexplore.tui.driving.noise import Noising
from tokexplore.tui.driving.prompting import Prompting
from tokexplore.tui.driving.taking import Taking
from tokexplore.tui.driving.watching import Watching


class Driver(Prompting, Taking, Watching, Noising):
    """Drives one engine for one explorer."""
