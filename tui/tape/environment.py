"""The world that a tape plays in: a clock that the player moves, and engines that wait for it."""

from collections.abc import Callable

import msgspec

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import EngineLostError
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.engine_link import MakeClient
from tokexplore.tui.explore.environment import Environment


class TapeClock:
    """Stands still until somebody moves it."""

    now = 0.0
    """Seconds since the tape began."""


def tape_environment(clock: TapeClock, make_client: MakeClient) -> Environment:
    """Nothing in it depends on the time of day or on how fast this machine is."""

    def on_demand(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> AsyncEngine:
        """Tokens come when they are let through, computed in one way whatever is faster."""
        threads = 0 if load.threads == "auto" else load.threads
        client = make_client(msgspec.structs.replace(load, threads=threads), on_lost)
        client.on_demand = True
        return client

    return Environment(on_demand, lambda: clock.now, is_reproducible=True)
