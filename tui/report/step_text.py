"""`tokexplore run --format text`: the running text, then a table for each step."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from tokexplore.models.api.engine import DrawnToken
from tokexplore.models.display import safe_character, visible
from tokexplore.models.distribution import Distribution, TokenRank
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.sampler_view import StepView
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import BARS, mass_text, probability_text

LONGEST_TOKEN = 32
"""Cells that a token's text may take in a table."""
CURVE = 40
"""Cells that a curve in a line takes at most."""
SHOWN_BEFORE = 5
"""Tokens of the path that a step's heading shows."""
View = StepView | BoundedView
"""What the sampler makes of a step: exactly or, where the engine cannot tell, in bounds."""
_HEADER = ("", "rank", "token", "id", "logprob", "model", "sampler")
_SIDES = "<><>>>>"


def plain_text(text: str) -> str:
    """Running text for a terminal: line breaks stay, every other control is made visible."""
    return "".join(c if c == "\n" else safe_character(c) for c in text)


def step_table(
    step: int,
    drawn: DrawnToken,
    path: Sequence[int],
    vocabulary: Vocabulary,
    count: int,
    prompt_length: int = 0,
) -> list[str]:
    """The lines of one step, counted from 1.

    Args:
        path: the ids that the step goes on from, `prompt_length` of them the prompt's.
        count: candidates to list; the chosen one is listed in any case.
    """
    view = _view(drawn, path, prompt_length)
    before = path[max(0, len(path) - SHOWN_BEFORE) :]
    standing, distribution = drawn.standing, drawn.distribution
    after = visible(_from_a_character(b"".join(map(vocabulary.bytes_of, before))))
    heading = (
        f'step {step} · position {drawn.position} · after "{after}" · '
        f"{entropy_words(distribution)} · margin {margin_words(distribution)}"
    )
    chosen = (
        f"  chosen: {vocabulary.show(standing.token)} (id {standing.token}, {drawn.chosen_by}), "
        f"rank {_rank(standing)} of {distribution.vocabulary:,}: "
        f"model {percent(standing.logprob)} (logprob {number(standing.logprob)}), "
        f"sampler {_chosen_share(drawn, view)}"
    )
    rows = [_HEADER, *_rows(drawn, view, vocabulary, count)]
    rest = distribution.vocabulary - min(count, len(distribution))
    lines = [heading, chosen, *aligned(rows, _SIDES)]
    for watched in drawn.watched:
        lines.append(
            f"    watched: {vocabulary.show(watched.token)} (id {watched.token}), rank "
            f"{watched.rank:,}: model {percent(watched.logprob)} (logprob "
            f"{number(watched.logprob)})"
        )
    if rest > 0:
        lines.append(
            f"    {rest:,} more hold {mass_text(distribution.tail_mass(count))} of the model's"
        )
    return lines


def entropy_words(distribution: Distribution) -> str:
    """The entropy with its unit, or what it cannot be told from."""
    if distribution.entropy is None:
        return f"entropy ? ({distribution.extent})"
    return f"entropy {distribution.entropy:.4f} nats"


def margin_words(distribution: Distribution) -> str:
    """The margin (nats) with four decimals; `none` where V is 1."""
    return number(distribution.margin) if distribution.margin_known else "?"


def _view(drawn: DrawnToken, path: Sequence[int], prompt_length: int) -> View | None:
    """What the sampler made of a step, where anything can be said."""
    if drawn.sampler is None:
        return bounded_view(drawn.distribution, drawn.settings)
    return StepView(drawn.sampler, changes_of(drawn.settings, path, prompt_length))


def _rank(standing: TokenRank) -> str:
    return f"{standing.rank or '?'}{'=' if standing.tied else ''}"


def _chosen_share(drawn: DrawnToken, view: View | None) -> str:
    """The sampler's probability of the token that was taken."""
    if drawn.sampler_logprob is not None:
        return percent(drawn.sampler_logprob)
    token, distribution = drawn.standing.token, drawn.distribution
    index = distribution.index_of(token)
    return "?" if index is None else _share(view, index, token, distribution.logit_view[index])


def _share(view: View | None, index: int, token: int, logit: float) -> str:
    """The sampler's probability of a candidate that is listed, or the bounds of it."""
    if view is None:
        return "?"
    if isinstance(view, StepView):
        return percent(view.fate(token, logit).logprob)
    bounds = view.share(index)
    low, high = mass_text(bounds.low), mass_text(bounds.high)
    if not bounds.high:
        return "cut"
    return low if low == high else f"{low} to {high}"


def _from_a_character(data: bytes) -> bytes:
    """Bytes without those at their start that end a character that began before."""
    start = next((i for i, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), min(3, len(data)))
    return data[start:]


def _rows(
    drawn: DrawnToken, view: View | None, vocabulary: Vocabulary, count: int
) -> Iterable[tuple[str, ...]]:
    distribution, chosen = drawn.distribution, drawn.standing
    ids = distribution.id_view[:count]
    for index, token in enumerate(ids):
        logprob = distribution.logprob(index)
        share = _share(view, index, token, distribution.logit_view[index])
        rank = f"{distribution.rank(index)}{'=' if distribution.tied(index) else ''}"
        yield _row(token == chosen.token, rank, token, logprob, share, vocabulary)
    if chosen.token not in ids:
        share = _chosen_share(drawn, view)
        yield _row(True, _rank(chosen), chosen.token, chosen.logprob, share, vocabulary)


def _row(
    chosen: bool, rank: str, token: int, logprob: float, sampler: str, vocabulary: Vocabulary
) -> tuple[str, ...]:
    return (
        "  *" if chosen else "",
        rank,
        cut(vocabulary.show(token), LONGEST_TOKEN),
        str(token),
        number(logprob),
        percent(logprob),
        sampler,
    )


def spark(values: Iterable[float]) -> str:
    """A curve in at most 40 cells, from 0 to its largest value; each cell has a mean."""
    points = list(values)
    per = -(-len(points) // CURVE)
    means = [fmean(points[at : at + per]) for at in range(0, len(points), per)]
    top = max([*means, 1e-9])
    return "".join(BARS[min(len(BARS) - 1, int(value / top * len(BARS)))] for value in means)


def percent(logprob: float) -> str:
    """A probability from its logprob (nats); `cut` for none."""
    return "cut" if logprob == -math.inf else probability_text(logprob)


def number(value: float) -> str:
    """A logprob or a margin (nats) with four decimals."""
    return f"{value:.4f}" if math.isfinite(value) else "-inf" if value < 0 else "none"
