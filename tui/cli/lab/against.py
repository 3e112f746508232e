"""`tokexplore lab noise --against`: a server's numbers against those of the same weights here."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.display import safe_text
from tokexplore.models.lab.against import Against, check_same, compare
from tokexplore.models.lab.flips import SIGMAS
from tokexplore.tui.cli.lab.runner import LabRunner, Subject
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.tables import aligned, csv_line, markdown_table

COLUMNS = ("numbers", "steps", "max |Δlogprob|", "median", "max |Δgap|", "other first token")
NEAR = ("step", "token", "margin there", "margin here", "first there", "first here")
SHOWN = 12
"""Steps that could flip which are listed."""


class Result(NamedTuple):
    """One server's path."""

    server: Engine
    here: Engine
    prompt: tuple[int, ...]
    found: Against


def lines(bench: LabRunner) -> Iterator[str]:
    """The report, model by model."""
    bench.need_tokens()
    report = REPORTS[bench.options.format]
    for subject in bench.subjects("forced_tokens"):
        result = _measured(bench, subject)
        if result is not None and result.found.steps:
            yield from report(result)


def _measured(bench: LabRunner, subject: Subject) -> Result | None:
    load = msgspec.structs.replace(subject.load, model=bench.options.own["against"])
    here = bench.open(load)
    if here is None:
        return None
    check_same(subject.engine, here)
    progress = bench.progress("steps")
    found = compare(subject.engine, here, subject.request, subject.control, progress)
    return Result(subject.engine, here, subject.request.ids, found)


def table(result: Result) -> Iterator[str]:
    """For people."""
    yield _head(result)
    yield ""
    yield from aligned([COLUMNS, *_rows(result.found)], "<>>>>>")
    yield ""
    yield "nats; gap: between the server's first two candidates; computed here in one pass"
    yield _near_line(result.found)
    if near := list(_near_rows(result)):
        yield from aligned([NEAR, *near], "><>><<")


def markdown(result: Result) -> Iterator[str]:
    """The same for a page."""
    yield f"## {_head(result)}"
    yield ""
    yield from markdown_table([COLUMNS, *_rows(result.found)])
    yield ""
    yield _near_line(result.found)
    if near := list(_near_rows(result)):
        yield ""
        yield from markdown_table([NEAR, *near])


def json_lines(result: Result) -> Iterator[str]:
    """A line for each step, then a summary."""
    tokens = json_fields.TokenFields(result.server.vocabulary)
    for number, step in enumerate(result.found.steps, 1):
        fields = msgspec.to_builtins(step) | {"token": tokens.of(step.token)}
        yield json_fields.text_line({"type": "against", "step": number, **fields})
    yield json_fields.text_line(
        {
            "type": "summary",
            **json_fields.model_fields(result.server.info),
            "against": json_fields.model_fields(result.here.info),
            "prompt_ids": list(result.prompt),
            "sigma": result.found.sigma,
            "could_flip": result.found.near,
            "flipped": result.found.flipped,
        }
    )


def spreadsheet(result: Result) -> Iterator[str]:
    """A line for each step."""
    yield csv_line(
        ("model", "against", "step", "token", "listed", "max_logprob_listed", "max_logprob_whole",
         "gap", "margin", "first_there", "first_here")
    )  # fmt: skip
    about = result.server.info.source, result.here.info.source
    show = result.server.vocabulary.show
    for number, step in enumerate(result.found.steps, 1):
        there, here = map(show, step.first)
        yield csv_line(
            (*about, number, show(step.token), step.listed, step.streamed, step.whole, step.gap,
             step.margin, there, here)
        )  # fmt: skip


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": table,
    "markdown": markdown,
    "jsonl": json_lines,
    "csv": spreadsheet,
}


def _head(result: Result) -> str:
    there, here = result.server.info, result.here.info
    program = ", ".join(f"{n} {v}" for n, v in there.versions.items() if n != "tokexplore")
    return safe_text(
        f"{there.name} ({program or there.dtype}) against {here.name}, {here.dtype} on "
        f"{here.device} · after “{one_line(result.server.vocabulary, result.prompt)}”"
    )


def _rows(found: Against) -> Iterator[tuple[str, ...]]:
    listed = max(step.listed for step in found.steps)
    gap, flipped = max(abs(step.gap) for step in found.steps), str(len(found.flipped))
    streamed = [step.streamed for step in found.steps]
    yield _row(f"streamed, first {listed}", streamed, f"{gap:.3g}", flipped)
    if whole := [step.whole for step in found.steps if step.whole is not None]:
        yield _row("whole vocabulary", whole, "", "")


def _row(name: str, values: list[float], *more: str) -> tuple[str, ...]:
    return name, str(len(values)), f"{max(values):.3g}", f"{median(values):.3g}", *more


def _near_line(found: Against) -> str:
    sigma = found.sigma
    if sigma is None:
        return "the noise is not told: that takes 8 steps at least."
    return (
        f"noise of a gap σ {sigma:.3g} nats; up to {SIGMAS:g} σ could flip: "
        f"{len(found.near)} of {len(found.steps)} steps."
    )


def _near_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """The steps that flipped or could."""
    show, steps = result.server.vocabulary.show, result.found.steps
    for number in sorted({*result.found.near, *result.found.flipped})[:SHOWN]:
        step = steps[number - 1]
        there, here = map(show, step.first)
        yield (
            str(number), show(step.token), f"{step.margin:.4g}", f"{step.margin + step.gap:.4g}",
            there, here,
        )  # fmt: skip
