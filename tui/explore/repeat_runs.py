"""The lab's repeat experiment on the request in view: run, watched, kept."""

import asyncio
import time
from collections.abc import Callable, Sequence

from tokexplore.models.errors import ServerError
from tokexplore.models.lab.conditions import SERVER, Knob, usual
from tokexplore.models.lab.experiment import (
    NOTHING_FOUND,
    RUNS,
    Experiment,
    Forked,
    Outcome,
    Planned,
    study_of,
)
from tokexplore.models.lab.forks import Segment
from tokexplore.models.lab.repeat import Run
from tokexplore.models.tree.events import Named, Studied
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.study import Checked, Study
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.worker.async_engine import Handle
from tokexplore.tui.explore.controller import Controller

LENGTH = 64
"""Tokens of a run where nothing else was asked."""
SERVED_RUNS, AT_ONCE = 8, (1, 4)
"""Of a server: runs of each condition where nothing else was asked, and requests at once."""
CONTROLS = 2
"""Runs that are made once more."""


class RepeatRuns:
    """One experiment at the end of the path's prompt: the same request, computed in other ways.

    What is done is kept with the session; nothing of it is in the tree until a run is kept.

    Args:
        changed: called when there is something new to show.
    """

    def __init__(self, controller: Controller, changed: Callable[[], None]) -> None:
        self._controller, self._changed = controller, changed
        tree, leaf = controller.explorer.tree, controller.explorer.leaf
        length = tree.prompt_length(leaf)
        self.node = tree.path(leaf)[length - 1] if length else ROOT
        """The node that the runs go on from: the prompt's last token."""
        self.ids = controller.explorer.tree.ids(self.node)
        self.study: Study | None = self.results[-1] if self.results else None
        """What is known so far; the last one that was kept where none was begun."""
        self.runs = SERVED_RUNS if self.serves else RUNS
        self.length, self.deal = LENGTH, 0
        info = controller.link.info
        self.knobs: tuple[Knob, ...] = usual(info) if info else SERVER
        self._done: list[Run] = []
        self._controls: list[Checked] = []
        self._found = NOTHING_FOUND
        self._planned: Planned | None = None
        self._began = 0.0
        self._work: asyncio.Task[None] | None = None
        self._handle: Handle[Outcome] | None = None

    @property
    def results(self) -> Sequence[Study]:
        """The experiments on this request that are kept, the last one last."""
        return self._controller.explorer.tree.studies.get(self.node, ())

    def look_at(self, by: int) -> bool:
        """Go to an earlier result, or a later one; whether there is one, and nothing runs."""
        places = [at for at, study in enumerate(self.results) if study is self.study]
        if self.running or not places or not 0 <= places[0] + by < len(self.results):
            return False
        self.study = self.results[places[0] + by]
        return True

    @property
    def serves(self) -> bool:
        """Whether a server makes the runs."""
        info = self._controller.link.info
        return info is not None and info.capabilities.serves

    @property
    def why_not(self) -> str:
        """The sentence that says why this engine makes no runs; empty where it does."""
        return self._controller.link.why_not("the lab", "repeats")

    def start(self) -> None:
        """Run the experiment, in the place of one that is running, of which nothing stays."""
        if self._work is not None:
            self._work.cancel()
        controller = self._controller
        request = controller.streams.request(
            self.ids,
            controller.explorer.settings.checked(),
            self.length,
            prompt_length=len(self.ids),
        )
        experiment = Experiment(
            request, self.runs, self.knobs, new_seeds=not request.settings.greedy, deal=self.deal,
            concurrency=AT_ONCE,
        )  # fmt: skip
        self._done, self._controls, self._found, self.study = [], [], NOTHING_FOUND, None
        self._planned = None
        self._began = time.monotonic()
        self._work = controller.jobs.run(self._conduct(experiment))
        self._work.add_done_callback(lambda _work: self._changed())

    def stop(self) -> None:
        """End the run that is computed; what is done stays."""
        if self._handle is not None:
            self._handle.cancel()

    @property
    def running(self) -> bool:
        """Whether runs are being made."""
        return self._work is not None and not self._work.done()

    @property
    def progress(self) -> tuple[int, int, float]:
        """Runs that are done, all runs with their controls, and seconds left, about."""
        planned = len(self._planned.plan.conditions) if self._planned else self.runs
        done, total = len(self._done) + len(self._controls), planned + CONTROLS
        spent = time.monotonic() - self._began
        return done, total, spent / max(1, done) * (total - done)

    async def _conduct(self, experiment: Experiment) -> None:
        self._handle = self._controller.link.client.repeat(experiment)
        try:
            async for batch in self._handle:
                for event in batch:
                    self._take_in(event)
                self._tell()
                self._changed()
        except ServerError:
            self._keep_study()
            raise
        self._keep_study()

    def _take_in(self, event: Outcome) -> None:
        match event:
            case Planned():
                self._planned = event
            case Run():
                self._done.append(event)
            case Checked():
                self._controls.append(event)
            case Forked():
                self._found = event

    def _keep_study(self) -> None:
        if self.study is not None and self.study.runs:
            self._controller.explorer.tree.append(Studied(self.node, self.study))

    def _tell(self) -> None:
        if self._planned is not None and self._controller.link.info is not None:
            self.study = study_of(
                self._planned,
                self._controller.link.info.dtype,
                self._done,
                self._controls,
                self._found,
            )

    async def keep(self, study: Study, segment: Segment) -> int:
        """Put the first run of a part of a study's trie into the tree as a branch; its number.

        The model's numbers for it are computed as for any text that is given: what a run read
        under its own condition is no canonical distribution.
        """
        async with self._controller.paused_turn():
            leaf = self._take(study, segment)
        self._controller.jobs.run(self._score([leaf]))
        return self._controller.explorer.tree.branch_of[leaf]

    async def open_fork(self, study: Study, segment: Segment) -> int:
        """Put the first run of each side of a fork into the tree, and stand at the fork's step.

        How many sides it has.
        """
        async with self._controller.paused_turn():
            leaves = [self._take(study, child) for child in reversed(segment.children)]
            step = len(self.ids) + segment.start + len(segment.ids)
            self._controller.explorer.place(step, jump=True)
        self._controller.jobs.run(self._score(leaves))
        return len(leaves)

    def _take(self, study: Study, segment: Segment) -> int:
        """Put a run's text into the tree; its leaf, which the path in view goes to."""
        explorer = self._controller.explorer
        tree, before = explorer.tree, len(explorer.tree.branches)
        run = next(run for run in study.runs if run.number == segment.runs[0])
        leaf = explore(tree, self.node, run.ids, "picked", extends=True)
        explorer.go_to(leaf)
        number = tree.branch_of[leaf]
        if len(tree.branches) > before:
            tree.history.change(Named(number, f"lab ×{len(segment.runs)}"))
        return leaf

    async def _score(self, leaves: list[int]) -> None:
        for leaf in leaves:
            start = self._controller.scorer.unscored(leaf)
            if start is not None and not self._controller.link.absent:
                await self._controller.scorer.score(leaf, start)


def asked_runs(text: str) -> tuple[int, int]:
    """Runs and tokens as they are typed: `30 x 64`, or runs alone.

    Raises:
        ValueError: for anything else.
    """
    runs, _, length = text.replace("×", "x").partition("x")
    found = int(runs), int(length) if length.strip() else LENGTH
    if not (1 <= found[0] <= 1000 and 1 <= found[1] <= 4096):
        raise ValueError(text)
    return found
