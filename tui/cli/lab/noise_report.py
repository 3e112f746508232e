"""What `tokexplore lab noise` writes: a table to read, Markdown, JSON lines or CSV."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.display import safe_text
from tokexplore.models.lab.flips import SIGMAS, could_flip
from tokexplore.models.lab.noise import PREFILLED, STREAMED, Noise, Pair
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.tables import aligned, csv_line, markdown_table
from tokexplore.widgets.numbers import BARS, percent

STRIP = 96
"""Steps that a line of the strip shows."""
COLUMNS = (
    "way", "against", "max |Δlogit|", "median", "max |Δlogprob|", "max |Δgap|", "top-1 flips",
)  # fmt: skip


class Result(NamedTuple):
    """One model's path and what was measured along it."""

    engine: Engine
    ids: tuple[int, ...]
    first: int
    """Tokens before the first step."""
    noise: Noise


def table(result: Result) -> Iterator[str]:
    """For people: every way against the reference and the stream, the strip, ties and marks."""
    noise, info = result.noise, result.engine.info
    yield _head(result)
    yield ""
    yield from aligned([COLUMNS, *map(_cells(noise), _shown_pairs(noise))], "<<>>>>>")
    yield ""
    yield (
        "largest of all steps and of the vocabulary, nats; median: of the steps' largest |Δlogit|; "
        "gap: between the top two"
    )
    yield ""
    yield from strip_lines(noise)
    yield ""
    yield from tie_lines(result)
    yield flip_line(noise)
    if info.dtype == "float32":
        yield "the model runs in float32: there is no finer reference to hold it against."


def markdown(result: Result) -> Iterator[str]:
    """The same for a page."""
    noise = result.noise
    yield f"## {_head(result)}"
    yield ""
    yield from markdown_table([COLUMNS, *map(_cells(noise), _shown_pairs(noise))])
    yield ""
    yield from ("```text", *strip_lines(noise), "```", "")
    yield from (f"{line}  " for line in tie_lines(result))
    yield flip_line(noise)


def json_lines(result: Result) -> Iterator[str]:
    """A line for each pair of ways with every step, then a summary."""
    noise = result.noise
    for pair in noise.pairs:
        fields = msgspec.to_builtins(pair)
        fields |= {"first": noise.ways[pair.first].name, "second": noise.ways[pair.second].name}
        yield json_fields.text_line({"type": "pair", **fields})
    yield json_fields.text_line(
        {
            "type": "summary",
            **json_fields.model_fields(result.engine.info),
            "ids": list(result.ids),
            "first": result.first,
            "steps": noise.steps,
            "ways": [msgspec.to_builtins(way) for way in noise.ways],
            "margins": [list(margins) for margins in noise.margins],
            "ties": [list(ties) for ties in noise.ties],
            "sigma": noise.sigma,
            "could_flip": marked(noise),
            "flipped": flipped(noise),
        }
    )


def spreadsheet(result: Result) -> Iterator[str]:
    """A line for each pair of ways."""
    noise = result.noise
    yield csv_line(
        ("model", "dtype", "way", "against", "steps", "max_logit", "median_logit", "max_logprob",
         "max_gap", "flips", "exact")
    )  # fmt: skip
    info = result.engine.info
    for pair in noise.pairs:
        yield csv_line(
            (info.source, info.dtype, noise.ways[pair.second].name, noise.ways[pair.first].name,
             noise.steps, max(pair.logit), median(pair.logit), max(pair.logprob),
             max(map(abs, pair.gap)), len(pair.flips), pair.exact)
        )  # fmt: skip


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": table,
    "markdown": markdown,
    "jsonl": json_lines,
    "csv": spreadsheet,
}


def _head(result: Result) -> str:
    info = result.engine.info
    text = one_line(result.engine.vocabulary, result.ids[: result.first])
    return safe_text(
        f"{info.name} · {info.precision} on {info.device} · {info.attention} · "
        f"{result.noise.steps} steps after “{text}”"
    )


