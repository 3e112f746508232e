"""A comparison of two models as one HTML page: both texts, coloured by who was surer."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.diff.comparison import Comparison, Model, OnePath, OneText
from tokexplore.models.diff.spans import Span, Spelling
from tokexplore.models.diff.steps import Step
from tokexplore.models.display import running, visible
from tokexplore.tui.export.html_page import page_head
from tokexplore.tui.export.markup import html_text, token_html
from tokexplore.tui.report.diff_text import (
    facts,
    figures,
    model_words,
    most_line,
    rank_text,
    sides,
    small,
    table,
)
from tokexplore.widgets.numbers import logprob_text

LEVELS = 5
"""Of the ramp on each side of no difference: each from half the difference of the next one on."""


def page(found: Comparison, top: int) -> Iterator[bytes]:
    """The whole page; the `top` steps or spans that differ most in a table."""
    for part in _parts(found, top):
        yield part.encode("utf-8", "backslashreplace")


def _parts(found: Comparison, top: int) -> Iterator[str]:
    one, other = found.first, found.second
    title = f"{one.info.name} and {other.info.name}"
    yield page_head(title, ["html_diff.css"])
    largest = _largest(found)
    yield f"<header>\n<h1>{html_text(title)}</h1>\n"
    for line in facts(found):
        yield f'<p class="facts">{html_text(line)}</p>\n'
    yield _legend(found, largest)
    yield '</header>\n<div class="diff"><table>\n'
    for name, value in figures(found):
        yield f"<tr><th>{html_text(name)}</th><td>{html_text(value)}</td></tr>\n"
    yield '</table></div>\n<div class="sides">\n'
    for letter, model, tokens in zip("AB", (one, other), _texts(found, largest), strict=True):
        yield f"<section><h2>{letter}</h2>\n"
        yield f'<p class="facts">{html_text(model_words(model.info))}</p>\n'
        yield f'<p class="story">{tokens}</p></section>\n'
    yield "</div>\n"
    yield from _table(found, top)
    yield "</body>\n</html>\n"


def level(delta: float, largest: float) -> str:
    """The class of a difference of logprobs, the second's less the first's: empty near none.

    Args:
        largest: the largest finite difference of the page.
    """
    size = abs(delta)
    if not size or not largest:
        return ""
    step = LEVELS if size >= largest else LEVELS + 1 + math.floor(math.log2(size / largest))
    return f"{'less' if delta < 0 else 'more'}-{step}" if step > 0 else ""


def ramp(largest: float) -> tuple[str, str]:
    """Both sides of a ramp up to `largest`, with the differences from which its colours hold."""
    borders = [small(float(f"{largest / 2 ** (LEVELS - n + 1):.2g}")) for n in range(1, LEVELS + 1)]
    less = "".join(f'<b class="less-{n}">−{borders[n - 1]}</b>' for n in range(LEVELS, 0, -1))
    more = "".join(f'<b class="more-{n}">+{borders[n - 1]}</b>' for n in range(1, LEVELS + 1))
    return less, more


def _deltas(found: Comparison) -> list[float]:
    if isinstance(found, OneText):
        return [span.delta for span in found.spans]
    return [step.delta for step in found.steps]


def _largest(found: Comparison) -> float:
    return max((abs(delta) for delta in _deltas(found) if math.isfinite(delta)), default=0.0)


def _legend(found: Comparison, largest: float) -> str:
    """The ramp with the differences from which its colours hold."""
    if not largest:
        return '<div class="legend">no token has another logprob</div>\n'
    less, more = ramp(largest)
    marked = "" if isinstance(found, OneText) else "underlined: the greedy choices differ · "
    return (
        f'<div class="legend">logprob, B less A: B less sure {less}{more} nats, B surer · {marked}'
        "hover a token for its figures</div>\n"
    )


def _texts(found: Comparison, largest: float) -> tuple[str, str]:
    """The text as the tokens of each."""
    if isinstance(found, OneText):
        one, other = (_spelled(found, place, largest) for place in (0, 1))
        return one, other
    return _path(found, found.first, largest), _path(found, found.second, largest)


def _path(found: OnePath, model: Model, largest: float) -> str:
    steps = {step.position: step for step in found.steps}
    pieces = model.vocabulary.pieces(found.ids)
    return "".join(
        _token(found, steps.get(position), piece, largest) for position, piece in enumerate(pieces)
    )


def _token(found: OnePath, step: Step | None, piece: str, largest: float) -> str:
    if step is None:
        return f'<span class="t prompt">{token_html(piece)}</span>'
    kinds = ["t", level(step.delta, largest), "parts" if step.parts else ""]
    one, other = step.first, step.second
    lines = [
        f"position {step.position}, token {step.token} · B − A {small(step.delta)}",
        *(
            f"{letter}: logprob {logprob_text(of.logprob)}, rank {rank_text(of.rank)}, would say "
            f"{model.vocabulary.show(of.greedy)} (margin {small(of.margin)})"
            for letter, of, model in (("A", one, found.first), ("B", other, found.second))
        ),
        f"KL {small(step.kl)}, JS {small(step.js)}, acceptance {small(step.acceptance)}",
    ]
    return _span(kinds, lines, piece)


def _spelled(found: OneText, place: int, largest: float) -> str:
    """The tokens of one of the two, each in the colour of the span that it is in."""
    spelled: Spelling = found.spellings[place]
    data, start, parts = found.text.encode(), 0, list[bytes]()
    for end in spelled.ends:
        parts.append(data[start:end])
        start = end
    pieces = running(parts, complete=True)
    return "".join(
        _stretch(found, span, piece, largest)
        for span, piece in zip(_spans_of(found.spans, spelled.ends), pieces, strict=True)
    )


def _spans_of(spans: Sequence[Span], ends: Sequence[int]) -> Iterator[Span | None]:
    """For each token the span that it is in; None where there is none."""
    left = iter(spans)
    span = next(left, None)
    for end in ends:
        while span is not None and span.end < end:
            span = next(left, None)
        yield span if span is not None and span.start < end else None


def _stretch(found: OneText, span: Span | None, piece: str, largest: float) -> str:
    if span is None or not span.counted:
        return f'<span class="t cut prompt">{token_html(piece)}</span>'
    one, other = span.first, span.second
    shown = visible(found.text.encode()[span.start : span.end])
    lines = [
        f"bytes {span.start}–{span.end}: {shown} · B − A {small(span.delta)}",
        *(
            f"{letter}: logprob {logprob_text(side.logprob or 0.0)} in {len(side.ids)} tokens"
            for letter, side in (("A", one), ("B", other))
        ),
    ]
    return _span(["t", "cut", level(span.delta, largest)], lines, piece)


def _span(kinds: Sequence[str], lines: Sequence[str], piece: str) -> str:
    title = "&#10;".join(map(html_text, lines))
    return (
        f'<span class="{" ".join(filter(None, kinds))}" title="{title}">{token_html(piece)}</span>'
    )


def _table(found: Comparison, top: int) -> Iterator[str]:
    head, *rows = table(found, top)
    if not rows:
        return
    kinds = ["n" if side == ">" else "" for side in sides(found)]
    yield f'<div class="diff"><h2>{html_text(most_line(found))}</h2>\n<table><tr>'
    yield "".join(f'<th class="{k}">{html_text(c)}</th>' for k, c in zip(kinds, head, strict=True))
    yield "</tr>\n"
    for row in rows:
        cells = (f'<td class="{k}">{html_text(c)}</td>' for k, c in zip(kinds, row, strict=True))
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</table></div>\n"
