"""Texts whose probability was asked for, beside each other in the HTML."""

from collections.abc import Iterator

from tokexplore.models.display import NEWLINE
from tokexplore.models.scored_text import ScoredText, by_probability
from tokexplore.tui.export.markup import html_text
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.text_fields import texts_of
from tokexplore.tui.report.probability_text import quoted, share_of_best, tokens_line
from tokexplore.widgets.numbers import logprob_text, probability_text

PROMPT = 12
"""Tokens of the path that a title shows."""


def texts_parts(source: Source, scope: Scope) -> Iterator[str]:
    """A section with a table for each step and model; nothing where nothing was asked for."""
    found = texts_of(source, scope)
    if not found:
        return
    yield '<section id="texts">\n'
    for node, texts in found:
        before = source.vocabulary.text(source.tree.ids(node)[-PROMPT:]).replace("\n", NEWLINE)
        yield f'<h2>How probable after <a href="#n{node}">“…{html_text(before)}”</a></h2>\n'
        for model in sorted({text.model for text in texts}):
            yield from _table(source, model, [text for text in texts if text.model == model])
    yield "</section>\n"


def _table(source: Source, model: int, texts: list[ScoredText]) -> Iterator[str]:
    by = source.tree.provenance[model]
    yield f"<p>{html_text(f'{by.model}, {by.dtype} on {by.device}')}</p>\n<table><tr><th>text</th>"
    yield "<th>logprob, nats</th><th>probability</th><th>to the best</th></tr>\n"
    ordered = by_probability(texts)
    for text in ordered:
        numbers = logprob_text(text.logprob), probability_text(text.logprob)
        cells = "".join(
            f'<td class="n">{cell}</td>' for cell in (*numbers, share_of_best(text, ordered[0]))
        )
        tokens = html_text(tokens_line(text, source.vocabulary))
        shown = html_text(quoted(text.text, 80))
        yield f"<tr><td><code>{shown}</code><br><small>{tokens}</small></td>"
        yield f"{cells}</tr>\n"
    yield "</table>\n"
