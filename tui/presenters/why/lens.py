"""The logit lens as tables: a step layer by layer, and a path's steps beside each other."""

import math
from collections.abc import Sequence

from tokexplore.models.api.interpreter import LayerReading, LensStep
from tokexplore.models.distribution import TokenRank
from tokexplore.models.tokens import Vocabulary
from tokexplore.widgets.cell_text import cut, fit, width
from tokexplore.widgets.heat import level
from tokexplore.widgets.numbers import count, logprob_text, percent
from tokexplore.widgets.role_lines import Piece, Row, heat_role

_LAYER, _FIGURE = 6, 7
_FIGURES = 2 * _FIGURE + 5
"""Cells of entropy and KL, and of their unit."""
_ASKED, _ASKED_SHORT = 24, 15
_TOP, _NARROW_TOP = 16, 12
_STEP = 11
"""Cells of a step of the grid."""
_WIDE = 96


def layer_name(layer: int) -> str:
    """What a layer is called: 0 is the embedding."""
    return "emb" if layer == 0 else str(layer)


def lens_head(step: LensStep, vocabulary: Vocabulary, columns: int) -> list[Row]:
    """The names of the columns of `lens_rows`."""
    tops, asked = _columns(step, columns)
    names = [vocabulary.show(token) for token in _asked(step, columns)]
    row = [Piece(fit("layer", _LAYER), "muted")]
    row += [Piece(fit("it would say" if n == 0 else "", size + 1), "muted")
            for n, size in enumerate(tops)]  # fmt: skip
    row += [Piece(" " + fit(cut(name, asked - 1), asked), "bold") for name in names]
    if _has_figures(step, columns):
        row.append(Piece(f"{'H':>{_FIGURE}}{'KL':>{_FIGURE}} nats", "muted"))
    return [row]


def lens_rows(step: LensStep, vocabulary: Vocabulary, columns: int) -> list[Row]:
    """A row for each layer: its most probable tokens with their probabilities, how the tokens that
    are asked about stand, entropy, and KL from the model's own distribution."""
    tops, asked = _columns(step, columns)
    rows = list[Row]()
    for at, layer in enumerate(step.layers):
        row = [Piece(fit(layer_name(at), _LAYER), "muted")]
        for size, rank in zip(tops, layer.top, strict=False):
            row += [_token(rank, vocabulary, size), Piece(" ")]
        for rank in layer.asked[: len(_asked(step, columns))]:
            row.append(Piece(" " + _standing(rank, asked)))
        if _has_figures(step, columns):
            figures = f"{_figure(layer.entropy)}{_figure(layer.divergence)}"
            row.append(Piece(figures, "muted"))
        rows.append(row)
    return rows


def layer_detail(layer: LayerReading, at: int, vocabulary: Vocabulary, columns: int) -> Row:
    """What a layer's reading lists, in a line: the tokens that there is room for, whole."""
    name = "embedding" if at == 0 else f"layer {at}"
    row = [Piece(f"{name}:  ", "muted")]
    figures = f"H {layer.entropy:.2f}  KL {layer.divergence:.2f} nats"
    left = columns - width(row[0].text) - width(figures)
    for rank in layer.top:
        token, share = vocabulary.show(rank.token), f" {percent(math.exp(rank.logprob))}   "
        left -= width(token) + width(share)
        if left < 0:
            break
        row += [Piece(token, "bold"), Piece(share)]
    return [*row, Piece(figures, "muted")]


def _asked(step: LensStep, columns: int) -> tuple[int, ...]:
    """The two tokens, or the one where they are the same, or there is room for no more."""
    asked = tuple(dict.fromkeys(step.tokens[:2]))
    return asked if columns >= _least(len(asked)) else asked[:1]


def _has_figures(step: LensStep, columns: int) -> bool:
    """Whether there is room for entropy and KL."""
    return columns >= _least(len(_asked(step, columns))) + _FIGURES


def _least(asked: int) -> int:
    """Cells of a layer, its first token and of so many that are asked about."""
    return _LAYER + _NARROW_TOP + 1 + asked * (_ASKED_SHORT + 1)


def _columns(step: LensStep, columns: int) -> tuple[list[int], int]:
    """Cells of each top token, and of the figures of a token that is asked about."""
    asked = _ASKED if columns >= _WIDE else _ASKED_SHORT
    left = columns - _LAYER - len(_asked(step, columns)) * (asked + 1)
    left -= _FIGURES if _has_figures(step, columns) else 0
    size = _TOP if columns >= _WIDE else _NARROW_TOP
    number = max(1, min(len(step.layers[0].top), left // (size + 1)))
    return [max(size, left - 1) if number == 1 else size] * number, asked


def _token(rank: TokenRank, vocabulary: Vocabulary, size: int) -> Piece:
    share = math.exp(rank.logprob)
    figure = percent(share)
    name = fit(cut(vocabulary.show(rank.token), size - 7), size - 7)
    return Piece(f"{name} {figure:>6}", heat_role(level("share", share)))


def _standing(rank: TokenRank, size: int) -> str:
    text = f"{percent(math.exp(rank.logprob)):>6} #{count(rank.rank)}"
    if size >= _ASKED:
        text = f"{logprob_text(rank.logprob, digits=2):>7} {text}"
    return fit(text, size)


def _figure(value: float) -> str:
    return f"{value:{_FIGURE}.2f}"


def grid_window(cursor: int, length: int, columns: int) -> tuple[int, int]:
    """First and last step of the grid that is in view, around the one under the cursor."""
    number = max(1, (columns - _LAYER) // _STEP)
    first = max(1, min(cursor - number * 2 // 3, length - number + 1))
    return first, min(length, first + number - 1)


def grid_head(
    taken: Sequence[int | None], first: int, cursor: int, vocabulary: Vocabulary
) -> list[Row]:
    """The story's own tokens over their steps.

    Args:
        taken: by step in view; None on the open end.
    """
    row = [Piece(fit("layer", _LAYER), "muted")]
    for at, token in enumerate(taken, first):
        name = "…" if token is None else vocabulary.show(token)
        row.append(Piece(fit(cut(name, _STEP - 1), _STEP), "here" if at == cursor else "bold"))
    return [row]


def grid_rows(
    steps: Sequence[LensStep | None], first: int, cursor: int, vocabulary: Vocabulary
) -> list[Row]:
    """The token that each layer would have said at each step in view, coloured by its
    probability."""
    layers = next((len(step.layers) for step in steps if step is not None), 0)
    rows = list[Row]()
    for at in range(layers):
        row = [Piece(fit(layer_name(at), _LAYER), "muted")]
        for position, step in enumerate(steps, first):
            cell = (
                _cell(step.layers[at], vocabulary) if step else Piece(fit("…", _STEP - 1), "muted")
            )
            row += [cell, Piece("▏" if position == cursor else " ", "here")]
        rows.append(row)
    return rows


def _cell(layer: LayerReading, vocabulary: Vocabulary) -> Piece:
    first = layer.top[0]
    name = fit(cut(vocabulary.show(first.token), _STEP - 1), _STEP - 1)
    return Piece(name, heat_role(level("share", math.exp(first.logprob))))