def _shown_pairs(noise: Noise) -> list[Pair]:
    """Every way against the reference, then every other one against the stream."""
    firsts = dict.fromkeys((0, noise.place(STREAMED)))
    return [pair for first in firsts for pair in noise.pairs if pair.first == first]


def _cells(noise: Noise) -> Callable[[Pair], tuple[str, ...]]:
    def cells(pair: Pair) -> tuple[str, ...]:
        names = noise.ways[pair.second].name, noise.ways[pair.first].name
        if pair.exact:
            return (*names, "0", "0", "0", "0", "bit-exact")
        return (
            *names,
            f"{max(pair.logit):.3g}",
            f"{median(pair.logit):.3g}",
            f"{max(pair.logprob):.3g}",
            f"{max(map(abs, pair.gap)):.3g}",
            f"{len(pair.flips)} of {noise.steps}",
        )

    return cells


def marked(noise: Noise) -> list[int]:
    """Steps, from 1, that could flip: their margin in the stream is within its noise."""
    sigma = noise.sigma
    if sigma is None:
        return []
    margins = noise.margins[noise.place(STREAMED)]
    return [step for step, margin in enumerate(margins, 1) if could_flip(margin, sigma)]


def flipped(noise: Noise) -> list[int]:
    """Steps, from 1, whose first candidate some way of the same dtype has otherwise."""
    streamed = noise.place(STREAMED)
    own = noise.ways[streamed].condition.dtype
    found: set[int] = set()
    for pair in noise.pairs:
        same = {noise.ways[place].condition.dtype for place in (pair.first, pair.second)} == {own}
        if same and streamed in (pair.first, pair.second):
            found.update(step + 1 for step in pair.flips)
    return sorted(found)


def strip_lines(noise: Noise) -> Iterator[str]:
    """Along the path: the gap's noise in one pass, bars to its largest, and marks below."""
    gaps = [abs(gap) for gap in noise.pair(STREAMED, PREFILLED).gap]
    marks, flips = set(marked(noise)), set(flipped(noise))
    top = max(gaps)
    yield f"|Δgap| of one pass against the stream by step, 0 to {top:.3g} nats"
    for start in range(0, noise.steps, STRIP):
        part = gaps[start : start + STRIP]
        bars = "".join(_bar(gap, top) for gap in part)
        steps = range(start + 1, start + len(part) + 1)
        yield f"{start + 1:>5} {bars}"
        below = "".join("✗" if n in flips else "▲" if n in marks else " " for n in steps)
        if below.strip():
            yield f"      {below.rstrip()}"


def _bar(value: float, top: float) -> str:
    if not value or not top:
        return "·"
    return BARS[min(len(BARS) - 1, int(value / top * len(BARS)))]


def tie_lines(result: Result) -> Iterator[str]:
    """Where the top two logits are the same number, and who wins there."""
    noise = result.noise
    ties = noise.ties[noise.place(STREAMED)]
    if ties:
        steps = ", ".join(str(step + 1) for step in ties[:20])
        more = ", ..." if len(ties) > 20 else ""
        yield (
            f"exact ties of the first two candidates: {len(ties)} of {noise.steps} steps ({steps}"
            f"{more}); the lower id goes first"
        )
    else:
        yield f"exact ties of the first two candidates: none of {noise.steps}"


def flip_line(noise: Noise) -> str:
    """What is marked, and what came of it in the ways that were tried."""
    sigma, marks, flips = noise.sigma, marked(noise), flipped(noise)
    if sigma is None:
        return "too few steps to estimate the noise: no step is marked."
    if not sigma:
        return "one pass and the stream are bit-exact: no step could flip by that."
    caught = len(set(marks) & set(flips))
    text = (
        f"▲ could flip: {len(marks)} steps ({percent(len(marks) / noise.steps)}) have a margin "
        f"within {SIGMAS:g} standard deviations of the gap's noise ({SIGMAS * sigma:.3g} nats)"
    )
    if not flips:
        return f"{text}; none of the ways tried flipped any."
    steps = ", ".join(map(str, flips[:12]))
    return f"{text}; ✗ flipped in some way: {len(flips)} (step {steps}), of which {caught} marked."
