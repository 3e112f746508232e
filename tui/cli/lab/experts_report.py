"""What `tokexplore lab experts` writes: a table to read, Markdown, JSON lines or CSV."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.instruments import Routing
from tokexplore.models.display import safe_text
from tokexplore.models.lab.experts import Content, Limited, Rerouted
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.tables import aligned, csv_line, markdown_table

STRIP = 96
"""Steps that a line of the strip shows."""
CLOSEST = 8
"""Router decisions with the smallest margins that are listed."""
MOVED = 4
"""Decisions that are listed of each way."""
_SHADES = ((0.02, "█"), (0.1, "▓"), (0.3, "▒"), (1.0, "░"))
LIMITS = "limited experts (simulation: this model's experts have no limits of their own)"
PRIORITY = (
    "all tokens of a pass are grouped row after row (decoding, a pass has one of each row); in a "
    "group an expert takes first choices before second ones, earlier rows first; padding takes no "
    "room, and what does not fit is left out"
)


class Moved(NamedTuple):
    """What one way of computing routes otherwise than token by token."""

    way: str
    tokens: list[Rerouted]


class Result(NamedTuple):
    """One model's path."""

    engine: Engine
    ids: tuple[int, ...]
    first: int
    routing: Routing
    moved: tuple[Moved, ...]
    content: tuple[Content, ...]
    limited: tuple[Limited, ...]
    batch: int

    @property
    def decisions(self) -> int:
        """Tokens times layers."""
        return len(self.routing.chosen) * len(self.routing.layers)


def table(result: Result) -> Iterator[str]:
    """For people."""
    yield head(result)
    yield ""
    yield from strip_lines(result)
    yield ""
    yield "the closest decisions:"
    yield from aligned([CLOSE, *close_rows(result)], ">>><>><")
    yield ""
    yield "routed otherwise than token by token:"
    yield from (f"  {line}" for line in moved_lines(result))
    if result.content:
        yield from ("", f"the same row beside other words, batch of {result.batch}, same shapes:")
        yield from aligned([CONTENT, *content_rows(result)], "<>>")
    if result.limited:
        yield from ("", f"{LIMITS}, batch of {result.batch}, other mates in each run:")
        yield from aligned([LIMITED, *limited_rows(result)], ">>>>>><")
        yield PRIORITY
    yield from alone(result)


def markdown(result: Result) -> Iterator[str]:
    """The same for a page."""
    yield f"## {head(result)}"
    yield from ("", "```text", *strip_lines(result), "```", "", "The closest decisions:", "")
    yield from markdown_table([CLOSE, *close_rows(result)])
    yield from ("", "Routed otherwise than token by token:", "")
    yield from (f"- {line}" for line in moved_lines(result))
    if result.content:
        yield from ("", f"The same row beside other words, batch of {result.batch}:", "")
        yield from markdown_table([CONTENT, *content_rows(result)])
    if result.limited:
        yield from ("", f"{LIMITS.capitalize()}, batch of {result.batch}:", "")
        yield from markdown_table([LIMITED, *limited_rows(result)])
        yield from ("", PRIORITY)
    yield from (*alone(result), "")


def json_lines(result: Result) -> Iterator[str]:
    """Routing, what is moved, content and capacities; a summary last."""
    about = json_fields.model_fields(result.engine.info)
    routing = {"ids": list(result.ids), "first": result.first}
    routing |= msgspec.to_builtins(result.routing)
    yield json_fields.text_line({"type": "routing", **about, **routing})
    for moved in result.moved:
        tokens = msgspec.to_builtins(moved.tokens)
        yield json_fields.text_line({"type": "rerouted", "way": moved.way, "tokens": tokens})
    for content in result.content:
        yield json_fields.text_line(
            {"type": "content", "batch": result.batch, **msgspec.to_builtins(content)}
        )
    for limited in result.limited:
        fields = {"simulation": limited.capacity is not None, "batch": result.batch}
        figures = msgspec.to_builtins(limited._asdict())
        yield json_fields.text_line({"type": "capacity", **fields, **figures})
    counts = {moved.way: len(moved.tokens) for moved in result.moved}
    summary = {"decisions": result.decisions, "rerouted": counts}
    yield json_fields.text_line({"type": "summary", **about, **summary})


