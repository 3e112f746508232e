"""What the inspector says of a second model: of the token, of the path, of itself."""

from tokexplore.models.diff.spans import Span, SpanTotals, span_totals
from tokexplore.models.diff.steps import Reading, Step, totals
from tokexplore.models.tree.spanned import span_over
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.presenters.second import compared_on_path, spans_on_path
from tokexplore.tui.presenters.status import provenance_words
from tokexplore.widgets.numbers import percent

Lines = list[tuple[str, str]]


def second_lines(explorer: Explorer) -> Lines:
    """Its figures; none where none was ever loaded."""
    tree, node = explorer.tree, explorer.taken
    if not tree.seconds:
        return []
    lines = [("against", provenance_words(tree.seconds[-1]))]
    if (placed := span_over(tree.spans, explorer.nodes, explorer.cursor)) is not None:
        lines += _span(placed.span)
    if spans := [each.span for each in spans_on_path(explorer)]:
        return lines + _text(span_totals(spans))
    step = None if node is None else tree.compared.get(node)
    if step is not None:
        lines += _token(explorer, step)
    steps = compared_on_path(explorer)
    return lines + (_path(steps) if steps else [])


def _token(explorer: Explorer, step: Step) -> Lines:
    lines = [
        ("this token", f"{_reading(step.second)}; Δ {step.delta:+.4f} nats"),
        ("its choice", explorer.vocabulary.show(step.second.greedy) + _margin(step.second)),
    ]
    if step.kl is not None and step.kl_back is not None and step.js is not None:
        lines.append(("KL", f"{step.kl:.4g} nats from the model to it, {step.kl_back:.4g} back"))
        lines.append(("Jensen-Shannon", f"{step.js:.4g} nats"))
    if step.acceptance is not None:
        lines.append(("acceptance", f"{percent(step.acceptance)} of draws (the sum of min(p, q))"))
    if any(step.left_out):
        one, other = (percent(share) for share in step.left_out)
        lines.append(("not shared", f"{one} of the model's mass, {other} of its own"))
    return lines


def _span(span: Span) -> Lines:
    one, other = span.first, span.second
    if one.logprob is None or other.logprob is None:
        return []
    costs = f"{0.0 - one.logprob:.4f} nats, the second {0.0 - other.logprob:.4f}"
    tokens = f"{len(one.ids)} of the model's tokens, {len(other.ids)} of its own"
    return [("this stretch", f"{costs}; {tokens}"), ("", f"Δ {span.delta:+.4f} nats")]


def _text(told: SpanTotals) -> Lines:
    one, other = told.bits_per_byte
    return [
        ("this path", f"{told.bytes:,} bytes in {told.spans:,} stretches"),
        ("tokens", f"{told.tokens[0]:,}, of the second {told.tokens[1]:,}"),
        ("bits per byte", f"{one:.4f}, of the second {other:.4f}"),
    ]


def _reading(reading: Reading) -> str:
    return (
        f"{reading.logprob:.4f} nats, rank {reading.rank:,}"
        if reading.rank
        else (f"{reading.logprob:.4f} nats")
    )


def _margin(reading: Reading) -> str:
    return "" if reading.margin is None else f", margin {reading.margin:.4f} nats"


def _path(steps: list[Step]) -> Lines:
    told = totals(steps)
    one, other = told.perplexities
    lines = [
        ("this path", f"{told.steps:,} tokens read by both"),
        ("same choice", f"{percent(told.agreement)}: all but {told.parted:,}"),
        ("perplexity", f"{one:.4g}, of the second {other:.4g}"),
    ]
    if told.kl is not None and told.js is not None and told.largest_kl is not None:
        means = f"{told.kl:.4g} nats in the mean, at most {told.largest_kl:.4g}"
        lines.append(("KL", f"{means}; Jensen-Shannon {told.js:.4g}"))
    if told.acceptance is not None:
        lines.append(("acceptance", f"{percent(told.acceptance)} in the mean"))
    return lines
