"""What a second model says of the tokens of a tree, as fields of lines; names as in `diff`'s."""

from tokexplore.tui.export.json_fields import TokenFields
from tokexplore.tui.export.source import Source


def second_model_fields(source: Source) -> dict[str, object]:
    """The second model that the figures come from; empty where there is none."""
    if not source.tree.compared:
        return {}
    by = source.tree.seconds[-1]
    fields = ("revision", "dtype", "device", "threads", "attention", "config_hash")
    told = {name: getattr(by, name) for name in fields}
    return {"second": {"model": by.source, **told}}


def second_fields(source: Source, node: int, tokens: TokenFields) -> dict[str, object]:
    """What it says of a token beside the model, in nats: `a` is the model, `b` the second."""
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
        }
    }
