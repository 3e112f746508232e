"""Texts whose probability was asked for, as fields of JSON: alone, and in those of a tree."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.scored_text import ScoredText, by_probability
from tokexplore.tui.export.json_fields import TokenFields, line
from tokexplore.tui.export.source import Scope, Source


def texts_of(source: Source, scope: Scope) -> list[tuple[int, Sequence[ScoredText]]]:
    """The texts after the nodes of a scope, by node."""
    nodes = set(source.nodes(scope)) if source.texts else set[int]()
    return [(node, source.texts[node]) for node in sorted(source.texts) if node in nodes]


def text_lines(source: Source, scope: Scope, tokens: TokenFields) -> Iterator[bytes]:
    """A line for each text, with its node and the number of the model that scored it."""
    for node, texts in texts_of(source, scope):
        for text in texts:
            comparable = [other for other in texts if other.model == text.model]
            fields = text_fields(text, by_probability(comparable)[0], tokens)
            yield line({"type": "text", "node": node, "model": text.model, **fields})


def text_fields(text: ScoredText, best: ScoredText, tokens: TokenFields) -> dict[str, object]:
    """A text, its tokens and its numbers.

    Args:
        best: the most probable of those that it is held against.
    """
    nats, parts = text.logprob, zip(text.ids, text.logprobs, text.ranks, strict=True)
    probability = math.exp(nats)
    return {
        "given": text.text,
        "literal": text.literal,
        "logprob": nats,
        "probability": probability if probability or nats == -math.inf else None,
        "from_best": nats - best.logprob,
        "mean_logprob": text.mean,
        "perplexity": text.perplexity,
        "tokens": [
            {**tokens.of(token), "logprob": logprob, "rank": rank or None}
            for token, logprob, rank in parts
        ],
    }
