"""A comparison of two models in words and tables."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.diff.comparison import Comparison, OnePath, OneText
from tokexplore.models.diff.spans import Span
from tokexplore.models.diff.steps import Step, most_different
from tokexplore.models.display import counted, safe_text, visible
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import logprob_text, percent

BEFORE = 24
"""Characters of the text before a token that a row shows."""
LONGEST = 18
"""Cells that a token or a stretch of text may take in a table."""
STEP_COLUMNS = (
    "position", "before", "token", "logprob A", "B", "rank A", "B", "KL(A‖B)", "JS",
    "A would say", "B would say", "margin A", "B",
)  # fmt: skip
SPAN_COLUMNS = ("bytes", "before", "text", "tokens A", "B", "logprob A", "B", "B − A")


def report(found: Comparison, top: int) -> Iterator[str]:
    """Who was compared, what it comes to, and the `top` steps or spans that differ most."""
    yield from model_lines(found)
    yield ""
    yield from facts(found)
    yield ""
    yield from aligned(figures(found), "<<")
    rows = list(table(found, top))
    if len(rows) > 1:
        yield ""
        yield most_line(found)
        yield from aligned(rows, sides(found))


def model_lines(found: Comparison) -> Iterator[str]:
    """A line for each of the two: which it is, and how it ran."""
    for letter, model in (("A", found.first), ("B", found.second)):
        yield f"{letter}  {model_words(model.info)}"


def model_words(info: ModelInfo) -> str:
    """A model and how it ran, on one line."""
    revision = f" @ {info.revision[:12]}" if info.revision else ""
    kernel = "" if info.capabilities.serves else info.attention  # a server tells none
    parts = [f"{info.name}{revision}", f"{info.precision} on {info.device}", kernel]
    if info.threads:
        parts.append(f"{info.threads} threads" if info.threads != "1" else "1 thread")
    return safe_text(f"{' · '.join(filter(None, parts))} · {info.source}")


def facts(found: Comparison) -> Iterator[str]:
    """What was read, and what of it is compared."""
    if isinstance(found, OneText):
        yield from _text_facts(found)
        return
    words = f"{counted(len(found.ids), 'token')}, {counted(len(found.steps), 'step')} compared"
    if found.prompt_length < len(found.ids):
        words += f": what follows the {counted(found.prompt_length, 'token')} that were given"
    yield f"{words}; {found.shared.size:,} tokens are in both vocabularies"
    if not found.shared.complete:
        yield _left_out(found)
    if found.totals.js is None:
        yield "one of the two lists the first candidates only: what needs all is not known (?)"


def _left_out(found: OnePath) -> str:
    shared, held = found.shared, found.totals.left_out
    parts = [
        f"{counted(n, 'row')} of {side}" for n, side in zip(shared.beyond, "AB", strict=True) if n
    ]
    if shared.unlike:
        parts.append(f"{counted(len(shared.unlike), 'id')} that one of them has no token for")
    return (
        f"left out of the divergences: {' and '.join(parts)}, which hold {percent(held[0])} (A) "
        f"and {percent(held[1])} (B) of a step on average"
    )


def _text_facts(found: OneText) -> Iterator[str]:
    told = found.totals
    yield (
        "the vocabularies differ: there is no divergence of the two, and the text is cut where "
        "tokens of both end"
    )
    one, other = (len(s.ends) for s in found.spellings)
    yield (
        f"{counted(len(found.text.encode()), 'byte')} of UTF-8: {one:,} tokens of A, {other:,} of "
        f"B; {counted(told.spans, 'span')} of {counted(told.bytes, 'byte')} compared"
    )
    for letter, model, spelled in zip(
        "AB", (found.first, found.second), found.spellings, strict=True
    ):
        if spelled.added:
            names = " ".join(map(model.vocabulary.show, spelled.added))
            yield safe_text(f"{letter} puts {names} around the text, which is no byte of it")


def figures(found: Comparison) -> list[tuple[str, str]]:
    """The totals: their names and what they are."""
    return _span_figures(found) if isinstance(found, OneText) else _step_figures(found)


def _step_figures(found: OnePath) -> list[tuple[str, str]]:
    told = found.totals
    one, other = told.perplexities
    same = told.steps - told.parted
    rows = [
        ("perplexity", f"{small(one)} (A), {small(other)} (B)"),
        ("KL(A‖B)", f"{small(told.kl)} nats a step, at most {small(told.largest_kl)}"),
        ("KL(B‖A)", f"{small(told.kl_back)} nats a step"),
        ("Jensen–Shannon", f"{small(told.js)} nats a step"),
        ("acceptance", f"{_share(told.acceptance)}: Σ min(p, q), of a draft's drawn tokens"),
        (
            "greedy choice",
            f"the same at {same:,} of {counted(told.steps, 'step')} ({percent(told.agreement)})",
        ),
    ]
    return [*rows, *_margins(found.steps)]


def _margins(steps: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """Whether the choices part where the first model's margin is small."""
    known = [(step.parts, step.first.margin) for step in steps if step.first.margin is not None]
    parted = [margin for parts, margin in known if parts]
    others = [margin for parts, margin in known if not parts]
    if parted and others:
        yield (
            "margin of A",
            f"median {small(median(parted))} nats where they differ (at most "
            f"{small(max(parted))}), {small(median(others))} elsewhere",
        )


