"""What the app takes from the world around it."""

import time
from collections.abc import Callable
from typing import NamedTuple

from tokexplore.tui.explore.engine_link import MakeClient, spawn_client


class Environment(NamedTuple):
    """Engines and time; by itself the real ones."""

    make_client: MakeClient = spawn_client
    """Makes an engine that is not started yet."""
    clock: Callable[[], float] = time.monotonic
    """Seconds by which streams and the second press of a key are measured."""
    is_reproducible: bool = False
    """Whether no two runs may differ.

    A recorded session and notices then go on by the clock alone, nothing moves by itself, and
    sessions beside the one in view are neither offered nor named.
    """


REAL = Environment()
