"""`tokexplore lab noise`: one path computed in several ways, logit by logit."""

from collections.abc import Iterator

from tokexplore.models.lab.noise import LONGEST, measure, usual_ways
from tokexplore.tui.cli.lab import against
from tokexplore.tui.cli.lab.noise_report import REPORTS, Result
from tokexplore.tui.cli.lab.runner import Engines, LabRunner, Subject


def lines(bench: LabRunner) -> Iterator[str]:
    """The report, model by model."""
    if bench.options.own["against"]:
        yield from against.lines(bench)
        return
    report = REPORTS[bench.options.format]
    for subject in bench.subjects():
        result = _measured(bench, subject)
        if result is not None:
            yield from report(result)


def _measured(bench: LabRunner, subject: Subject) -> Result | None:
    engine, prompt = subject.engine, subject.request.ids
    path, first = list(prompt), len(prompt)
    if not subject.request.max_new_tokens:
        first = 1  # the prompt's own steps
    length = min(subject.request.max_new_tokens, LONGEST)
    path += [token.standing.token for token in subject.written(length)]
    if len(path) == first:
        return None
    ways = usual_ways(engine, path[:first], len(path) - first)
    of = Engines(bench, subject).of
    noise = measure(path, first, ways, of, subject.control, bench.progress("steps"))
    return None if noise is None else Result(engine, tuple(path), len(path) - noise.steps, noise)
