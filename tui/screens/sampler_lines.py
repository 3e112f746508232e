"""The sampling lens in words and figures: what settings, side by side, make of one step."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from textual.content import Content

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.bounds import BoundedView, Figures
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.logit_edits import LogitEdits
from tokexplore.models.sampling.sampler_view import StepView
from tokexplore.models.sampling.settings import OFF, STAGES, SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.explore.knob_editor import DIALS, KnobEditor
from tokexplore.tui.presenters.candidates import Share, share_of
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, cut_whole, width
from tokexplore.widgets.numbers import NATS_PER_BIT, count, percent

_LABEL = 13
_NARROW = 60
_WORD = 14
_LEAST_MEANING = 12
_BAR = 10

_INERT = frozenset(stage.field for stage in STAGES if stage.inert_in_greedy)


class Column(NamedTuple):
    """Some settings, and what they make of the step as far as that is known."""

    name: str
    settings: SamplingSettings
    style: str
    changes: LogitEdits = LogitEdits()
    effect: Effect | None = None
    bounds: BoundedView | None = None
    """Where no effect can be had, as far as anything can be said without it."""
    absent: bool = False
    """There is no model to ask, or it lists the first candidates only."""

    def share(self, index: int, token: int, logit: float) -> Share:
        """What becomes of a candidate."""
        if self.effect is not None:
            return share_of(StepView(self.effect.view, self.changes), index, token, logit)
        return share_of(self.bounds, index, token, logit)

    def figures(self, distribution: Distribution | None) -> Figures | None:
        """The figures, where they are known exactly."""
        if (effect := self.effect) is not None:
            return Figures(effect.view.kept, effect.entropy, effect.kl, effect.removed)
        if self.bounds is None or distribution is None:
            return None
        return self.bounds.figures(distribution)

    def why(self, token: int, logit: float) -> str:
        """What cut a candidate, or what the path does to its logit."""
        if self.effect is None:
            return ""
        cut_by = self.effect.view.fate(token, logit, self.changes).cut
        if cut_by is not None:
            return cut_by.words() + (" (tie)" if cut_by.tie else "")
        return ", ".join(f"{stage} {value:g}" for stage, value in self.changes.of(token))


def knob_lines(editor: KnobEditor, columns: int) -> list[Content]:
    """The knobs, the one in hand marked, those that do nothing at present said to."""
    values, here, typed = editor.values, editor.index, editor.typed
    greedy = values["temperature"] == 0
    lines = []
    for index, knob in enumerate(DIALS):
        current = values[knob.field]
        shown = str(current) if isinstance(current, int) else f"{current:g}"
        inert = greedy and knob.field in _INERT
        off = knob.field in OFF and current == OFF[knob.field]
        value = f"{typed}▌" if index == here and typed else shown
        meaning = "no effect: greedy" if inert and not off else knob.meaning
        room = columns - 31 if columns - 31 >= _LEAST_MEANING else 0
        value_style = "bold $here" if index == here else "$text-muted" if off else "$sampler"
        lines.append(
            Content.assemble(
                ("› " if index == here else "  ", "bold $here"),
                (f"{knob.name + '†' * bool(knob.elsewhere):<18}", "bold" if index == here else ""),
                (f" {value:>8}", value_style),
                (f"  {cut(meaning, room)}", "$text-muted"),
            )
        )
    whose = editor.knob.elsewhere
    note = f"  † not in transformers{f': {whose} formula' if whose else ''}"
    return [*lines, Content.styled(note, "$text-muted")]


def figure_lines(
    columns: Sequence[Column], distribution: Distribution | None, room: int
) -> list[Content]:
    """One column of figures for each of the settings, the model's own first."""
    wide = 9 if room < _NARROW else 11
    shown = list(columns)[-max(1, (room - _LABEL) // wide - 1) :]
    heads = [("model", "bold $model-bar"), *((c.name, f"bold {c.style}") for c in shown)]
    lines = [_row("", heads, wide)]
    rows = (
        ("entropy nats", lambda e: f"{e.entropy:.4f}"),
        ("entropy bits", lambda e: f"{e.entropy / NATS_PER_BIT:.4f}"),
        ("perplexity", lambda e: f"{e.choices:.2f}"),
        ("kept tokens", lambda e: count(e.kept)),
        ("mass removed", lambda e: percent(e.removed)),
        ("KL to model", lambda e: f"{e.kl:.4f}"),
    )
    figures = [column.figures(distribution) for column in shown]
    for index, (label, text_of) in enumerate(rows):
        model = _model_figure(index, distribution)
        cells = [(model, "")]
        for column, exact in zip(shown, figures, strict=True):
            unknown = "" if distribution is None else _bounded(column, index)
            cells.append((unknown if exact is None else text_of(exact), ""))
        lines.append(_row(label, cells, wide))
    return lines


def _model_figure(row: int, distribution: Distribution | None) -> str:
    if distribution is None:
        return ""
    if row == 3:
        return count(distribution.vocabulary)
    if row > 3:
        return ""
    if (h := distribution.entropy) is None:
        return "?"
    return (f"{h:.4f}", f"{h / NATS_PER_BIT:.4f}", f"{math.exp(h):.2f}")[row]


def _bounded(column: Column, row: int) -> str:
    """What is known without the model: how many are kept, at least and at most."""
    if column.bounds is None:
        return "?" if column.absent else "…" if row == 0 else ""
    if row != 3:
        return "?"
    low, high = (int(x) for x in column.bounds.kept)
    return count(low) if low == high else f"{low}–{high}"


def stage_lines(column: Column, room: int) -> list[Content]:
    """Each stage that is on: what it kept, and how much probability it moved."""
    if column.effect is None:
        return []
    lines = [Content.styled(f"stages of {column.name}: kept, probability moved", "$text-muted")]
    named = max(4, min(22, room - 22))
    wide = max(4, min(_BAR, room - 19 - named))
    for stage in column.effect.stages:
        name = "greedy" if stage.stage == "greedy" else f"{stage.stage} {stage.value:g}"
        lines.append(
            Content.assemble(
                f"{cut(name, named):<{named}}",
                f"{count(stage.kept):>8} ",
                (f"{percent(stage.moved):>7} ", "$sampler"),
                (bar(stage.moved, wide), "$sampler"),
            )
        )
    if not column.effect.stages:
        lines.append(Content("none is on: the model's own distribution"))
    return lines


def candidate_lines(
    columns: Sequence[Column],
    distribution: Distribution,
    vocabulary: Vocabulary,
    draws: Draws | None,
    taken: int | None,
    rows: int,
    room: int,
) -> list[Content]:
    """The first candidates: the model's share, each setting's, what was drawn, what cut them.

    Args:
        taken: the token that the path takes here.
        rows: lines there are room for.
        room: cells there are room for in each.
    """
    drawn_room = 8 if draws else 0
    fixed = 5 + _WORD + 9 + drawn_room
    listed = zip(distribution.id_view, distribution.logit_view, strict=True)
    candidates = list(islice(listed, max(0, rows - 1)))
    each = [[c.share(i, *one) for i, one in enumerate(candidates)] for c in columns]
    texts = [[_share_text(share) for share in shares] for shares in each]
    # What cuts a candidate may be longer than a percentage (`typical .95`).
    wide = max(9, *(1 + width(text) for column in texts for text in column)) if candidates else 9
    count_of = max(1, min(len(columns), (room - fixed) // wide))
    shown, texts = list(columns)[-count_of:], texts[-count_of:]
    now = shown[-1]
    head = f"rank {'token':<{_WORD}}"
    lines = [
        Content.assemble(
            (head, "$text-muted"),
            (f"{'model':>9}", "$model-bar"),
            *((f"{cut(c.name, wide - 1):>{wide}}", c.style) for c in shown),
            (f"{'drawn':>8}" if draws else "", "$text-muted"),
        )
    ]
    for index, (token, logit) in enumerate(candidates):
        word = cut(vocabulary.show(token), _WORD)
        share = each[-1][index]
        style = "$cut-text" if share.cut else "bold $here" if token == taken else ""
        cells = [(column[index], c.style) for c, column in zip(shown, texts, strict=True)]
        left = room - fixed - wide * len(shown) - 2
        why = cut(now.why(token, logit), left) if left >= _LEAST_MEANING else ""
        lines.append(
            Content.assemble(
                (f"{distribution.rank(index):>4} ", "$text-muted"),
                (word + " " * (_WORD - width(word)), style),
                (f"{percent(math.exp(distribution.logprob(index))):>9}", style),
                *((f"{text:>{wide}}", style or own) for text, own in cells),
                (f"{draws.of(token):>8,}" if draws else "", style),
                (f"  {why}" if why else "", "$text-muted"),
            )
        )
    return lines


def _share_text(share: Share) -> str:
    if share.sampler is None:
        return share.cut + "=" * share.tie
    if share.sampler_high is not None:
        return f"≤{percent(share.sampler_high)}"
    return percent(share.sampler)


def _row(label: str, cells: Sequence[tuple[str, str]], wide: int) -> Content:
    return Content.assemble(
        (f"{label:<{_LABEL}}", "$text-muted"),
        *((f"{cut_whole(text, wide - 1):>{wide}}", style) for text, style in cells),
    )


def curve(column: Column, points: int, *, cumulative: bool) -> list[float]:
    """The probabilities of a column's most probable tokens, falling, or their running sum."""
    if column.effect is None:
        return []
    values = list(map(float, column.effect.probability_view[:points]))
    return _sums(values) if cumulative else values


def model_curve(distribution: Distribution, points: int, *, cumulative: bool) -> list[float]:
    """The same of the model's own distribution."""
    count_of = min(points, len(distribution))
    values = [math.exp(distribution.logprob(i)) for i in range(count_of)]
    return _sums(values) if cumulative else values


def _sums(values: list[float]) -> list[float]:
    return [math.fsum(values[: n + 1]) for n in range(len(values))]
