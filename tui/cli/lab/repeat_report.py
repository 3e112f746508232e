"""What `tokexplore lab repeat` writes: a table to read, Markdown, JSON lines or CSV."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.display import safe_text
from tokexplore.models.lab.experiment import setting_of
from tokexplore.models.lab.forks import Summary, parting
from tokexplore.models.lab.repeat import Plan, Run
from tokexplore.models.tree.study import Study
from tokexplore.tui.export import json_fields
from tokexplore.tui.export.study_fields import call_fields, fork_fields
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.study_text import study_lines
from tokexplore.tui.report.tables import aligned, csv_line, markdown_table
from tokexplore.widgets.numbers import percent


class Result(NamedTuple):
    """What became of one model's plan."""

    engine: Engine
    study: Study
    summary: Summary


class Report(Protocol):
    """One of the formats; lines as they are known."""

    def begin(self, engine: Engine, plan: Plan, varied: Sequence[str]) -> Iterator[str]: ...
    def run(self, engine: Engine, run: Run) -> Iterator[str]: ...
    def model(self, result: Result) -> Iterator[str]: ...
    def end(self, results: Sequence[Result]) -> Iterator[str]: ...


class TableReport:
    """For people: what was run, the trie, the forks, the control, and the table of all models."""

    def begin(self, engine: Engine, plan: Plan, varied: Sequence[str]) -> Iterator[str]:
        info, request = engine.info, plan.request
        how = f"{info.precision} on {info.device} · {info.attention}"
        if plan.served:  # which states little of how it computes
            how = f"{info.family} at {info.source.partition('#')[0]}"
        yield safe_text(
            f"{info.name} · {how} · {setting_of(plan)} · {len(plan.conditions)} runs of "
            f"{request.max_new_tokens} tokens"
        )
        yield f"after “{one_line(engine.vocabulary, request.ids)}”"
        yield f"varied: {', '.join(varied) or 'nothing'}"

    def run(self, engine: Engine, run: Run) -> Iterator[str]:
        del engine, run
        yield from ()

    def model(self, result: Result) -> Iterator[str]:
        yield ""
        yield from study_lines(result.study, result.engine.vocabulary)

    def end(self, results: Sequence[Result]) -> Iterator[str]:
        yield ""
        yield from aligned([COLUMNS, *map(row_of, results)], ">>>><<")


class MarkdownReport(TableReport):
    """The same for a page."""

    def begin(self, engine: Engine, plan: Plan, varied: Sequence[str]) -> Iterator[str]:
        first, *rest = super().begin(engine, plan, varied)
        yield f"## {first}"
        yield ""
        for line in rest:
            yield f"{line}  "

    def model(self, result: Result) -> Iterator[str]:
        yield "```text"
        yield from super().model(result)
        yield "```"
        yield ""

    def end(self, results: Sequence[Result]) -> Iterator[str]:
        yield from markdown_table([COLUMNS, *map(row_of, results)])


class JsonReport:
    """JSON lines: what is run, each run as it is done, controls, forks, and a summary."""

    def begin(self, engine: Engine, plan: Plan, varied: Sequence[str]) -> Iterator[str]:
        info, request = engine.info, plan.request
        yield json_fields.text_line(
            {
                "type": "repeat",
                **json_fields.model_fields(info),
                "attention": info.attention,
                "sampling": json_fields.sampling_fields(request.settings),
                "new_seeds": plan.new_seeds,
                "varied": list(varied),
                "runs": len(plan.conditions),
                "max_new_tokens": request.max_new_tokens,
                "prompt_ids": list(request.ids),
            }
        )

    def run(self, engine: Engine, run: Run) -> Iterator[str]:
        yield json_fields.text_line(
            {
                "type": "run",
                "number": run.number,
                "condition": msgspec.to_builtins(run.condition),
                "seed": run.seed,
                "ids": list(run.ids),
                "text": engine.vocabulary.text(run.ids),
                "logprobs": [
                    None if at is None else step.distribution.logprob(at)
                    for step in run.steps
                    for at in [step.distribution.index_of(step.token)]
                ],
                "margins": [step.distribution.margin for step in run.steps],
                "ended": run.ended,
                "seconds": run.seconds,
                **({"load": msgspec.to_builtins(run.load)} if run.load else {}),
            }
        )

    def model(self, result: Result) -> Iterator[str]:
        tokens = json_fields.TokenFields(result.engine.vocabulary)
        for control in result.study.controls:
            yield json_fields.text_line(msgspec.to_builtins(control))
        for fork in result.study.forks:
            yield json_fields.text_line({"type": "fork", **fork_fields(fork, tokens)})
        if calls := result.study.close_calls:
            for call in calls.calls:
                fields = call_fields(calls, call, tokens)
                yield json_fields.text_line({"type": "close_call", **fields})
        summary = msgspec.to_builtins(result.summary)
        del summary["texts"]
        yield json_fields.text_line(
            {
                "type": "summary",
                **json_fields.model_fields(result.engine.info),
                "setting": result.study.setting,
                **summary,
                "counts": [len(text.runs) for text in result.summary.texts],
                "control": all(c.same_tokens and c.same_logits for c in result.study.controls),
                "sigma": calls.sigma if calls else None,
                "noisiest": calls.noisiest if calls else None,
                "offered": list(result.study.offered or ()),
            }
        )

    def end(self, results: Sequence[Result]) -> Iterator[str]:
        del results
        yield from ()


class CsvReport:
    """A line for each run."""

    def __init__(self) -> None:
        self._first: Run | None = None

    def begin(self, engine: Engine, plan: Plan, varied: Sequence[str]) -> Iterator[str]:
        del engine, plan, varied
        if self._first is None:
            yield csv_line(
                ("model", "dtype", "device", "run", "condition", "seed", "tokens", "leaves_first",
                 "ended", "seconds", "text")
            )  # fmt: skip
        self._first = None

    def run(self, engine: Engine, run: Run) -> Iterator[str]:
        self._first = self._first or run
        left = parting(run.ids, self._first.ids)
        info = engine.info
        yield csv_line(
            (info.source, info.dtype, info.device, run.number, run.condition.words(), run.seed,
             len(run.ids), None if left is None else left + 1, run.ended, f"{run.seconds:.3f}",
             engine.vocabulary.text(run.ids))
        )  # fmt: skip

    def model(self, result: Result) -> Iterator[str]:
        del result
        yield from ()

    def end(self, results: Sequence[Result]) -> Iterator[str]:
        del results
        yield from ()


REPORTS: dict[str, type[Report]] = {
    "table": TableReport,
    "markdown": MarkdownReport,
    "jsonl": JsonReport,
    "csv": CsvReport,
}
COLUMNS = ("unique", "runs", "first fork", "shared", "model", "setting")


def row_of(result: Result) -> tuple[str, ...]:
    """One model's line in the table of all, in the columns of published ones."""
    summary, info = result.summary, result.engine.info
    here = f"{info.name} {info.dtype} {info.device}"
    return (
        str(summary.unique),
        str(summary.runs),
        "–" if summary.first_fork is None else f"step {summary.first_fork}",
        percent(summary.shared),
        safe_text(f"{info.name}, {info.family}" if result.study.served else here),
        f"{result.study.setting}, {', '.join(result.study.varied) or 'nothing varied'}",
    )
