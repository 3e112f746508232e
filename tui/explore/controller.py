"""The driver, whole: everything that the screens ask of an engine."""

from tokexplore.tui.explore.branching import Taking
from tokexplore.tui.explore.noise import Noising
from tokexplore.tui.explore.prompting import Prompting
from tokexplore.tui.explore.watchlist import Watching


class Driver(Prompting, Taking, Watching, Noising):
    """Drives one engine for one explorer."""
