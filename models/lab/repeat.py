"""Repeat runs: one request many times, each computed in another way."""

import time
from collections.abc import Callable, Iterator

import msgspec

from tokexplore.models.api.engine import Control, DrawnToken, EndReason, Engine, StreamRequest
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.tree.study import Checked

TOP = 16
"""Candidates that are kept of each step."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be run."""

    request: StreamRequest
    conditions: tuple[Condition, ...]
    """Of each run."""
    new_seeds: bool = False
    """Run r draws with the seed of the settings + r; else all draw alike."""

    def request_of(self, number: int) -> StreamRequest:
        """The request of one run."""
        settings = self.request.settings
        if self.new_seeds:
            settings = msgspec.structs.replace(settings, seed=seed_after(settings.seed, number))
        return msgspec.structs.replace(self.request, settings=settings, top=TOP)


class Step(msgspec.Struct, frozen=True):
    """One token of a run."""

    token: int
    distribution: Distribution
    """What it was taken from: the first `TOP` candidates, exact sums."""
    sampler_logprob: float
    """Nats, under the run's settings; 0 for greedy."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """One run that is done."""

    number: int
    """From 0."""
    condition: Condition
    seed: int
    steps: tuple[Step, ...]
    ended: EndReason
    seconds: float

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens that it added."""
        return tuple(step.token for step in self.steps)


EngineOf = Callable[[Condition], Engine | None]
"""Gives the engine of a condition: the model in its dtype, on its device.

None where its loading was interrupted.
"""


def repeat(
    plan: Plan,
    engine_of: EngineOf,
    control: Control,
    report: Callable[[int, int], None],
    *,
    checked_when_stopped: bool = True,
) -> Iterator[Run | Checked]:
    """Run a plan; each run as it is done, then the controls. When cancelled, what is done.

    Controls are made of the first run and, where others differ, of the first that does; else of
    the one with the largest batch.

    Args:
        report: told how many runs are done of how many, controls included.
        checked_when_stopped: make the controls of what is done also when it is cancelled.
    """
    runs: list[Run] = []
    total = len(plan.conditions) + min(2, len(plan.conditions))
    for number, _ in enumerate(plan.conditions):
        run = run_once(plan, number, engine_of, control)
        if control.cancelled:
            break
        runs.append(run)
        report(len(runs), total)
        yield run
    if not runs or (control.cancelled and not checked_when_stopped):
        return
    control.cancelled = False  # the control of what is done belongs to every report
    for done, earlier in enumerate(_to_check(runs), len(plan.conditions) + 1):
        again = run_once(plan, earlier.number, engine_of, control)
        if control.cancelled:
            return
        report(min(done, total), total)
        yield Checked(earlier.number, again.ids == earlier.ids, same_logits(again, earlier))


def run_once(plan: Plan, number: int, engine_of: EngineOf, control: Control) -> Run:
    """One run of a plan."""
    condition, request = plan.conditions[number], plan.request_of(number)
    steps: list[Step] = []
    ended: EndReason = "interrupted"
    engine = engine_of(condition)
    if engine is None:
        control.cancelled = True
        return Run(number, condition, request.settings.seed, (), ended, 0.0)
    began = time.perf_counter()
    for event in engine.bench.run(request, condition.execution, control):
        if isinstance(event, DrawnToken):
            assert event.sampler_logprob is not None, "instruments see the whole vocabulary"
            steps.append(Step(event.standing.token, event.distribution, event.sampler_logprob))
        else:
            ended = event.reason
    seconds = time.perf_counter() - began
    return Run(number, condition, request.settings.seed, tuple(steps), ended, seconds)


def same_logits(a: Run, b: Run) -> bool:
    """Whether two runs had the same candidates and logits at every step, bit for bit."""
    return [(s.distribution.ids, s.distribution.logits) for s in a.steps] == [
        (s.distribution.ids, s.distribution.logits) for s in b.steps
    ]


def _to_check(runs: list[Run]) -> list[Run]:
    first = runs[0]
    others = [run for run in runs if run.ids != first.ids]
    others = others or sorted(runs[1:], key=lambda run: -run.condition.execution.batch)
    return [first, *others[:1]]