def spreadsheet(result: Result) -> Iterator[str]:
    """A line for each token and layer."""
    yield csv_line(("step", "token", "layer", "experts", "weights", "margin", "left_out"))
    vocabulary, routing = result.engine.vocabulary, result.routing
    for step, token in enumerate(result.ids[result.first :]):
        for place, layer in enumerate(routing.layers):
            yield csv_line(
                (step + 1, vocabulary.show(token), layer,
                 " ".join(map(str, routing.chosen[step][place])),
                 " ".join(f"{w:.6g}" for w in routing.weights[step][place]),
                 routing.margins[step][place], routing.left_out[step][place])
            )  # fmt: skip


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": table,
    "markdown": markdown,
    "jsonl": json_lines,
    "csv": spreadsheet,
}
CLOSE = ("step", "layer", "margin", "token", "last in", "first out", "experts (weights)")
CONTENT = ("experts", "max |Δlogit|", "the same again")
LIMITED = (
    "factor", "group", "runs", "unique", "first fork", "as without limits", "same batch again",
)  # fmt: skip


def head(result: Result) -> str:
    info, routing = result.engine.info, result.routing
    chosen = len(routing.chosen[0][0])
    text = one_line(result.engine.vocabulary, result.ids[: result.first])
    return safe_text(
        f"{info.name} · {info.precision} on {info.device} · {len(routing.layers)} layers of "
        f"{routing.experts} experts, {chosen} a token · {len(routing.chosen)} tokens after “{text}”"
    )


def strip_lines(result: Result) -> Iterator[str]:
    """A row for each layer, a cell for each token: the darker, the smaller the router's margin."""
    routing = result.routing
    shades = " ".join(f"{shade} ≤ {most:g}" for most, shade in _SHADES)
    yield f"router margin ({routing.unit}) by layer and token: {shades} · more ? not known"
    for start in range(0, len(routing.margins), STRIP):
        part = routing.margins[start : start + STRIP]
        for place, layer in enumerate(routing.layers):
            cells = "".join(_shade(step[place]) for step in part)
            yield f"{f'layer {layer}':>9} {cells}"


def _shade(margin: float | None) -> str:
    if margin is None:
        return "?"
    return next((shade for most, shade in _SHADES if margin <= most), "·")


def close_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """The decisions with the smallest margins."""
    routing, vocabulary = result.routing, result.engine.vocabulary
    places = [
        (math.inf if margin is None else margin, step, place)
        for step, margins in enumerate(routing.margins)
        for place, margin in enumerate(margins)
    ]
    for margin, step, place in sorted(places)[:CLOSEST]:
        chosen, weights = routing.chosen[step][place], routing.weights[step][place]
        yield (
            str(step + 1),
            str(routing.layers[place]),
            "?" if math.isinf(margin) else f"{margin:.4g}",
            vocabulary.show(result.ids[result.first + step]),
            str(chosen[-1]),
            str(routing.left_out[step][place]),
            ", ".join(f"{e} ({w:.0%})" for e, w in zip(chosen, weights, strict=True)),
        )


def moved_lines(result: Result) -> Iterator[str]:
    """Of each way how many decisions differ, and the first few of them."""
    for way, tokens in result.moved:
        if not tokens:
            yield f"{way}: none of {result.decisions} decisions"
            continue
        listed = [_moved(token) for token in tokens[:MOVED]]
        if len(tokens) > MOVED:
            listed.append(f"{len(tokens) - MOVED} more")
        yield f"{way}: {len(tokens)} of {result.decisions} decisions: {'; '.join(listed)}"


def _moved(token: Rerouted) -> str:
    lost, won = ", ".join(map(str, token.lost)), ", ".join(map(str, token.won))
    margin = "" if token.margin is None else f" (margin {token.margin:.3g})"
    return f"step {token.step + 1}, layer {token.layer}: expert {won} instead of {lost}{margin}"


def content_rows(result: Result) -> Iterator[tuple[str, ...]]:
    for content in result.content:
        largest = f"{content.largest:.3g}" if content.largest else "0 (bit-exact)"
        again = f"{content.again:.3g}" if content.again else "0 (bit-exact)"
        yield content.implementation, largest, again


def limited_rows(result: Result) -> Iterator[tuple[str, ...]]:
    for limited in result.limited:
        capacity = limited.capacity
        yield (
            "none" if capacity is None else f"{capacity.factor:g}".replace("inf", "∞"),
            "" if capacity is None else str(capacity.group),
            str(limited.runs),
            str(limited.unique),
            "–" if limited.first_fork is None else f"step {limited.first_fork}",
            f"{limited.as_plain} of {limited.runs}",
            "the same, bit for bit" if limited.control else "OTHER LOGITS",
        )


def alone(result: Result) -> Iterator[str]:
    """A sentence where nothing can be told of other rows."""
    info = result.engine.info
    if not info.capabilities.batches:
        yield from ("", safe_text(f"{info.name} runs no batches: nothing is told of other rows."))
