"""What sampling settings make of a few words with known logits, as lines. No model."""

import math
from collections.abc import Iterator, Sequence

from tokexplore.models.display import visible
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.effects import Effect, StageEffect
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.untrusted import brief
from tokexplore.tui.report.step_text import LONGEST_TOKEN
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.bars import bar
from tokexplore.widgets.numbers import NATS_PER_BIT, percent

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


def effect_lines(
    words: Sequence[str],
    logits: Sequence[float],
    settings: Sequence[SamplingSettings],
    *,
    draw: int = 0,
) -> Iterator[str]:
    """The figures of each setting, then every word's probability under each, with bars.

    Args:
        draw: draws to count.
    """
    from tokexplore.models.engine.sampler_effects import counts_of, effects_of

    effects = effects_of(logits, settings)
    names = [_name(chosen) for chosen in settings]
    yield from _figures(effects, names)
    yield ""
    drawn = [counts_of(logits, s, draw) for s in settings] if draw else []
    yield from _table(words, logits, effects, names, drawn)
    for name, effect in zip(names, effects, strict=True):
        yield ""
        yield f"{name}: kept and probability moved, stage by stage"
        rows = [
            (f"  {_stage(s)}", f"{s.kept:,} kept", percent(s.moved), bar(s.moved, _BAR))
            for s in effect.stages
        ]
        yield from aligned(rows, "<>><") if rows else ["  none is on: the model's own distribution"]


def _name(settings: SamplingSettings) -> str:
    return settings.short(with_seed=False)


def _stage(stage: StageEffect) -> str:
    return stage.stage if stage.stage == "greedy" else f"{stage.stage} {stage.value:g}"


def _figures(effects: Sequence[Effect], names: Sequence[str]) -> Iterator[str]:
    first = effects[0]
    h = first.model_entropy
    rows = [("", "model", *names)]
    figures = [
        ("entropy nats", f"{h:.4f}", lambda e: f"{e.entropy:.4f}"),
        ("entropy bits", f"{h / NATS_PER_BIT:.4f}", lambda e: f"{e.entropy / NATS_PER_BIT:.4f}"),
        ("perplexity, exp H", f"{math.exp(h):.3f}", lambda e: f"{e.choices:.3f}"),
        ("kept", "", lambda e: f"{e.view.kept:,}"),
        ("mass removed", "", lambda e: percent(e.removed)),
        ("KL to model, nats", "", lambda e: f"{e.kl:.4f}"),
    ]
    rows += [(label, model, *map(of, effects)) for label, model, of in figures]
    yield from aligned(rows, "<" + ">" * (1 + len(names)))


def _table(
    words: Sequence[str],
    logits: Sequence[float],
    effects: Sequence[Effect],
    names: Sequence[str],
    drawn: Sequence[Sequence[int]],
) -> Iterator[str]:
    """The words by falling logit, equal ones as they were given."""
    top = max(logits)
    lse = top + math.log(math.fsum(math.exp(x - top) for x in logits))
    heads = [(name, "drawn" if drawn else "", "") for name in names]
    rows = [("word", "logit", "model", *(text for head in heads for text in head))]
    for place in sorted(range(len(words)), key=lambda i: -logits[i]):
        cells = []
        for number, effect in enumerate(effects):
            fate = effect.view.fate(place, logits[place])
            share = math.exp(fate.logprob)
            why = fate.cut.words() + " (tie)" * fate.cut.tie if fate.cut else bar(share, _BAR)
            lost = "cut" if fate.cut else "0" if share == 0 else f"{share:.5f}"
            cells += [lost, f"{drawn[number][place]:,}" if drawn else "", why]
        word = cut(visible(words[place].encode("utf-8", "surrogatepass")), LONGEST_TOKEN)
        rows.append((word, f"{logits[place]:g}", f"{math.exp(logits[place] - lse):.5f}", *cells))
    yield from aligned(rows, "<>>" + ">><" * len(names))
