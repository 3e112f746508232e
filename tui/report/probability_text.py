"""Texts that could come next in lines: token by token, and beside each other."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.display import counted, safe_text, visible
from tokexplore.models.scored_text import ScoredText, by_probability
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.report.step_text import LONGEST_TOKEN
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import logprob_text, probability_text, ratio_text

WHOLE_STRINGS = (
    "Whole texts are compared, whatever their number of tokens: a longer one loses more."
)
_TOKENS = ("", "token", "id", "logprob", "model", "rank")
_TEXTS = ("text", "tokens", "logprob", "probability", "to the best")


def quoted(text: str, cells: int = LONGEST_TOKEN) -> str:
    """A text on one line, its spaces and line breaks to be seen."""
    return f"“{cut(visible(text.encode()), cells)}”"


def text_lines(text: ScoredText, vocabulary: Vocabulary, by: str = "") -> Iterator[str]:
    """A text: its tokens with the model's numbers, their sum, and what that is a token.

    Args:
        by: the model, where it is to be named.
    """
    whose = f", by {safe_text(by)}" if by else ""
    yield f"{quoted(text.text)}, {counted(len(text.ids), 'token')}{whose}"
    yield from aligned([_TOKENS, *_token_rows(text, vocabulary)], "><>>>>")
    nats = text.logprob
    yield (
        f"  in all {logprob_text(nats)} nats = {logprob_text(nats, bits=True)} bits: probability "
        f"{probability_text(nats)}"
    )
    yield f"  a token {logprob_text(text.mean)} nats, perplexity {_perplexity(text)}"


def _token_rows(text: ScoredText, vocabulary: Vocabulary) -> Iterator[tuple[str, ...]]:
    for token, logprob, rank in zip(text.ids, text.logprobs, text.ranks, strict=True):
        shown = cut(vocabulary.show(token), LONGEST_TOKEN)
        yield ("", shown, str(token), *_numbers(logprob), f"{rank:,}" if rank else "?")


def _numbers(logprob: float | None) -> tuple[str, str]:
    nats = -math.inf if logprob is None else logprob
    return logprob_text(nats), probability_text(nats)


def tokens_line(text: ScoredText, vocabulary: Vocabulary) -> str:
    """The tokens of a text with logprob (nats) and probability, one after the other."""
    each = zip(text.ids, map(_numbers, text.logprobs), strict=True)
    return " │ ".join(f"{vocabulary.show(token)} {nats} {share}" for token, (nats, share) in each)


def _perplexity(text: ScoredText) -> str:
    if text.mean == -math.inf:
        return "∞"
    return f"{text.perplexity:,.2f}" if text.perplexity < 1e6 else ratio_text(-text.mean)


def ranking_lines(texts: Sequence[ScoredText]) -> Iterator[str]:
    """Texts after the same path beside each other, the most probable first."""
    yield from ranking_table(texts)
    first, second, *_ = by_probability(texts)
    if second.logprob > -math.inf:
        times = ratio_text(first.logprob - second.logprob)
        yield (
            f"{quoted(first.text)} is {times} x as likely as {quoted(second.text)}"
            if first.logprob > second.logprob
            else f"{quoted(first.text)} and {quoted(second.text)} are equally likely"
        )
    if len({len(text.ids) for text in texts}) > 1:
        yield WHOLE_STRINGS


def ranking_table(texts: Sequence[ScoredText], cells: int = LONGEST_TOKEN) -> list[str]:
    """The table of that, with so many cells for each text at most."""
    ordered = by_probability(texts)
    rows = [
        (
            quoted(text.text, cells),
            f"{len(text.ids):,}",
            logprob_text(text.logprob),
            probability_text(text.logprob),
            share_of_best(text, ordered[0]),
        )
        for text in ordered
    ]
    return aligned([_TEXTS, *rows], "<>>>>")


def share_of_best(text: ScoredText, best: ScoredText) -> str:
    """`1`, `1/12.3`; `0` for what the model holds impossible."""
    if text.logprob == -math.inf:
        return "0"
    gap = best.logprob - text.logprob
    return f"1/{ratio_text(gap)}" if gap > 0 else "1"
