"""Where the last token before a step attended to."""

from collections.abc import Sequence

from tokexplore.models.api.interpreter import AttentionWeights
from tokexplore.models.display import NEWLINE, SPACE, safe_text
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, fit
from tokexplore.widgets.numbers import percent
from tokexplore.widgets.role_lines import Piece, Role, Row, heat_role

_RATIOS = (0.05, 0.15, 0.3, 0.6, 0.9)
_TEXT, _FIGURE, _LEAST_BAR = 24, 8, 8


def attention_roles(weights: Sequence[float]) -> list[Role]:
    """The role of each token, by its weight in shares of the largest but the first token's: the
    first one takes up what a head does not need, and is told apart."""
    largest = max(weights[1:], default=0.0) or 1.0
    roles = [heat_role(sum(w / largest >= ratio for ratio in _RATIOS)) for w in weights]
    return ["close", *roles[1:]] if roles else []


def attention_order(weights: Sequence[float]) -> list[int]:
    """Places of the tokens, the one with the largest weight first; the first token of all on
    top."""
    return [0, *sorted(range(1, len(weights)), key=lambda at: -weights[at])]


def attention_rows(
    order: Sequence[int], weights: Sequence[float], pieces: Sequence[str], columns: int
) -> list[Row]:
    """A row for each token: its place, text and weight."""
    largest = max(weights[1:], default=0.0) or 1.0
    cells = max(8, min(_TEXT, columns - 8 - _FIGURE - 2 - _LEAST_BAR))
    width = max(_LEAST_BAR, columns - 8 - cells - _FIGURE - 22)
    rows = list[Row]()
    for at in order:
        text = safe_text(pieces[at].replace("\n", NEWLINE)).strip() or SPACE
        line = [
            Piece(f"{at:>6}  ", "muted"),
            Piece(fit(cut(text, cells - 1), cells)),
            Piece(f"{percent(weights[at]):>{_FIGURE}}  "),
        ]
        if at == 0:
            sink = ": a sink" if weights[at] > largest else ""
            line.append(Piece(f"the first token{sink}", "close"))
        else:
            line.append(Piece(bar(weights[at] / largest, width), "bar"))
        rows.append(line)
    return rows


def attention_words(found: AttentionWeights, layer: int | None, head: int | None) -> str:
    """Which layer and head is shown, and how the weights were had."""
    where = "all layers" if layer is None else f"layer {found.layers[layer]}"
    which = "all heads" if head is None else f"head {head}"
    mean = " (mean)" if layer is None or head is None else ""
    how = (
        "the model's own kernel"
        if found.own_kernel
        else f"one more pass with the {found.kernel} kernel"
    )
    return f"{where}, {which}{mean} of {found.heads} · weights of {how}"
