"""`tokexplore lab sums`: the two first logits of a step, added up in other orders."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from tokexplore.models.bench import Execution, Split
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sums import ACCUMULATORS, Exhibit, Order, exhibit
from tokexplore.models.numerics import grid_step
from tokexplore.models.protocol import DrawnToken, Engine
from tokexplore.tui import jsonl
from tokexplore.tui.commands.lab.bench import Bench, Subject
from tokexplore.tui.commands.lab.repeat_report import markdown_table, model_fields
from tokexplore.tui.commands.sweep_report import csv_line
from tokexplore.tui.lab_text import one_line
from tokexplore.tui.plain import aligned
from tokexplore.widgets.figures import BARS

BLOCKS = (1, 2, 4, 8, 16)
"""Of the passes whose linear layers are split; one block is the control."""


class Result(NamedTuple):
    """One model's step."""

    engine: Engine
    ids: tuple[int, ...]
    step: int
    exhibit: Exhibit
    splits: tuple[Split, ...]


def lines(bench: Bench) -> Iterator[str]:
    """The report, model by model."""
    bench.need_tokens()
    report = REPORTS[bench.options.format]
    for subject in bench.subjects():
        found = _step(bench, subject)
        if found is not None:
            ids, step = found
            engine = subject.engine
            told = exhibit(engine.bench.summands(ids), engine.info.dtype)
            splits = tuple(engine.bench.split(ids, BLOCKS))
            yield from report(Result(engine, ids, step, told, splits))


def _step(bench: Bench, subject: Subject) -> tuple[tuple[int, ...], int] | None:
    """The path before the step that is asked for, else before that of the smallest margin."""
    asked, request = bench.options.own["step"], subject.request
    path, margins = list(request.ids), list[float]()
    if asked != 1:
        length = asked or request.max_new_tokens
        wanted = msgspec.structs.replace(request, max_new_tokens=length, top=2)
        for event in subject.engine.bench.run(wanted, Execution(), subject.control):
            if isinstance(event, DrawnToken):
                margins.append(event.distribution.margin)
                path.append(event.standing.token)
        if not margins:
            return None
    step = asked or 1 + margins.index(min(margins))
    if step > max(1, len(margins)):
        raise UsageError(f"--step {step} is not there: the path has {len(margins)} steps.")
    return tuple(path[: len(request.ids) + step - 1]), step


COLUMNS = ("order", "accumulator", "first", "second", "first − second", "stored", "")


def table(result: Result) -> Iterator[str]:
    """For people."""
    yield _head(result)
    yield _names(result)
    yield ""
    yield from aligned([COLUMNS, *_rows(result)], "<<>>>><")
    yield ""
    yield from _findings(result)
    yield ""
    yield "one pass with every linear layer's sum split into blocks: relative RMS of the change"
    yield from aligned(_split_rows(result), "<" + ">" * len(result.splits) + "<")


def markdown(result: Result) -> Iterator[str]:
    """The same for a page."""
    yield f"## {_head(result)}"
    yield ""
    yield _names(result)
    yield ""
    yield from markdown_table([COLUMNS, *_rows(result)])
    yield ""
    yield from (f"{line}  " for line in _findings(result))
    yield ""
    yield from markdown_table(_split_rows(result))


def json_lines(result: Result) -> Iterator[str]:
    """One object."""
    tokens = jsonl.TokenFields(result.engine.vocabulary)
    fields = msgspec.to_builtins(result.exhibit)
    fields["tokens"] = [tokens.of(token) for token in result.exhibit.tokens]
    splits = msgspec.to_builtins(result.splits)
    yield (
        jsonl.line(
            {
                "type": "sums",
                **model_fields(result.engine),
                "step": result.step,
                "ids": list(result.ids),
                **fields,
                "spread": {name: result.exhibit.spread(name) for name in ACCUMULATORS},
                "swapped": [result.exhibit.swapped(order) for order in result.exhibit.orders],
                "splits": splits,
            }
        )
        .decode()
        .rstrip("\n")
    )


def spreadsheet(result: Result) -> Iterator[str]:
    """A line for each order."""
    yield csv_line(("model", "dtype", "step", "order", "accumulator", "first", "second", "swapped"))
    info = result.engine.info
    for order in result.exhibit.orders:
        yield csv_line(
            (info.source, info.dtype, result.step, order.name, order.accumulator, *order.sums,
             result.exhibit.swapped(order))
        )  # fmt: skip


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": table,
    "markdown": markdown,
    "jsonl": json_lines,
    "csv": spreadsheet,
}


def _head(result: Result) -> str:
    info, told = result.engine.info, result.exhibit
    return (
        f"{info.name} · {info.dtype} on {info.device} · step {result.step} · each logit is the sum "
        f"of {told.length} products"
    )


def _names(result: Result) -> str:
    vocabulary, told = result.engine.vocabulary, result.exhibit
    first, second = (vocabulary.show(token) for token in told.tokens)
    return f"after “{one_line(vocabulary, result.ids)}”: first {first} against second {second}"


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    told = result.exhibit
    exact = told.exact[0] - told.exact[1]
    yield ("exact", "float64", *(f"{value:.7g}" for value in told.exact), f"{exact:+.4g}", "", "")
    for order in told.orders:
        yield _row(order, told.swapped(order))


def _row(order: Order, swapped: str) -> tuple[str, ...]:
    stored = order.stored[0] - order.stored[1]
    return (
        order.name,
        order.accumulator,
        *(f"{value:.7g}" for value in order.sums),
        f"{order.gap:+.4g}",
        f"{stored:+.4g}",
        swapped,
    )


def _findings(result: Result) -> Iterator[str]:
    told, dtype = result.exhibit, result.engine.info.dtype
    for accumulator in ACCUMULATORS:
        spread = told.spread(accumulator)
        swaps = [
            order.name
            for order in told.orders
            if order.accumulator == accumulator and told.swapped(order) == "swaps"
        ]
        ties = [
            order.name
            for order in told.orders
            if order.accumulator == accumulator and told.swapped(order) == "ties"
        ]
        said = f"{accumulator} accumulator: the order alone moves the gap by {spread:.3g} nats"
        said += f" (margin {told.margin:.3g})"
        if swaps:
            said += f"; swapped by {', '.join(swaps)}"
        if ties:
            said += f"; stored as a tie by {', '.join(ties)}"
        yield said + ("" if swaps or ties else "; the ranking holds") + "."
    step = grid_step(told.exact[0], dtype)
    if step is not None:
        yield f"a stored logit is a multiple of {step:.3g} there ({dtype})."
    if told.head != told.logits:
        yield "the model scales or caps these sums afterwards: its logits are others."


def _split_rows(result: Result) -> list[tuple[str, ...]]:
    """A row for each layer: the relative change for each number of blocks, and a bar."""
    counts = [split.blocks for split in result.splits]
    heads = ("output", *(f"{n} block{'s' if n > 1 else ''}" for n in counts), "")
    rows = [heads]
    top = max(layer.relative for layer in result.splits[-1].layers) or 1.0
    for at, layer in enumerate(result.splits[-1].layers):
        shares = [split.layers[at].relative for split in result.splits]
        filled = shares[-1] / top
        bar = BARS[-1] * max(0, round(24 * filled)) if filled else ""
        rows.append((layer.name, *(f"{share:.2e}" if share else "0" for share in shares), bar))
    return rows
