"""What sampling settings make of a step, as lines: of a model's, or of words with known logits."""

import math
from collections.abc import Callable, Iterator, Sequence

from tokexplore.models.display import visible
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.lens import Lens, Share
from tokexplore.models.sampling.bounds import Figures
from tokexplore.models.sampling.effects import StageEffect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.untrusted import brief
from tokexplore.tui.report.step_text import LONGEST_TOKEN
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.bars import bar
from tokexplore.widgets.numbers import NATS_PER_BIT, figure, percent

_BAR = 20


def parse_words(text: str) -> list[tuple[str, float]]:
    """Words with numbers: `floor=-46.4,mat=-45.25`; a number alone is of the token of its place.

    Raises:
        UsageError: naming the part that is none.
    """
    pairs: list[tuple[str, float]] = []
    for part in text.split(","):
        word, equals, value = part.rpartition("=")
        word = word if equals else f"token {len(pairs)}"
        try:
            pairs.append((word, float(value)))
        except ValueError:
            raise UsageError(f"{brief(part)!r} is not WORD=NUMBER, such as floor=-46.4.") from None
    return pairs


def word_lines(
    words: Sequence[str],
    logits: Sequence[float],
    settings: Sequence[SamplingSettings],
    draws: int = 0,
) -> Iterator[str]:
    """The lines of a few words with known logits; no model has a part in it."""
    from tokexplore.models.engine.sampler_effects import lens_of

    lens = lens_of(logits, settings, draws)
    yield from lens_lines(lens, names_of(lens, words))


def names_of(lens: Lens, words: Sequence[str]) -> list[str]:
    """The words of a lens's candidates as they are shown, safe and on one line."""
    return [visible(words[c.token].encode("utf-8", "surrogatepass")) for c in lens.candidates]


def lens_lines(lens: Lens, names: Sequence[str], *, first: str = "word") -> Iterator[str]:
    """The figures of each setting, then every candidate's probability under each, with bars.

    Args:
        names: of the candidates, safe text.
        first: what they are.
    """
    titles = [column.settings.short(with_seed=False) for column in lens.columns]
    yield from _figures(lens, titles)
    yield ""
    yield from _table(lens, names, titles, first)
    for title, column in zip(titles, lens.columns, strict=True):
        if column.stages is None:
            continue
        yield ""
        yield f"{title}: kept and probability moved, stage by stage"
        rows = [
            (f"  {_stage(s)}", f"{s.kept:,} kept", percent(s.moved), bar(s.moved, _BAR))
            for s in column.stages
        ]
        yield from aligned(rows, "<>><") if rows else ["  none is on: the model's own distribution"]


def _stage(stage: StageEffect) -> str:
    return stage.stage if stage.stage == "greedy" else f"{stage.stage} {stage.value:g}"


def _figures(lens: Lens, titles: Sequence[str]) -> Iterator[str]:
    h = lens.distribution.entropy
    rows: list[tuple[str, ...]] = [("", "model", *titles)]
    figures: list[tuple[str, str, Callable[[Figures], str]]] = [
        ("entropy nats", figure(h, 4), lambda e: f"{e.entropy:.4f}"),
        (
            "entropy bits",
            figure(h and h / NATS_PER_BIT, 4),
            lambda e: f"{e.entropy / NATS_PER_BIT:.4f}",
        ),
        (
            "perplexity, exp H",
            "?" if h is None else f"{math.exp(h):.3f}",
            lambda e: f"{e.choices:.3f}",
        ),
        ("kept", "", lambda e: f"{e.kept:,}"),
        ("mass removed", "", lambda e: percent(e.removed)),
        ("KL to model, nats", "", lambda e: f"{e.kl:.4f}"),
    ]
    known = [column.figures for column in lens.columns]
    rows += [
        (label, model, *("?" if e is None else of(e) for e in known))
        for label, model, of in figures
    ]
    yield from aligned(rows, "<" + ">" * (1 + len(titles)))


def _table(lens: Lens, names: Sequence[str], titles: Sequence[str], first: str) -> Iterator[str]:
    """The candidates in the model's order, and what the others have together."""
    drawn = any(column.drawn for column in lens.columns)
    heads = [(title, "drawn" if drawn else "", "") for title in titles]
    told = lens.distribution
    number = "logit" if told.complete and told.has_logits else "logprob"
    rows = [(first, number, "model", *(text for head in heads for text in head))]
    for index, (candidate, name) in enumerate(zip(lens.candidates, names, strict=True)):
        cells = []
        for column in lens.columns:
            share = column.shares[index]
            cells += [
                share_text(share),
                f"{column.drawn[index]:,}" if column.drawn else "",
                share.cut or bar(share.probability or 0.0, _BAR),
            ]
        word = cut(name, LONGEST_TOKEN)
        rows.append(
            (
                word,
                f"{candidate.logit if number == 'logit' else candidate.logprob:g}",
                f"{candidate.probability:.5f}",
                *cells,
            )
        )
    if others := lens.distribution.vocabulary - len(lens.candidates):
        rests = [column.rest for column in lens.columns]
        cells = [text for rest in rests for text in (figure(rest, 5), "", "")]
        rows.append((others_text(others), "", f"{lens.rest:.5f}", *cells))
    yield from aligned(rows, "<>>" + ">><" * len(titles))


def share_text(share: Share) -> str:
    """The sampler's probability of a candidate, `cut`, a bound, or `?`."""
    if share.cut:
        return "cut"
    if share.probability is None:
        return "?" if share.at_most is None else f"≤{share.at_most:.5f}"
    return f"{share.probability:.5f}" if share.probability else "0"


def others_text(count: int) -> str:
    """How many tokens there are besides: `4,076 others`."""
    return f"{count:,} other{'s' * (count > 1)}"
