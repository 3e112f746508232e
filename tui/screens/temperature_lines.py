"""What the screen of several temperatures tells of each: its next token, figures, continuation."""

from collections.abc import Sequence
from itertools import islice, takewhile
from statistics import fmean
from typing import NamedTuple

from textual.content import Content

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.bounds import BoundedView
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.explore.temperature_runs import TemperatureRun
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, fitting, width
from tokexplore.widgets.heat import level
from tokexplore.widgets.numbers import count, percent
from tokexplore.widgets.title_rule import SEPARATOR

_WORD, _BAR = 14, 16


def run_content(
    run: TemperatureRun,
    listed: Distribution | None,
    vocabulary: Vocabulary,
    columns: int,
    *,
    here: bool,
) -> Content:
    """A temperature's next token, its figures, and the continuation in the colours of surprisal.

    Args:
        listed: the step's first candidates, where the engine lists no others.
    """
    text = _text(run, vocabulary, max(10, columns - 2))
    head = _head(run, listed, vocabulary, columns, here).truncate(columns, ellipsis=True)
    return Content("\n").join([head, *text])


def _head(
    run: TemperatureRun,
    listed: Distribution | None,
    vocabulary: Vocabulary,
    columns: int,
    here: bool,
) -> Content:
    name = "greedy" if run.settings.greedy else f"T {run.settings.temperature:g}"
    mark = Content.assemble(
        ("› " if here else "  ", "bold $here"),
        ("▶ ", "$sampler") if run.live else ("■ " if run.ended else "  ", "$text-muted"),
    )
    head = (f"{name:<8}", "bold $here" if here else "bold")
    if run.effect is not None:
        first = _exact(run.effect)
    elif listed is not None:
        first = _bounded(run.bounds, listed)
    else:
        return Content.assemble(mark, head, ("…", "$text-muted"))
    word = cut(vocabulary.show(first.token), _WORD)
    mean = [-event.standing.logprob for event in run.drawn]
    figures = [_kept(run)] if run.branch else []
    figures += first.figures
    figures += [f"{fmean(mean):.2f} nats a token"] if mean else []
    figures += [run.ended] if run.ended else []
    shown = Content.assemble(
        mark,
        head,
        word + " " * (_WORD - width(word)),
        (f"{first.shown:>7} ", "$sampler"),
        (bar(first.share, _BAR), "$sampler"),
        " ",
    )
    room = columns - shown.cell_length
    return Content.assemble(shown, (fitting(figures, room, SEPARATOR), "$text-muted"))


def _kept(run: TemperatureRun) -> str:
    """As which branch, and how much of it where it went on since."""
    first = "" if run.kept == len(run.drawn) else f"first {run.kept} in "
    return f"{first}branch {run.branch}"


class _First(NamedTuple):
    """The most probable next token."""

    token: int
    share: float
    """The sampler's probability of it, or the least that it can be."""
    shown: str
    figures: tuple[str, ...]


def _exact(effect: Effect) -> _First:
    share = effect.probability_view[0]
    figures = f"H {effect.entropy:.2f} nats", f"kept {count(effect.view.kept)}"
    return _First(effect.id_view[0], share, percent(share), figures)


def _bounded(view: BoundedView | None, listed: Distribution) -> _First:
    token, extent = listed.id_view[0], f"of the first {len(listed)}"
    if view is None:
        return _First(token, 0.0, "?", ("H ?", extent))
    share, figures = view.share(0), view.figures(listed)
    low, high = percent(share.low), percent(share.high)
    shown = low if low == high else f"{low} to {high}"
    least, most = (count(int(bound)) for bound in view.kept)
    kept = f"kept {least}" if least == most else f"kept {least} to {most}"
    if figures is None:
        return _First(token, share.low, shown, ("H ?", kept, extent))
    return _First(token, share.low, shown, (f"H {figures.entropy:.2f} nats", kept))


def _text(run: TemperatureRun, vocabulary: Vocabulary, columns: int) -> list[Content]:
    """The continuation wrapped between words, or between the tokens of one that fills a line; each
    token on the heat of its surprisal."""
    pieces = _safe(vocabulary.pieces([event.standing.token for event in run.drawn]))
    lines, used = [Content("  ")], 0
    for index, (piece, event) in enumerate(zip(pieces, run.drawn, strict=True)):
        cells = width(piece)
        word = width("".join(_word(pieces, index)))
        if used and used + (word if word <= columns else cells) > columns:
            lines.append(Content("  "))
            used = 0
        heat = level("surprisal", -event.standing.logprob)
        style = f"$heat-text-{heat} on $heat-{heat}" if heat > 0 else ""
        lines[-1] += Content.styled(piece, style) if style else Content(piece)
        used += cells
    return lines


def _word(pieces: Sequence[str], index: int) -> list[str]:
    """A piece and those after it that go on with its word."""
    more = takewhile(lambda piece: not piece.startswith(" "), islice(pieces, index + 1, None))
    return [pieces[index], *more]


def _safe(pieces: Sequence[str]) -> list[str]:
    return [safe_text(piece.replace("\n", NEWLINE)) for piece in pieces]
