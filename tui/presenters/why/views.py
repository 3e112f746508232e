"""What each view of a step shows: its rows, the text above them, and what is to be said of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.display import safe_text
from tokexplore.tui.explore.why.step import WhyStep
from tokexplore.tui.explore.why.why import Why
from tokexplore.tui.presenters.why.attention import (
    attention_order,
    attention_roles,
    attention_rows,
    attention_words,
)
from tokexplore.tui.presenters.why.gaps import gaps_head, gaps_rows
from tokexplore.tui.presenters.why.layers import layers_head, layers_rows, ordered, split_check
from tokexplore.tui.presenters.why.lens import (
    grid_head,
    grid_rows,
    grid_window,
    layer_detail,
    lens_head,
    lens_rows,
)
from tokexplore.tui.presenters.why.text import coloured_text, line_of
from tokexplore.tui.presenters.why.words import (
    Told,
    estimates_words,
    listed,
    text_roles,
    words_head,
    words_rows,
)
from tokexplore.widgets.heat import effect_legend
from tokexplore.widgets.role_lines import Row
from tokexplore.widgets.title_rule import Part, legend_parts, levels_parts

View = Literal["lens", "grid", "layers", "words", "attention", "models"]
VIEWS: tuple[View, ...] = ("lens", "grid", "layers", "words", "attention", "models")

_LENS = (
    "each layer's state read as if it were the last one's: early layers were not trained for that, "
    "and mislead"
)


class Shown(NamedTuple):
    """How the views are shown."""

    cursor: int | None = None
    """Row under the cursor; None before it was moved."""
    by_size: bool = True
    """The largest first, or in the order of layers or of the text."""
    layer: int | None = None
    """Index of the layer whose attention is shown; None is the mean of all."""
    head: int | None = None


class Drawn(NamedTuple):
    """A view as it is drawn."""

    rows: Sequence[Row] = ()
    head: Sequence[Row] = ()
    cursor: int | None = None
    note: str = ""
    """What it is, and what it does not show."""
    text: Sequence[Row] = ()
    """The text of the path, where it is coloured."""
    text_line: int = 0
    """The line of it to keep in view."""
    legend: Sequence[Part] = ()
    detail: Row = ()
    """What is under the cursor, whole."""


def draw_lens(step: WhyStep, shown: Shown, columns: int, room: int) -> Drawn:
    """Every layer's reading of the step.

    Args:
        room: cells of the line below that tells a layer whole.
    """
    step.want("lens")
    if step.lens is None:
        return Drawn(note=step.refused.get("lens", "reading the layers ..."))
    rows = lens_rows(step.lens, step.vocabulary, columns)
    cursor = len(rows) - 1 if shown.cursor is None else min(shown.cursor, len(rows) - 1)
    note = f"{_LENS} · the last is the model's own distribution (off by {step.lens.error:.0e})"
    head = lens_head(step.lens, step.vocabulary, columns)
    detail = layer_detail(step.lens.layers[cursor], cursor, step.vocabulary, room)
    return Drawn(rows, head, cursor, note, legend=legend_parts("share"), detail=detail)


def draw_grid(why: Why, shown: Shown, columns: int) -> Drawn:
    """Every layer's first token at the steps around the one under the cursor."""
    grid, explorer = why.grid, why.explorer
    length = len(grid.ids)
    first, last = grid_window(why.index, length, columns)
    grid.want(first, last)
    steps: list[LensStep | None] = [grid.steps.get(at) for at in range(first, last + 1)]
    taken = [grid.ids[at] if at < length else None for at in range(first, last + 1)]
    head = grid_head(taken, first, why.index, explorer.vocabulary)
    rows = grid_rows(steps, first, why.index, explorer.vocabulary)
    if not rows:
        return Drawn(head=head, note=grid.refused or "reading the layers ...")
    cursor = len(rows) - 1 if shown.cursor is None else min(shown.cursor, len(rows) - 1)
    note = f"the token that each layer would have said, under the one that was taken · {_LENS}"
    here = grid.steps.get(why.index)
    detail = layer_detail(here.layers[cursor], cursor, explorer.vocabulary, columns) if here else ()
    return Drawn(rows, head, cursor, note, legend=legend_parts("share"), detail=detail)


def draw_layers(step: WhyStep, shown: Shown, columns: int) -> Drawn:
    """What each part added to the one token's logit over the other's."""
    step.want("layers")
    if step.split is None:
        return Drawn(note=step.refused.get("layers", "splitting the logits ..."))
    split, parts = step.split, ordered(step.split.parts, by_size=shown.by_size)
    rows = layers_rows(parts, columns)
    refused = step.refused.get("layers")
    note = refused or f"{split_check(split)} · the final norm divides as it did at this step"
    head = layers_head(split, step.vocabulary, columns)
    return Drawn(rows, head, min(shown.cursor or 0, len(rows) - 1), note)


