"""What `tokexplore lab sums` writes: a table to read, Markdown, JSON lines or CSV."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.instruments import Split
from tokexplore.models.display import safe_text
from tokexplore.models.lab.sums import ACCUMULATORS, Exhibit
from tokexplore.models.numerics import LOW_PRECISION, grid_step
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.tables import aligned, csv_line, markdown_table
from tokexplore.widgets.numbers import BARS

BAR = 16
"""Cells of the longest bar."""
COLUMNS = ("order", "accumulator", "first", "second", "first − second", "stored", "")
ORDERS = (
    "sequential: from the first product to the last; pairwise: neighbours, then their sums, and so",
    "on; k blocks: each from its first to its last, then the blocks' sums likewise.",
    "float32: products and sums are rounded to it; bfloat16: each running and partial sum to that.",
    "exact: rounded once, at the end. stored: difference when both sums have the model's dtype.",
)
"""How the sums are made, for people."""
BLOCKS = (
    "RMS of the difference from the pass of one block, relative to its output; max: largest |Δ| of",
    "the row. Each block is summed in float32, the partial sums are added in order, and the result",
    "is rounded to the model's dtype. Attention, norms and grouped experts add up as ever.",
)
"""What the passes are, for people."""


class Result(NamedTuple):
    """One model's step."""

    engine: Engine
    ids: tuple[int, ...]
    step: int
    exhibit: Exhibit
    splits: tuple[Split, ...]


class _Sum(NamedTuple):
    """Both sums as one row tells them."""

    name: str
    accumulator: str
    sums: tuple[float, float] | None
    """Before they are stored; None where only the model knows."""
    stored: tuple[float, float]


def table(result: Result) -> Iterator[str]:
    """For people."""
    yield _head(result)
    yield _names(result)
    yield ""
    yield from aligned([COLUMNS, *_rows(result)], "<<>>>><")
    yield ""
    yield from ORDERS
    yield ""
    yield from findings(result)
    yield ""
    yield _about_splits(result)
    yield from aligned(_split_rows(result), "<" + ">" * (len(result.splits) + 1) + "<")
    yield ""
    yield from BLOCKS


def markdown(result: Result) -> Iterator[str]:
    """The same for a page."""
    yield f"## {_head(result)}"
    yield ""
    yield _names(result)
    yield ""
    yield from markdown_table([COLUMNS, *_rows(result)])
    yield ""
    yield from ORDERS
    yield ""
    yield from (f"{line}  " for line in findings(result))
    yield ""
    yield _about_splits(result)
    yield ""
    yield from markdown_table(_split_rows(result))
    yield ""
    yield from BLOCKS


def json_lines(result: Result) -> Iterator[str]:
    """One object."""
    tokens, exhibit = json_fields.TokenFields(result.engine.vocabulary), result.exhibit
    fields = msgspec.to_builtins(exhibit)
    fields["tokens"] = [tokens.of(token) for token in exhibit.tokens]
    for order, written in zip(exhibit.orders, fields["orders"], strict=True):
        written["verdict"] = exhibit.verdict(order.stored)
    about = {
        "type": "sums",
        **json_fields.model_fields(result.engine.info),
        "step": result.step,
        "ids": list(result.ids),
        **fields,
        "margin": exhibit.margin,
        "spread": {name: exhibit.spread(name) for name in ACCUMULATORS},
        "splits": msgspec.to_builtins(result.splits),
    }
    yield json_fields.text_line(about)


def spreadsheet(result: Result) -> Iterator[str]:
    """A line for each order, then one for each layer of each pass."""
    yield csv_line(
        ("model", "dtype", "step", "what", "name", "accumulator", "blocks", "first", "second",
         "stored_first", "stored_second", "verdict", "max", "relative")
    )  # fmt: skip
    info, verdict = result.engine.info, result.exhibit.verdict
    about = (info.source, info.dtype, result.step)
    for row in _sums(result):
        sums = row.sums or (None, None)
        yield csv_line(
            (*about, "order", row.name, row.accumulator, None, *sums, *row.stored,
             verdict(row.stored), None, None)
        )  # fmt: skip
    for split in result.splits:
        accumulator = "float32" if split.blocks else "its kernel's"
        for layer in split.layers:
            yield csv_line(
                (*about, "pass", layer.name, accumulator, split.blocks, *(None,) * 5,
                 layer.largest, layer.relative)
            )  # fmt: skip


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": table,
    "markdown": markdown,
    "jsonl": json_lines,
    "csv": spreadsheet,
}


