"""What a second model says of the tokens of a tree, as fields of lines; names as in `diff`'s."""

from tokexplore.models.diff.spans import Span
from tokexplore.tui.export.json_fields import TokenFields
from tokexplore.tui.export.source import Source


def second_model_fields(source: Source) -> dict[str, object]:
    """The second model that the figures come from; empty where there is none."""
    if not (source.tree.compared or source.tree.spans):
        return {}
    by = source.tree.seconds[-1]
    fields = ("revision", "dtype", "device", "threads", "attention", "config_hash")
    told = {name: getattr(by, name) for name in fields}
    return {"second": {"model": by.source, **told}}


def second_fields(source: Source, node: int, tokens: TokenFields) -> dict[str, object]:
    """What it says of a token beside the model, in nats: `a` is the model, `b` the second."""
    if (span := source.tree.spans.get(node)) is not None:
        return {"span": _span_fields(span)}
    step = source.tree.compared.get(node)
    if step is None:
        return {}
    second = step.second
    return {
        "second": {
            "logprob": second.logprob,
            "rank": second.rank or None,
            "margin": second.margin,
            "greedy": tokens.of(second.greedy),
            "delta": step.delta,
            "kl_ab": step.kl,
            "kl_ba": step.kl_back,
            "js": step.js,
            "acceptance": step.acceptance,
            **({"left_out": list(step.left_out)} if any(step.left_out) else {}),
        }
    }


def _span_fields(span: Span) -> dict[str, object]:
    """A stretch of the text that ends with a token, where the second model has tokens of its own;
    of two that overlap the one that ends later counts."""
    return {
        "bytes": span.end - span.start,
        "delta": span.delta if span.counted else None,
        "a": {"ids": list(span.first.ids), "logprob": span.first.logprob},
        "b": {"ids": list(span.second.ids), "logprob": span.second.logprob},
    }
