"""One step under several temperatures: what each makes of it, and a continuation of each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tokexplore.models.api.engine import DrawnToken, EndReason, StreamEnded
from tokexplore.models.api.questions import FindEffects
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import TokexploreError
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Ended
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.futures import MOST

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
    begun: bool = False
    """Whether its continuation was asked for."""
    ended: EndReason | Literal["", "failed"] = ""
    """Why the continuation ended; empty while it streams or waits."""
    branch: int = 0
    """The branch that it was kept as."""
    kept: int = 0
    """Tokens of it that were kept."""

    @property
    def live(self) -> bool:
        """Whether its continuation streams."""
        return self.begun and not self.ended


class TemperatureRuns:
    """The runs of the cursor's step; their continuations stream at once, `MOST` at most.

    Nothing of it is in the tree until a run is kept. Where one fails the others go on.

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
        self._works: list[asyncio.Task[None]] = []

    def start(self, temperatures: Sequence[float], seed: int) -> None:
        """Begin anew with each of these temperatures once; the other settings are those in force.

        Raises:
            UsageError: for a temperature that is not possible.
        """
        base = self._controller.explorer.settings
        runs = [
            TemperatureRun(msgspec.structs.replace(base, temperature=t, seed=seed).checked())
            for t in dict.fromkeys(temperatures)
        ]
        self.stop()
        self.runs = runs
        self._works = [self._controller.jobs.run(self._run(runs))]

    def stop(self) -> None:
        """End the continuations that stream."""
        for work in self._works:
            work.cancel()

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
        room = asyncio.Semaphore(MOST)
        self._works += [self._controller.jobs.run(self._go_on(run, length, room)) for run in runs]

    @property
    def listed(self) -> Distribution | None:
        """The step's distribution, where the engine has its first candidates only."""
        if self._controller.link.can("whole_rows"):
            return None
        return self._controller.explorer.tree.distribution.get(self.node)

    async def _go_on(
        self, run: TemperatureRun, prompt_length: int, room: asyncio.Semaphore
    ) -> None:
        async with room:
            try:
                await self._stream(run, prompt_length)
            except TokexploreError:
                run.ended = "failed"
                self._changed()
                raise

    async def _stream(self, run: TemperatureRun, prompt_length: int) -> None:
        controller = self._controller
        request = controller.streams.request(
            self.ids, run.settings, LENGTH, prompt_length=prompt_length
        )
        run.begun = True
        async for batch in controller.link.client.stream(request):
            for event in batch:
                if isinstance(event, DrawnToken):
                    run.drawn.append(event)
                elif isinstance(event, StreamEnded):
                    run.ended = event.reason
            self._changed()

    async def keep(self, run: TemperatureRun) -> int:
        """Put what is there of a run's continuation into the tree; the branch's number.

        The path in view goes to its end. One that streams goes on, to be kept again.
        """
        async with self._controller.paused_turn():
            tree, leaf = self._controller.explorer.tree, self.node
            before = len(tree)
            for event in run.drawn:
                leaf = self._controller.streams.add(leaf, event, extends=len(tree) == before)
            if run.ended not in ("", "interrupted", "failed"):
                tree.append(Ended(leaf, run.ended))
            self._controller.explorer.go_to(leaf)
            run.branch, run.kept = tree.branch_of[leaf], len(run.drawn)
            return run.branch
