"""A comparison of two models as JSON lines and as CSV: a row a step or a stretch of the text."""

from collections.abc import Iterator

import tokexplore
from tokexplore.models.diff.comparison import Comparison, Model, OnePath, OneText
from tokexplore.models.diff.spans import Side, Span
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.display import visible
from tokexplore.tui.export import json_fields
from tokexplore.tui.export.csv_table import spreadsheet_text
from tokexplore.tui.report.tables import csv_line

_STEP_COLUMNS = (
    "position", "origin", "id", "text", "bytes", "delta", "kl_ab", "kl_ba", "js", "acceptance",
)  # fmt: skip
_SIDE_COLUMNS = ("logprob", "rank", "margin", "greedy_id", "greedy_text")
_SPAN_COLUMNS = ("start", "end", "text", "bytes", "delta", "tokens_a", "tokens_b", "logprob_a",
                 "logprob_b")  # fmt: skip


def json_lines(found: Comparison) -> Iterator[str]:
    """Who is compared on what, a line for each step or span, and the totals."""
    lines = _text_lines(found) if isinstance(found, OneText) else _path_lines(found)
    for fields in lines:
        yield json_fields.text_line(fields)


def csv_lines(found: Comparison) -> Iterator[str]:
    """A head, and a line for each step or span."""
    if isinstance(found, OneText):
        yield csv_line(_SPAN_COLUMNS)
        for span in found.spans:
            yield csv_line(_span_cells(found, span))
        return
    yield csv_line((*_STEP_COLUMNS, *(f"{name}_{side}" for side in "ab" for name in _SIDE_COLUMNS)))
    tokens = _tokens(found)
    for step in found.steps:
        fields = _step_fields(found, step, tokens)
        fields["text"] = spreadsheet_text(str(fields["text"]))
        sides = [
            _side_cells(model, reading)
            for model, reading in ((found.first, step.first), (found.second, step.second))
        ]
        yield csv_line((*(fields[name] for name in _STEP_COLUMNS), *sides[0], *sides[1]))


def _head(found: Comparison) -> dict[str, object]:
    models = {
        side: json_fields.model_fields(model.info)
        for side, model in (("a", found.first), ("b", found.second))
    }
    return {"type": "diff", **models, "version": tokexplore.__version__}


def _path_lines(found: OnePath) -> Iterator[dict[str, object]]:
    shared, told = found.shared, found.totals
    yield {
        **_head(found),
        "ids": list(found.ids),
        "prompt_length": found.prompt_length,
        "shared": shared.size,
        "unlike": list(shared.unlike),
        "beyond": list(shared.beyond),
        "complete": told.js is not None,
    }
    tokens = _tokens(found)
    for step in found.steps:
        yield {
            **_step_fields(found, step, tokens),
            "left_out": list(step.left_out),
            "a": _reading_fields(step.first, tokens[0]),
            "b": _reading_fields(step.second, tokens[1]),
        }
    yield {
        "type": "totals",
        "steps": told.steps,
        "same_greedy": told.steps - told.parted,
        "kl_ab": told.kl,
        "kl_ba": told.kl_back,
        "js": told.js,
        "acceptance": told.acceptance,
        "largest_kl_ab": told.largest_kl,
        "logprob": list(told.logprobs),
        "perplexity": list(told.perplexities),
        "left_out": list(told.left_out),
    }


def _text_lines(found: OneText) -> Iterator[dict[str, object]]:
    told = found.totals
    yield {
        **_head(found),
        "text": found.text,
        "ids": [list(spelled.ids) for spelled in found.spellings],
        "added": [list(spelled.added) for spelled in found.spellings],
    }
    data = found.text.encode()
    for span in found.spans:
        yield {
            "type": "span",
            "start": span.start,
            "end": span.end,
            "bytes": data[span.start : span.end].hex(),
            "delta": span.delta if span.counted else None,
            "a": _side_fields(span.first),
            "b": _side_fields(span.second),
        }
    yield {
        "type": "totals",
        "spans": told.spans,
        "bytes": told.bytes,
        "tokens": list(told.tokens),
        "surprisal": list(told.nats),
        "bits_per_byte": list(told.bits_per_byte),
    }


_Tokens = tuple[json_fields.TokenFields, json_fields.TokenFields]


def _tokens(found: OnePath) -> _Tokens:
    one, other = (json_fields.TokenFields(m.vocabulary) for m in (found.first, found.second))
    return one, other


def _step_fields(found: OnePath, step: Step, tokens: _Tokens) -> dict[str, object]:
    return {
        "type": "step",
        "position": step.position,
        "origin": "prompt" if step.position < found.prompt_length else "generated",
        **tokens[0].of(step.token),
        "delta": step.delta,
        "kl_ab": step.kl,
        "kl_ba": step.kl_back,
        "js": step.js,
        "acceptance": step.acceptance,
    }


def _reading_fields(reading: Reading, tokens: json_fields.TokenFields) -> dict[str, object]:
    return {
        "logprob": reading.logprob,
        "rank": reading.rank or None,
        "margin": reading.margin,
        "greedy": tokens.of(reading.greedy),
    }


def _side_fields(side: Side) -> dict[str, object]:
    return {"ids": list(side.ids), "logprob": side.logprob}


def _side_cells(model: Model, reading: Reading) -> tuple[object, ...]:
    shown = spreadsheet_text(model.vocabulary.show(reading.greedy))
    return reading.logprob, reading.rank or None, reading.margin, reading.greedy, shown


def _span_cells(found: OneText, span: Span) -> tuple[object, ...]:
    data = found.text.encode()[span.start : span.end]
    shown = spreadsheet_text(visible(data))
    one, other = span.first, span.second
    return (
        span.start, span.end, shown, data.hex(), span.delta if span.counted else None,
        len(one.ids), len(other.ids), one.logprob, other.logprob,
    )  # fmt: skip
