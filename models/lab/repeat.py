"""Repeat runs: one request many times, each computed in another way."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    EndReason,
    Engine,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.api.traffic import Load
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.served import groups
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

    @property
    def served(self) -> bool:
        """Whether a server makes the runs."""
        return any(condition.traffic for condition in self.conditions)

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
    """What it was taken from: the first `TOP` candidates; with exact sums, but from a server."""
    sampler_logprob: float | None
    """Nats, under the run's settings; 0 for greedy, None where a server draws."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """One run that is done."""

    number: int
    """From 0."""
    condition: Condition
    seed: int
    steps: tuple[Step, ...]
    ended: EndReason
    seconds: float
    load: Load | None = None
    """What a server said of itself meanwhile."""

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
    for numbers in groups(plan.conditions):
        made = run_group(plan, numbers, engine_of, control)
        if control.cancelled:
            break
        runs += made
        report(len(runs), total)
        yield from made
    if not runs or (control.cancelled and not checked_when_stopped):
        return
    control.cancelled = False  # the control of what is done belongs to every report
    for done, earlier in enumerate(_to_check(runs), len(plan.conditions) + 1):
        again, *_ = run_group(plan, [earlier.number], engine_of, control)
        if control.cancelled:
            return
        report(min(done, total), total)
        yield Checked(earlier.number, again.ids == earlier.ids, same_logits(again, earlier))


def run_group(
    plan: Plan, numbers: Sequence[int], engine_of: EngineOf, control: Control
) -> list[Run]:
    """Runs of a plan that are made together, and have one condition.

    Where fewer are asked for than run together under it, others run with them all the same.
    """
    condition = plan.conditions[numbers[0]]
    requests = [plan.request_of(number) for number in numbers]
    gathered = [_Gathered([], "interrupted", 0.0) for _ in requests]
    engine, load = engine_of(condition), None
    if engine is None:
        control.cancelled = True
    else:
        began = time.perf_counter()
        for event in _events(engine, requests, condition, control):
            if isinstance(event, Load):
                load = event
            elif event[0] < len(gathered):
                gathered[event[0]].add(event[1], time.perf_counter() - began)
    return [
        Run(number, condition, request.settings.seed, tuple(of.steps), of.ended, of.seconds, load)
        for number, request, of in zip(numbers, requests, gathered, strict=True)
    ]


def _events(
    engine: Engine, requests: Sequence[StreamRequest], condition: Condition, control: Control
) -> Iterator[tuple[int, DrawnToken | StreamEnded] | Load]:
    """The events of requests under one condition, each with the place of its request."""
    traffic = condition.traffic
    if not traffic:
        (request,) = requests
        yield from ((0, event) for event in engine.bench.run(request, condition.execution, control))
    else:
        more = [requests[0]] * (traffic.copies - len(requests))
        yield from engine.requests.run([*requests, *more], traffic, control)


@dataclass
class _Gathered:
    """What has come of one run."""

    steps: list[Step]
    ended: EndReason
    seconds: float

    def add(self, event: DrawnToken | StreamEnded, seconds: float) -> None:
        self.seconds = seconds
        if isinstance(event, DrawnToken):
            self.steps.append(Step(event.standing.token, event.distribution, event.sampler_logprob))
        else:
            self.ended = event.reason


def same_logits(a: Run, b: Run) -> bool:
    """Whether two runs had the same candidates and logits at every step, bit for bit."""
    return [(s.distribution.ids, s.distribution.logits) for s in a.steps] == [
        (s.distribution.ids, s.distribution.logits) for s in b.steps
    ]


def _to_check(runs: list[Run]) -> list[Run]:
    first = runs[0]
    others = [run for run in runs if run.ids != first.ids]
    others = others or sorted(runs[1:], key=lambda run: -run.condition.at_once)
    return [first, *others[:1]]
