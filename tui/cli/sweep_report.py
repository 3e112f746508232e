"""What `tokexplore sweep` writes: a table to read, JSON lines or CSV."""

import math
from collections.abc import Iterator
from statistics import fmean

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.continuations import Summary, summarise
from tokexplore.models.lab.sweep import Outcome, Plan
from tokexplore.models.sampling.effects import Effect
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.step_text import spark
from tokexplore.tui.report.tables import aligned, csv_line, cut
from tokexplore.widgets.numbers import figure, percent

_WORDS = 100
_SHOWN = 2
"""Continuations of each setting that the table shows."""
_HEADS = (
    "settings", "H nats", "kept", "runs", "unique", "dist-1", "dist-2", "logprob", "loops", "eos",
)  # fmt: skip

_FIGURES = ("model_entropy", "entropy", "kl", "kept", "removed")
"""Of what the settings make of the next token."""


def table(
    engine: Engine, plan: Plan, outcomes: Iterator[Outcome], candidates: int
) -> Iterator[str]:
    """Every setting's next token as it is known, then figures, curves and first texts."""
    results = list(outcomes)
    info = engine.info
    text = _one_line(engine, plan.prompt)
    yield safe_text(
        f"{info.name} · {info.precision} on {info.device} · batch {plan.batch} · after “{text}”"
    )
    if not results:
        return
    yield f"the model's next token: {_entropy(results[0].distribution)}"
    rows: list[tuple[str, ...]] = [_HEADS]
    for outcome in results:
        rows.append(_row(outcome, summarise(outcome.runs)))
    yield ""
    yield from aligned(rows, "<" + ">" * (len(_HEADS) - 1))
    for outcome in results:
        yield ""
        yield from _one(engine, outcome, candidates)
    yield ""
    yield (
        "kept: tokens that the sampler keeps · unique: different continuations · dist-n: different "
        "n-grams of all · logprob: the model's, nats a token · loops: share that ends in one · "
        "eos: share that ended there"
    )


def _entropy(distribution: Distribution) -> str:
    """The model's entropy in words."""
    if (h := distribution.entropy) is None:
        return f"entropy not known, {distribution.extent} candidates"
    return f"entropy {h:.4f} nats, {math.exp(h):.2f} choices"


def _row(outcome: Outcome, figures: Summary) -> tuple[str, ...]:
    effect = outcome.effect
    return (
        outcome.settings.short(with_seed=False),
        figure(effect.entropy if effect else None, 3),
        f"{effect.view.kept:,}" if effect else "?",
        str(figures.runs),
        _share(figures.unique),
        _share(figures.distinct[0]),
        _share(figures.distinct[1]),
        "" if figures.mean_logprob is None else f"{figures.mean_logprob:.3f}",
        _share(figures.loops),
        _share(figures.ended_at_eos),
    )


def _one(engine: Engine, outcome: Outcome, candidates: int) -> Iterator[str]:
    """The next token of one setting, the curves of its runs, and how they begin."""
    effect, vocabulary = outcome.effect, engine.vocabulary
    yield f"{outcome.settings.short(with_seed=False)}"
    if effect is not None:
        shown = _listed(effect, candidates)
        yield "  next      " + "  ".join(f"{vocabulary.show(t)} {percent(p)}" for t, p in shown)
    figures = summarise(outcome.runs)
    for name, values in (
        ("surprisal", figures.surprisal_curve),
        ("entropy", figures.entropy_curve),
    ):
        if values:
            yield f"  {name:<9} {spark(values)}  {_ends(values)} nats a step"
    if figures.loop_period is not None and figures.loop_onset is not None:
        yield (
            f"  loops     of {figures.loop_period:.1f} tokens, after {figures.loop_onset:.1f} on "
            "average"
        )
    for run in outcome.runs[:_SHOWN]:
        text = cut(_one_line(engine, run.ids), _WORDS)
        yield f"  {f'seed {run.seed}':<10}{text} ({run.ended})"


def _one_line(engine: Engine, ids: tuple[int, ...]) -> str:
    return safe_text(engine.vocabulary.text(ids).replace("\n", NEWLINE).strip())


def _ends(values: tuple[float, ...]) -> str:
    """The mean of the first and of the last quarter of a curve."""
    quarter = max(1, len(values) // 4)
    first, last = fmean(values[:quarter]), fmean(values[-quarter:])
    return f"{first:.2f} first quarter, {last:.2f} last,"


def json_lines(
    engine: Engine, plan: Plan, outcomes: Iterator[Outcome], candidates: int
) -> Iterator[str]:
    """A line for what runs, then one for each setting as it is done."""
    tokens = json_fields.TokenFields(engine.vocabulary)
    yield json_fields.text_line(
        {
            "type": "sweep",
            **json_fields.model_fields(engine.info),
            "batch": plan.batch,
            "prompt_ids": list(plan.prompt),
        }
    )
    for outcome in outcomes:
        effect = outcome.effect
        listed = _listed(effect, candidates) if effect else ()
        yield json_fields.text_line(
            {
                "type": "setting",
                "sampling": json_fields.sampling_fields(outcome.settings),
                **dict(zip(_FIGURES, _figures(effect), strict=True)),
                "candidates": [{**tokens.of(t), "probability": p} for t, p in listed],
                **msgspec.to_builtins(summarise(outcome.runs)),
                "continuations": [
                    {**msgspec.to_builtins(run), "text": engine.vocabulary.text(run.ids)}
                    for run in outcome.runs
                ],
            }
        )


def spreadsheet(
    engine: Engine, plan: Plan, outcomes: Iterator[Outcome], candidates: int
) -> Iterator[str]:
    """A line for each setting."""
    del plan, candidates
    columns = (
        "model", "temperature", "top_p", *_FIGURES,
        "runs", "unique", "distinct_1", "distinct_2", "distinct_3", "mean_logprob", "loops",
        "loop_period", "loop_onset", "ended_at_eos",
    )  # fmt: skip
    yield csv_line(columns)
    for outcome in outcomes:
        figures = summarise(outcome.runs)
        yield csv_line(
            (
                engine.info.source, outcome.settings.temperature, outcome.settings.top_p,
                *_figures(outcome.effect),
                figures.runs, figures.unique, *figures.distinct, figures.mean_logprob,
                figures.loops, figures.loop_period, figures.loop_onset, figures.ended_at_eos,
            )
        )  # fmt: skip


def _listed(effect: Effect, count: int) -> Iterator[tuple[int, float]]:
    """The first candidates under some settings, with their probabilities."""
    return zip(effect.id_view[:count], effect.probability_view[:count], strict=True)


def _figures(effect: Effect | None) -> tuple[float | None, ...]:
    """An effect's figures by `_FIGURES`; None of what is not known."""
    if effect is None:
        return (None,) * len(_FIGURES)
    return effect.model_entropy, effect.entropy, effect.kl, effect.view.kept, effect.removed


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
