"""Where two models part, layer by layer."""

from collections.abc import Sequence

from tokexplore.models.interpret.layer_gaps import LayerGap
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.presenters.why.lens import layer_name
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, fit
from tokexplore.widgets.role_lines import Piece, Row

_LAYER, _TOKEN, _FIGURE = 6, 16, 10


def gaps_head(names: tuple[str, str]) -> list[Row]:
    """The names of the columns of `gaps_rows`."""
    tokens = "".join(fit(cut(name, _TOKEN - 1), _TOKEN) for name in names)
    figures = f"{'KL nats':>{_FIGURE}}{'cosine':>{_FIGURE}}{'|Δ|/|h|':>{_FIGURE}}"
    return [[Piece(fit("layer", _LAYER), "muted"), Piece(tokens, "bold"), Piece(figures, "muted")]]


def gaps_rows(gaps: Sequence[LayerGap], vocabulary: Vocabulary, columns: int) -> list[Row]:
    """A row for each layer: what each model would say there, and how far they are apart."""
    width = max(0, columns - _LAYER - 2 * _TOKEN - 3 * _FIGURE - 2)
    largest = max((gap.divergence for gap in gaps), default=0.0) or 1.0
    rows = list[Row]()
    for at, gap in enumerate(gaps):
        parts = gap.tokens[0] != gap.tokens[1]
        tokens = "".join(fit(cut(vocabulary.show(t), _TOKEN - 1), _TOKEN) for t in gap.tokens)
        figures = (
            f"{gap.divergence:>{_FIGURE}.4f}{gap.cosine:>{_FIGURE}.4f}{gap.distance:>{_FIGURE}.4f}"
        )
        rows.append(
            [
                Piece(fit(layer_name(at), _LAYER), "muted"),
                Piece(tokens, "here" if parts else "text"),
                Piece(figures + "  "),
                Piece(bar(gap.divergence / largest, width), "bar"),
            ]
        )
    return rows
