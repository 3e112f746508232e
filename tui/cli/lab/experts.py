"""`tokexplore lab experts`: routing along a path, what moves it, and limited experts, simulated."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.instruments import Capacity, Execution, Routing
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.experts import (
    IMPLEMENTATIONS,
    Content,
    Limited,
    capacity_sweep,
    content_dependence,
    rerouted,
)
from tokexplore.models.lab.noise import STREAMED, Way, usual_ways
from tokexplore.tui.cli.lab.experts_report import REPORTS, Moved, Result
from tokexplore.tui.cli.lab.runner import Engines, LabRunner, Subject


def lines(bench: LabRunner) -> Iterator[str]:
    """The report, model by model."""
    own = bench.options.own
    if own["batch"] < 2:
        raise UsageError("--batch must be 2 or more: experts are shared with other rows.")
    if own["runs"] < 1:
        raise UsageError("--runs must be 1 or more.")
    bench.need_tokens()
    report = REPORTS[bench.options.format]
    for subject in bench.subjects():
        result = _found(bench, subject)
        if result is not None:
            yield from report(result)


def _found(bench: LabRunner, subject: Subject) -> Result | None:
    engine, control, request = subject.engine, subject.control, subject.request
    path, first = list(request.ids), len(request.ids)
    # A model without experts is told so before it writes its text.
    engine.bench.routing(path, first, Execution(), control, stepwise=False)
    path += [token.standing.token for token in subject.written(request.max_new_tokens)]
    if len(path) == first:
        return None
    names = _implementations(engine, path, first, subject)
    plain, *others = _ways(engine, request.ids, len(path) - first, names)
    engines = Engines(bench, subject)
    base = _routed(engine, path, first, plain, subject)
    if base is None:
        return None
    moved = []
    for way in others:
        loaded = engines.of(way.condition)
        routed = _routed(loaded, path, first, way, subject) if loaded else None
        if routed is None:
            break
        moved.append(Moved(way.name, rerouted(base, routed)))
    batch, runs = bench.options.own["batch"], bench.options.own["runs"]
    content: tuple[Content, ...] = ()
    limited: tuple[Limited, ...] = ()
    if engine.info.capabilities.batches:
        content = tuple(content_dependence(engine, path, first, names, batch, control))
        capacities, report = _capacities(bench), bench.progress("batches")
        limited = tuple(capacity_sweep(engine, request, capacities, runs, batch, control, report))
    return Result(engine, tuple(path), first, base, tuple(moved), content, limited, batch)


def _ways(
    engine: Engine, prompt: Sequence[int], length: int, implementations: Sequence[str]
) -> list[Way]:
    """Token by token first, then what may route otherwise."""
    ways = [way for way in usual_ways(engine, prompt, length) if "again" not in way.name]
    ways += [Way(f"experts {n}", Condition(Execution(experts=n))) for n in implementations]
    return sorted(ways, key=lambda way: way.name != STREAMED)


def _routed(
    engine: Engine, path: Sequence[int], first: int, way: Way, subject: Subject
) -> Routing | None:
    execution = way.condition.execution
    return engine.bench.routing(path, first, execution, subject.control, stepwise=way.stepwise)


def _implementations(
    engine: Engine, path: Sequence[int], first: int, subject: Subject
) -> list[str]:
    """Those that run here."""
    found = []
    for name in IMPLEMENTATIONS:
        try:
            execution = Execution(experts=name)
            steps = engine.bench.trace(
                path[: first + 1], first, execution, subject.control, stepwise=True
            )
            list(steps)
        except (UsageError, RuntimeError, ImportError):
            continue
        found.append(name)
    return found


def _capacities(bench: LabRunner) -> list[Capacity]:
    """A limit that is never met, which must change nothing, and those that were asked for."""
    factors, groups = bench.options.own["factors"], bench.options.own["groups"]
    return [Capacity(math.inf, max(groups)), *(Capacity(f, g) for f in factors for g in groups)]