def layer_under_cursor(step: WhyStep, shown: Shown) -> int | None:
    """The layer whose attention is under the cursor of the layers; None where there is none."""
    if step.split is None:
        return None
    parts = ordered(step.split.parts, by_size=shown.by_size)
    part = parts[min(shown.cursor or 0, len(parts) - 1)]
    return part.layer if part.kind == "attention" else None


def draw_words(step: WhyStep, shown: Shown, columns: int) -> Drawn:
    """What hiding each stretch of the text took from the token."""
    step.want("words")
    told = _told(step)
    stretches = listed(told, by_size=shown.by_size)
    cursor = _within(shown.cursor, stretches)
    unit = None if cursor is None else stretches[cursor].unit
    text = coloured_text(told.pieces, text_roles(told, unit), columns)
    at = line_of(told.pieces, unit.start, columns) if unit else len(text) - 1
    rows = words_rows(stretches, told, columns, indented=not shown.by_size)
    legend = [
        Part("effect "),
        *levels_parts(effect_legend(told.largest)),
        Part(" nats", joined=True),
    ]
    return Drawn(
        rows,
        words_head(told, columns) if rows else (),
        cursor,
        _words_note(step, told),
        text,
        at,
        legend if rows else (),
    )


def draw_attention(step: WhyStep, shown: Shown, columns: int) -> Drawn:
    """Where the last token attended to."""
    step.want("attention")
    found = step.attention
    if found is None:
        return Drawn(note=step.refused.get("attention", "one pass for the weights ..."))
    weights = found.row(shown.layer, shown.head)
    pieces = step.vocabulary.pieces(step.subject.ids)
    texts = [p or step.vocabulary.show(t) for p, t in zip(pieces, step.subject.ids, strict=True)]
    order = attention_order(weights)
    cursor = _within(shown.cursor, order)
    roles, at = attention_roles(weights), len(weights) - 1
    if cursor is not None:
        at = order[cursor]
        roles[at] = "chosen"
    note = attention_words(found, shown.layer, shown.head)
    return Drawn(
        attention_rows(order, weights, texts, columns),
        (),
        cursor,
        f"{note} · where a head looked is not what came of it: see words",
        coloured_text(pieces, roles, columns),
        line_of(pieces, at, columns),
    )


def draw_models(why: Why, first: str, second: str, shown: Shown, columns: int) -> Drawn:
    """How far the two models are apart after each layer."""
    if refusal := why.want_gaps():
        return Drawn(note=refusal)
    if why.gaps is None:
        return Drawn(note=why.gaps_refused or "both models read the path ...")
    rows = gaps_rows(why.gaps, why.explorer.vocabulary, columns)
    cursor = len(rows) - 1 if shown.cursor is None else min(shown.cursor, len(rows) - 1)
    note = (
        f"KL of the first model's reading from the second's, and how far the states are · {_LENS}"
    )
    return Drawn(rows, gaps_head((first, second)), cursor, note)


def _within(cursor: int | None, rows: Sequence[object]) -> int | None:
    """The row under the cursor; None before it was moved: the text has its own colours first."""
    return min(cursor, len(rows) - 1) if rows and cursor is not None else None


def _told(step: WhyStep) -> Told:
    ids, vocabulary = step.subject.ids, step.vocabulary
    names = [vocabulary.show(token) for token in ids]
    return Told(vocabulary.pieces(ids), names, step.occluded, step.estimates)


def _rounds_words(step: WhyStep) -> str:
    """How far the hiding is, and what it takes."""
    if step.plan is None:
        return "hiding stretches ..." if step.runs("words") else "stopped before any was hidden"
    done = f"{len(step.occluded)} of {step.planned} stretches hidden"
    if step.runs("words"):
        return f"hiding stretches: {done}, {step.cost:.1f} passes of the path in all"
    stopped = "stopped: " if len(step.occluded) < step.planned else ""
    return f"{stopped}{done}, {step.cost:.1f} passes"


def _words_note(step: WhyStep, told: Told) -> str:
    if refused := step.refused.get("words"):
        return refused
    words = [_rounds_words(step)]
    if step.progress is not None:
        words.append(f"gradients {step.progress.done} of {step.progress.total}")
    words += estimates_words(told)
    if refused := step.refused.get("gradients"):
        words.append(refused)
    if not step.runs("words"):
        words.append("each by itself, from all later tokens: two that say the same cover for each "
                     "other")  # fmt: skip
    return safe_text(" · ".join(words))