def _head(result: Result) -> str:
    info, exhibit = result.engine.info, result.exhibit
    return safe_text(
        f"{info.name} · {info.precision} on {info.device} · step {result.step}, computed in "
        f"one pass · each logit is the sum of {exhibit.length} products"
    )


def _names(result: Result) -> str:
    vocabulary, exhibit = result.engine.vocabulary, result.exhibit
    first, second = (vocabulary.show(token) for token in exhibit.tokens)
    return f"after “{one_line(vocabulary, result.ids)}”: first {first} against second {second}"


def _sums(result: Result) -> Iterator[_Sum]:
    """The exact sums, the model's own, and all orders."""
    exhibit = result.exhibit
    yield _Sum("exact", "float64", exhibit.exact, exhibit.exact_stored)
    yield _Sum("the model", "its kernel's", None, exhibit.head)
    yield from (_Sum(o.name, o.accumulator, o.sums, o.stored) for o in exhibit.orders)


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    for row in _sums(result):
        sums = ("", "", "")
        if row.sums:
            first, second = row.sums
            sums = (f"{first:.7g}", f"{second:.7g}", f"{first - second:+.4g}")
        stored = f"{row.stored[0] - row.stored[1]:+.4g}"
        yield (row.name, row.accumulator, *sums, stored, result.exhibit.verdict(row.stored))


def findings(result: Result) -> Iterator[str]:
    """What the orders do to the two, in sentences."""
    exhibit, dtype = result.exhibit, result.engine.info.dtype
    for accumulator in ACCUMULATORS:
        sentence = (
            f"{accumulator} accumulator: the order alone moves the gap by "
            f"{exhibit.spread(accumulator):.3g} (margin {exhibit.margin:.3g})"
        )
        swaps, ties = _orders(exhibit, accumulator, "swaps"), _orders(exhibit, accumulator, "ties")
        sentence += f"; swapped by {', '.join(swaps)}" if swaps else ""
        sentence += f"; tied by {', '.join(ties)}" if ties else ""
        yield sentence + ("" if swaps or ties else "; the ranking holds") + "."
    step = grid_step(exhibit.exact[0], dtype)
    if step is not None and dtype in LOW_PRECISION:
        stored = exhibit.exact_stored[0] - exhibit.exact_stored[1]
        yield (
            f"a stored logit is a multiple of {step:.3g} there ({dtype}): storing alone makes the "
            f"margin {abs(stored):.3g}."
        )
    if exhibit.head != exhibit.logits:
        first, second = exhibit.logits
        yield (
            f"the model scales or caps these sums afterwards: its logits are {first:.7g} and "
            f"{second:.7g}, {first - second:.4g} apart."
        )


def _orders(exhibit: Exhibit, accumulator: str, verdict: str) -> list[str]:
    """Those that alone, before anything is stored, do this to the two."""
    return [
        order.name
        for order in exhibit.orders
        if order.accumulator == accumulator and exhibit.verdict(order.sums) == verdict
    ]


def _about_splits(result: Result) -> str:
    return (
        f"one pass over {len(result.ids)} tokens, the sums of its linear layers "
        f"({result.splits[-1].matrices} matrices) split into blocks:"
    )


def _split_rows(result: Result) -> list[tuple[str, ...]]:
    """A row for each layer: the relative change of each pass, the largest, and a bar."""
    heads = [_blocks(split) for split in result.splits]
    rows: list[tuple[str, ...]] = [("output", *heads, "max", "")]
    layers = list(zip(*(split.layers for split in result.splits), strict=True))
    top = max(spread.relative for layer in layers for spread in layer) or 1.0
    for layer in layers:
        shares = [spread.relative for spread in layer]
        largest = max(spread.largest for spread in layer)
        bar = BARS[-1] * round(BAR * max(shares) / top)
        rows.append((layer[0].name, *map(_short, shares), _short(largest), bar))
    return rows


def _blocks(split: Split) -> str:
    if split.blocks is None:
        return "own kernels"
    return "1 again" if split.blocks == 1 else f"{split.blocks} blocks"


def _short(value: float) -> str:
    return f"{value:.1e}" if value else "0"
