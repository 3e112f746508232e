"""What `tokexplore lab repeat` writes: a table to read, Markdown, JSON lines or CSV."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.lab.forks import Fork, Segment, Summary, parting, trie
from tokexplore.models.lab.repeat import Checked, Plan, Run
from tokexplore.models.numerics import LOW_PRECISION
from tokexplore.models.protocol import Engine
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui import jsonl
from tokexplore.tui.commands.sweep_report import csv_line, spark
from tokexplore.tui.plain import aligned, cut
from tokexplore.widgets.figures import percent

WORDS = 64
"""Cells of text that a line of the trie shows."""
_READINGS = 8
"""Different readings that a fork's table shows."""


class Result(NamedTuple):
    """What became of one model's plan."""

    engine: Engine
    plan: Plan
    varied: tuple[str, ...]
    runs: tuple[Run, ...]
    controls: tuple[Checked, ...]
    summary: Summary
    forks: list[Fork]


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
        yield safe_text(
            f"{info.name} · {info.dtype} on {info.device} · {info.attention} · "
            f"{setting_of(plan)} · {len(plan.conditions)} runs of {request.max_new_tokens} tokens"
        )
        yield f"after “{one_line(engine.vocabulary, request.ids)}”"
        yield f"varied: {', '.join(varied) or 'nothing'}"

    def run(self, engine: Engine, run: Run) -> Iterator[str]:
        del engine, run
        yield from ()

    def model(self, result: Result) -> Iterator[str]:
        yield ""
        yield headline(result)
        yield control_line(result.controls)
        yield ""
        yield from trie_lines(result)
        yield ""
        yield from _curve_lines(result.summary)
        for number, fork in enumerate(result.forks):
            yield ""
            yield from _fork_lines(result, fork, first=number == 0)

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
        yield _json(
            {
                "type": "repeat",
                **model_fields(engine),
                "attention": info.attention,
                "sampling": jsonl.sampling_fields(request.settings),
                "new_seeds": plan.new_seeds,
                "varied": list(varied),
                "runs": len(plan.conditions),
                "max_new_tokens": request.max_new_tokens,
                "prompt_ids": list(request.ids),
            }
        )

    def run(self, engine: Engine, run: Run) -> Iterator[str]:
        yield _json(
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
            }
        )

    def model(self, result: Result) -> Iterator[str]:
        tokens = jsonl.TokenFields(result.engine.vocabulary)
        for control in result.controls:
            yield _json(msgspec.to_builtins(control))
        for fork in result.forks:
            fields = msgspec.to_builtins(fork)
            fields["tokens"] = [tokens.of(token) for token in fork.tokens]
            yield _json({"type": "fork", **fields})
        summary = msgspec.to_builtins(result.summary)
        del summary["texts"]
        yield _json(
            {
                "type": "summary",
                **model_fields(result.engine),
                "setting": setting_of(result.plan),
                **summary,
                "counts": [len(text.runs) for text in result.summary.texts],
                "control": all(c.same_tokens and c.same_logits for c in result.controls),
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
    return (
        str(summary.unique),
        str(summary.runs),
        "–" if summary.first_fork is None else f"step {summary.first_fork}",
        percent(summary.shared),
        safe_text(f"{info.name} {info.dtype} {info.device}"),
        f"{setting_of(result.plan)}, {', '.join(result.varied) or 'nothing varied'}",
    )


def setting_of(plan: Plan) -> str:
    """The settings, and which seeds the runs have."""
    settings = plan.request.settings
    if settings.greedy or not plan.new_seeds:
        return settings.short()
    return f"{settings.short(with_seed=False)} seeds {settings.seed}, {settings.seed + 1}, ..."


def headline(result: Result) -> str:
    """How many different texts there are, in a sentence."""
    summary = result.summary
    if summary.unique == 1:
        return f"1 unique of {summary.runs}: every run said the same."
    counts = ", ".join(f"×{len(text.runs)}" for text in summary.texts[:8])
    more = ", ..." if len(summary.texts) > 8 else ""
    return (
        f"{summary.unique} unique of {summary.runs} ({counts}{more}); the first fork is at step "
        f"{summary.first_fork}; two texts share {percent(summary.shared)} on average."
    )


def control_line(controls: Sequence[Checked]) -> str:
    """What the positive control says."""
    if not controls:
        return "control: not run."
    bad = [control for control in controls if not control.same_logits]
    names = " and ".join(f"run {control.number}" for control in bad or controls)
    if not bad:
        return f"control: the identical batch of {names} again gave the same logits, bit for bit."
    same = all(control.same_tokens for control in bad)
    return (
        f"control FAILED: the identical batch of {names} again gave other logits"
        f"{' (the same tokens)' if same else ' and other tokens'}: this device is not "
        "deterministic even for the same shapes."
    )


def trie_lines(result: Result) -> Iterator[str]:
    """The prefix trie of all runs with their counts; the first fork is marked."""
    first = result.forks[0].step if result.forks else 0
    yield from _segment(result.engine.vocabulary, trie(result.runs), "", "", first)


def _segment(
    vocabulary: Vocabulary, segment: Segment, lead: str, below: str, first: int
) -> Iterator[str]:
    end = segment.start + len(segment.ids)
    parts = len(segment.children) > 1
    text = one_line(vocabulary, segment.ids)
    mark = ""
    if parts:
        mark = f"  step {end + 1}{' ◀ first fork' if end + 1 == first else ''}"
    yield f"{lead}×{len(segment.runs)} {text}{mark}"
    for child in segment.children:
        last = child is segment.children[-1]
        yield from _segment(
            vocabulary, child, below + ("└─ " if last else "├─ "),
            below + ("   " if last else "│  "), first,
        )  # fmt: skip


def _curve_lines(summary: Summary) -> Iterator[str]:
    yield f"unique beginnings of t tokens  {spark(summary.curve)}  1 to {summary.unique}"
    if summary.divergences:
        left = ", ".join(f"step {step}: {count}" for step, count in summary.divergences)
        yield f"runs that leave run 0 at       {left}"
    ended = ", ".join(f"{reason} {count}" for reason, count in summary.ended)
    yield f"ended                          {ended}; {summary.seconds:.2f} s a run"


def _fork_lines(result: Result, fork: Fork, *, first: bool) -> Iterator[str]:
    """A fork: who took what, both logits as each condition read them, and why."""
    vocabulary = result.engine.vocabulary
    shown = [vocabulary.show(token) for token in fork.tokens]
    taken = ", ".join(f"{vocabulary.show(token)} ×{len(runs)}" for token, runs in fork.choices)
    yield f"{'first fork' if first else 'fork'} at step {fork.step}: {taken}"
    yield f"  {verdict_text(fork)}"
    yield f"  {gap_text(fork, result.engine.info.dtype)}"
    heads = ("runs", *shown, "first − second", "took", "such as")
    rows = [heads]
    for reading in fork.readings[:_READINGS]:
        a, b = reading.logits[:2]
        rows.append(
            (
                f"×{len(reading.runs)}",
                *(logit_text(logit) for logit in reading.logits),
                "" if a is None or b is None else f"{a - b:+.4g}",
                ", ".join(vocabulary.show(token) for token in reading.taken),
                cut(_by_number(result, reading.runs[0]).condition.words(), WORDS),
            )
        )
    yield from (f"  {line}" for line in aligned(rows, "<" + ">" * (len(shown) + 1) + "<<"))
    if len(fork.readings) > _READINGS:
        yield f"  {len(fork.readings) - _READINGS} more readings"


def _by_number(result: Result, number: int) -> Run:
    return next(run for run in result.runs if run.number == number)


def verdict_text(fork: Fork) -> str:
    """Why runs part there, in a sentence."""
    verdict = fork.verdict
    if verdict.kind == "sampler":
        return f"verdict: sampler draw (P = {percent(verdict.probability or 0.0)})"
    chance = ""
    if verdict.probability is not None:
        chance = f"; no draw explains it (P = {verdict.probability:.3g})"
    if not verdict.explained:
        return (
            f"verdict: arithmetic, but the noise of these raw logits is below their margin{chance}"
        )
    return f"verdict: arithmetic (noise {fork.noise:.4g} ≥ margin {fork.margin:.4g} nats){chance}"


def gap_text(fork: Fork, dtype: str) -> str:
    """Margin and noise, and how they stand to the dtype's grid."""
    said = f"margin {fork.margin:.4g} nats, noise {fork.noise:.4g}"
    if fork.grid is not None and dtype in LOW_PRECISION:
        steps = fork.margin / fork.grid
        said += f"; {dtype} has steps of {fork.grid:g} there: the margin is {steps:.3g} of them"
        if not steps:
            said += ", an exact tie, which goes to the lower id"
    return said


def logit_text(logit: float | None) -> str:
    return "" if logit is None else f"{logit:.6g}"


def one_line(vocabulary: Vocabulary, ids: Sequence[int]) -> str:
    """A text on one line, cut in the middle where it is long."""
    text = safe_text(vocabulary.text(ids).replace("\n", NEWLINE))
    if len(text) <= WORDS:
        return text
    half = WORDS // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as a Markdown table, the first one its head."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if not number:
            yield "|" + " --- |" * len(row)


def model_fields(engine: Engine) -> dict[str, object]:
    info = engine.info
    return {
        "model": info.source,
        "revision": info.revision,
        "dtype": info.dtype,
        "device": info.device,
    }


def _json(fields: dict[str, object]) -> str:
    return jsonl.line(fields).decode().rstrip("\n")
