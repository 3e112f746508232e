"""`tokexplore lab sums`: the two first logits of a step, added up in other orders."""

from collections.abc import Iterator

from tokexplore.models.api.instruments import Split
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sums import exhibit
from tokexplore.tui.cli.lab.runner import LabRunner, Subject
from tokexplore.tui.cli.lab.sums_report import REPORTS, Result

BLOCKS = (1, 2, 4, 8, 16)
"""Of the passes whose linear layers are split; one block, once more, is the control."""


def lines(bench: LabRunner) -> Iterator[str]:
    """The report, model by model."""
    report = REPORTS[bench.options.format]
    for subject in bench.subjects():
        found = _step(bench, subject)
        if found is not None:
            ids, step = found
            engine = subject.engine
            comparison = exhibit(engine.bench.summands(ids), engine.info.dtype)
            yield from report(Result(engine, ids, step, comparison, _splits(bench, subject, ids)))


def _step(bench: LabRunner, subject: Subject) -> tuple[tuple[int, ...], int] | None:
    """The path before the step that is asked for, else before that of the smallest margin.

    None where an interruption came first.
    """
    asked, request = bench.options.own["step"], subject.request
    path, margins = list(request.ids), list[float]()
    if asked != 1:
        length = asked or request.max_new_tokens
        for token in subject.written(length):
            margins.append(token.distribution.margin)
            path.append(token.standing.token)
    if bench.interrupted and len(margins) < max(asked, 1):
        return None
    step = asked or 1 + min(range(len(margins)), key=margins.__getitem__, default=0)
    if step > max(1, len(margins)):
        raise UsageError(f"--step {step} is not there: the path has {len(margins)} steps.")
    return tuple(path[: len(request.ids) + step - 1]), step


def _splits(bench: LabRunner, subject: Subject, ids: tuple[int, ...]) -> tuple[Split, ...]:
    """The passes in blocks, as many as are done before an interruption."""
    progress, splits = bench.progress("passes in blocks"), list[Split]()
    for split in subject.engine.bench.split(ids, BLOCKS):
        splits.append(split)
        progress(len(splits), len(BLOCKS) + 1)
        if bench.interrupted:
            break
    return tuple(splits)
