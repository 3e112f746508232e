"""Why a model said what it said as JSON lines: each as soon as it is known."""

from collections.abc import Callable, Iterable, Iterator

import tokexplore
from tokexplore.models.api.interpreter import (
    AttentionWeights,
    Attributions,
    LayerReading,
    LensStep,
    LogitSplit,
)
from tokexplore.models.distribution import TokenRank
from tokexplore.models.interpret.agreement import agreements
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.why_values import Asked, Section, Worded, taken_at
from tokexplore.tui.report.why_words_text import unit_text

Fields = dict[str, object]
METHODS = {"gradient_x_input": "gradient x input", "integrated_gradients": "integrated gradients"}
"""Fields of a stretch, and whose estimates they are."""


def json_lines(
    asked: Asked, sections: Iterable[Section], stopped: Callable[[], bool]
) -> Iterator[str]:
    """What is asked, the lines of each view, and whether it was stopped."""
    yield json_fields.text_line(_head(asked))
    tokens = json_fields.TokenFields(asked.vocabulary)
    for section in sections:
        for fields in _SECTIONS[section.view](asked, section, tokens):
            yield json_fields.text_line(fields)
    yield json_fields.text_line({"type": "end", "interrupted": stopped()})


def standing_fields(of: TokenRank | None, tokens: json_fields.TokenFields) -> Fields | None:
    """A token and where it stands."""
    if of is None:
        return None
    return {**tokens.of(of.token), "logprob": of.logprob, "rank": of.rank}


def _head(asked: Asked) -> Fields:
    tokens = json_fields.TokenFields(asked.vocabulary)
    return {
        "type": "why",
        **json_fields.model_fields(asked.info),
        "version": tokexplore.__version__,
        "prompt_ids": list(asked.ids),
        "views": list(asked.views),
        "token": standing_fields(asked.token, tokens),
        "against": standing_fields(asked.against, tokens),
        "tuned": asked.tuned or None,
    }


def _lens(asked: Asked, section: Section, tokens: json_fields.TokenFields) -> Iterator[Fields]:
    for step in section.findings:
        if not isinstance(step, LensStep):
            continue
        taken = taken_at(step, asked)
        yield {
            "type": "step",
            "position": step.position,
            "taken": None if taken is None else tokens.of(taken),
            "error": step.error,
        }
        for layer, reading in enumerate(step.layers):
            yield _layer(asked, step, layer, reading, tokens)


def _layer(
    asked: Asked,
    step: LensStep,
    layer: int,
    reading: LayerReading,
    tokens: json_fields.TokenFields,
) -> Fields:
    count = len(asked.named)
    token, against = (*reading.asked[-count:], None)[:2]
    return {
        "type": "layer",
        "position": step.position,
        "layer": layer,
        "entropy": reading.entropy,
        "kl": reading.divergence,
        "taken": None if count == len(reading.asked) else _reading(reading.asked[0]),
        "token": _reading(token),
        "against": _reading(against),
        "top": [standing_fields(each, tokens) for each in reading.top],
    }


def _reading(of: TokenRank | None) -> Fields | None:
    return None if of is None else {"logprob": of.logprob, "rank": of.rank}


def _layers(asked: Asked, section: Section, tokens: json_fields.TokenFields) -> Iterator[Fields]:
    del asked
    for split in section.findings:
        if not isinstance(split, LogitSplit):
            continue
        token, against = map(tokens.of, split.tokens)
        yield {
            "type": "split",
            "token": {**token, "logit": split.logits[0]},
            "against": {**against, "logit": split.logits[1]},
            "difference": split.difference,
            "total": split.total,
            "error": split.error,
            "slope": split.slope,
        }
        for part in split.parts:
            yield {
                "type": "part",
                "kind": part.kind,
                "layer": part.layer or None,
                "name": part.name,
                "head": part.head,
                "difference": part.difference,
                "token": part.logits[0],
                "against": part.logits[1],
            }


def _words(asked: Asked, section: Section, tokens: json_fields.TokenFields) -> Iterator[Fields]:
    del tokens
    found, pieces = Worded(), asked.pieces
    for finding in section.findings:
        found.add(finding)
        match finding:
            case Attributions():
                yield _estimate(finding)
            case AttentionWeights():
                yield _attention(finding, found.weights)
            case OcclusionPlan():
                yield {
                    "type": "round",
                    "units": len(finding.units),
                    "passes": finding.cost,
                    "logprobs": list(finding.logprobs),
                }
            case Occluded():
                yield unit_fields(asked, pieces, found, finding)
    yield _totals(found)


def unit_fields(asked: Asked, pieces: list[str], found: Worded, of: Occluded) -> Fields:
    """A stretch that was hidden, and what estimates say of it; None what was not asked for."""
    unit = of.unit
    return {
        "type": "unit",
        "kind": unit.kind,
        "role": unit.role or None,
        "start": unit.start,
        "end": unit.end,
        "text": unit_text(asked, pieces, unit),
        "bytes": asked.bytes_of(unit).hex(),
        "effect": of.effect,
        "logprobs": list(of.logprobs),
        **{name: found.estimate(method, unit) for name, method in METHODS.items()},
        "attention": found.attended(unit),
    }


def _estimate(made: Attributions) -> Fields:
    return {
        "type": "estimate",
        "method": made.method,
        "gradients": made.points,
        "value": made.value,
        "baseline": made.baseline,
        "completeness_error": made.completeness_error,
        "scores": list(made.scores),
    }


def _attention(of: AttentionWeights, weights: list[float]) -> Fields:
    return {
        "type": "attention",
        "layers": len(of.layers),
        "heads": of.heads,
        "kernel": of.kernel,
        "own_kernel": of.own_kernel,
        "sink": weights[0],
        "weights": weights,
    }


def _totals(found: Worded) -> Fields:
    return {
        "type": "totals",
        "units": len(found.occluded),
        "logprobs": list(found.logprobs),
        "correlations": [
            {
                "method": made.method,
                "kind": each.kind,
                "units": each.units,
                "correlation": each.correlation,
            }
            for made in found.estimates
            for each in agreements(found.occluded, made.scores)
        ],
    }


_SECTIONS: dict[str, Callable[[Asked, Section, json_fields.TokenFields], Iterator[Fields]]] = {
    "lens": _lens,
    "layers": _layers,
    "words": _words,
}
