"""One step under several temperatures: what each makes of it, and a continuation of each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from tokexplore.models.api.engine import DrawnToken, StreamEnded
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Ended
from tokexplore.tui.explore.controller import Driver

TEMPERATURES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Where nothing else was asked."""
LENGTH = 48
"""Tokens of each continuation."""


@dataclass
class TemperatureRun:
    """One temperature."""

    settings: SamplingSettings
    effect: Effect | None = None
    drawn: list[DrawnToken] = field(default_factory=list)
    ended: str = ""
    """Why the continuation ended; empty while it runs or waits."""
    branch: int = 0
    """The branch that it was kept as."""


class TemperatureRuns:
    """The rungs at the cursor's step; continuations are run from the lowest one up.

    Nothing of it is in the tree until a rung is kept.

    Args:
        changed: called when there is something new to show.
    """

    def __init__(self, driver: Driver, changed: Callable[[], None]) -> None:
        self._driver, self._changed = driver, changed
        explorer = driver.explorer
        self.node = explorer.before
        """The node that the step comes after."""
        self.ids = driver.ids_of(self.node)
        self.rungs: list[TemperatureRun] = []
        self._work: asyncio.Task[None] | None = None

    def start(self, temperatures: Sequence[float], seed: int) -> None:
        """Begin anew with these temperatures; the other settings are those in force.

        Raises:
            UsageError: for a temperature that is not possible.
        """
        base = self._driver.explorer.settings
        rungs = [
            TemperatureRun(msgspec.structs.replace(base, temperature=t, seed=seed).checked())
            for t in temperatures
        ]
        self.stop()
        self.rungs = rungs
        self._work = self._driver.run(self._run(rungs))

    def stop(self) -> None:
        """End the continuation that is running."""
        if self._work is not None and not self._work.done():
            self._work.cancel()
            self._driver.client.cancel()

    @property
    def running(self) -> TemperatureRun | None:
        """The rung whose continuation is being written."""
        if self._work is None or self._work.done():
            return None
        return next((rung for rung in self.rungs if not rung.ended), None)

    async def _run(self, rungs: list[TemperatureRun]) -> None:
        client, tree = self._driver.client, self._driver.explorer.tree
        length = tree.prompt_length(self.node)
        found = await client.effects(self.ids, [r.settings for r in rungs], length)
        for rung, effect in zip(rungs, found, strict=True):
            rung.effect = effect
        self._changed()
        for rung in rungs:
            await self._continue(rung, length)

    async def _continue(self, rung: TemperatureRun, prompt_length: int) -> None:
        driver = self._driver
        request = driver.options.request(
            self.ids,
            rung.settings,
            LENGTH,
            prompt_length=prompt_length,
            turn_ids=driver.turn_ids,
        )
        async for batch in driver.client.stream(request):
            for event in batch:
                if isinstance(event, DrawnToken):
                    rung.drawn.append(event)
                elif isinstance(event, StreamEnded):
                    rung.ended = event.reason
            self._changed()

    def keep(self, rung: TemperatureRun) -> int:
        """Put a rung's continuation into the tree; the branch's number.

        The path in view goes to its end.
        """
        driver, explorer, leaf = self._driver, self._driver.explorer, self.node
        known = len(explorer.tree)
        for event in rung.drawn:
            leaf = driver.take_drawn(leaf, event, extends=len(explorer.tree) == known)
        if rung.ended and rung.ended != "interrupted":
            explorer.tree.append(Ended(leaf, rung.ended))
        explorer.go_to(leaf)
        rung.branch = explorer.tree.branch_of[leaf]
        return rung.branch
