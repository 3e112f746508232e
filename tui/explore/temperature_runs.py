"""One step under several temperatures: what each makes of it, and a continuation of each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from tokexplore.models.api.engine import DrawnToken, StreamEnded
from tokexplore.models.api.questions import FindEffects
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Ended
from tokexplore.tui.explore.controller import Controller

TEMPERATURES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Where nothing else was asked."""
LENGTH = 48
"""Tokens of each continuation."""


@dataclass
class TemperatureRun:
    """One temperature."""

    settings: SamplingSettings
    effect: Effect | None = None
    bounds: BoundedView | None = None
    """What can be said where no effect can be had."""
    drawn: list[DrawnToken] = field(default_factory=list)
    ended: str = ""
    """Why the continuation ended; empty while it runs or waits."""
    branch: int = 0
    """The branch that it was kept as."""


class TemperatureRuns:
    """The runs of the cursor's step; their continuations are made one after the other.

    Nothing of it is in the tree until a run is kept.

    Args:
        changed: called when there is something new to show.
    """

    def __init__(self, controller: Controller, changed: Callable[[], None]) -> None:
        self._controller, self._changed = controller, changed
        explorer = controller.explorer
        self.node = explorer.before
        """The node that the step comes after."""
        self.ids = controller.explorer.tree.ids(self.node)
        self.runs: list[TemperatureRun] = []
        self._work: asyncio.Task[None] | None = None

    def start(self, temperatures: Sequence[float], seed: int) -> None:
        """Begin anew with these temperatures; the other settings are those in force.

        Raises:
            UsageError: for a temperature that is not possible.
        """
        base = self._controller.explorer.settings
        runs = [
            TemperatureRun(msgspec.structs.replace(base, temperature=t, seed=seed).checked())
            for t in temperatures
        ]
        self.stop()
        self.runs = runs
        self._work = self._controller.jobs.run(self._run(runs))

    def stop(self) -> None:
        """End the continuation that is running."""
        if self._work is not None and not self._work.done():
            self._work.cancel()

    @property
    def running(self) -> TemperatureRun | None:
        """The run whose continuation is being written."""
        if self._work is None or self._work.done():
            return None
        return next((run for run in self.runs if not run.ended), None)

    async def _run(self, runs: list[TemperatureRun]) -> None:
        length = self._controller.explorer.tree.prompt_length(self.node)
        if self._controller.link.can("whole_rows"):
            question = FindEffects(self.ids, [r.settings for r in runs], length)
            found = await self._controller.link.client.ask(question)
            for run, effect in zip(runs, found, strict=True):
                run.effect = effect
        elif (listed := self.listed) is not None:
            for run in runs:
                run.bounds = bounded_view(listed, run.settings)
        self._changed()
        for run in runs:
            await self._continue(run, length)

    @property
    def listed(self) -> Distribution | None:
        """The step's distribution, where the engine has its first candidates only."""
        if self._controller.link.can("whole_rows"):
            return None
        return self._controller.explorer.tree.distribution.get(self.node)

    async def _continue(self, run: TemperatureRun, prompt_length: int) -> None:
        controller = self._controller
        request = controller.streams.request(
            self.ids, run.settings, LENGTH, prompt_length=prompt_length
        )
        async for batch in controller.link.client.stream(request):
            for event in batch:
                if isinstance(event, DrawnToken):
                    run.drawn.append(event)
                elif isinstance(event, StreamEnded):
                    run.ended = event.reason
            self._changed()

    async def keep(self, run: TemperatureRun) -> int:
        """Put a run's continuation into the tree; the branch's number.

        The path in view goes to its end.
        """
        async with self._controller.paused_turn():
            tree, leaf = self._controller.explorer.tree, self.node
            before = len(tree)
            for event in run.drawn:
                leaf = self._controller.streams.add(leaf, event, extends=len(tree) == before)
            if run.ended and run.ended != "interrupted":
                tree.append(Ended(leaf, run.ended))
            self._controller.explorer.go_to(leaf)
            run.branch = tree.branch_of[leaf]
            return run.branch