def _span_figures(found: OneText) -> list[tuple[str, str]]:
    told = found.totals
    one, other = told.bits_per_byte
    return [
        ("bits a byte", f"{small(one)} (A), {small(other)} (B)"),
        ("surprisal", f"{small(told.nats[0])} (A), {small(told.nats[1])} (B) nats"),
        ("tokens", f"{told.tokens[0]:,} (A), {told.tokens[1]:,} (B)"),
    ]


def most_line(found: Comparison) -> str:
    """What the table lists."""
    if isinstance(found, OneText):
        return "Where they differ most, by surprisal:"
    by = "the token's logprob" if found.totals.js is None else "Jensen–Shannon"
    return f"Where they differ most, by {by}:"


def table(found: Comparison, top: int) -> Iterator[tuple[str, ...]]:
    """A head, and the `top` steps or spans that differ most."""
    if isinstance(found, OneText):
        yield SPAN_COLUMNS
        counts = [span for span in found.spans if span.counted]
        for span in sorted(counts, key=lambda span: (-abs(span.delta), span.start))[:top]:
            yield _span_row(found, span)
        return
    yield STEP_COLUMNS
    for step in most_different(found.steps, top):
        yield _step_row(found, step)


def sides(found: Comparison) -> str:
    """Of the columns: `<` or `>` each."""
    return "><<>>>>>" if isinstance(found, OneText) else "><<>>>>>><<>>"


def _step_row(found: OnePath, step: Step) -> tuple[str, ...]:
    one, other, show = step.first, step.second, found.first.vocabulary.show
    before = found.ids[max(0, step.position - BEFORE) : step.position]
    return (
        str(step.position),
        _before(found.first.vocabulary.text(before)),
        cut(show(step.token), LONGEST),
        logprob_text(one.logprob),
        logprob_text(other.logprob),
        rank_text(one.rank),
        rank_text(other.rank),
        small(step.kl),
        small(step.js),
        cut(show(one.greedy), LONGEST),
        cut(found.second.vocabulary.show(other.greedy), LONGEST),
        small(one.margin),
        small(other.margin),
    )


def _span_row(found: OneText, span: Span) -> tuple[str, ...]:
    data = found.text.encode()
    one, other = span.first, span.second
    return (
        f"{span.start}–{span.end}",
        _before(data[max(0, span.start - 4 * BEFORE) : span.start].decode("utf-8", "ignore")),
        cut(visible(data[span.start : span.end]), LONGEST),
        str(len(one.ids)),
        str(len(other.ids)),
        *(logprob_text(side.logprob or 0.0) for side in (one, other)),
        f"{span.delta:+.4f}",
    )


def _before(text: str) -> str:
    return visible(text[-BEFORE:].encode())


def rank_text(rank: int) -> str:
    """A rank; `?` where it is not told."""
    return f"{rank:,}" if rank else "?"


def small(value: float | None) -> str:
    """A figure of any size with four digits; `?` where it is not known."""
    if value is None:
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.4g}%"
