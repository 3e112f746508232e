"""What each layer did to a choice: the split of a logit difference as a chart."""

from collections.abc import Sequence

from tokexplore.models.api.interpreter import LogitSplit, Part
from tokexplore.models.tokens import Vocabulary
from tokexplore.widgets.bars import from_middle
from tokexplore.widgets.cell_text import cut, fit
from tokexplore.widgets.role_lines import Piece, Row

_NAME, _FIGURE = 22, 10
_LEAST_BAR = 11
_NARROW_NAME, _NARROW_BAR = 18, 9
_NARROW = _NAME + _LEAST_BAR + _FIGURE
"""Below so many cells names and bars are shorter."""


def part_name(part: Part) -> str:
    """`3 attention`, `3 attention · head 2`, `3 MLP`, `embedding`."""
    words = {
        "embedding": "embedding", "attention": "attention", "mlp": "MLP",
        "bias": "bias", "rounding": "rounding",
    }  # fmt: skip
    word = words.get(part.kind) or part.name
    if part.kind == "bias" and not part.layer:
        word = "norm and head bias"
    name = f"{part.layer} {word}" if part.layer else word
    return name if part.head is None else f"{name} · head {part.head}"


def ordered(parts: Sequence[Part], *, by_size: bool) -> list[Part]:
    """Parts in the order of the model, or the largest first."""
    return sorted(parts, key=lambda part: -abs(part.difference)) if by_size else list(parts)


def layers_head(split: LogitSplit, vocabulary: Vocabulary, columns: int) -> list[Row]:
    """The names of the columns of `layers_rows`."""
    first, second = (cut(vocabulary.show(token), 14) for token in split.tokens)
    width = _bar(columns)
    half = (width - 1) // 2
    bar = f"{cut(f'for {second}', half):>{half}} {cut(f'for {first}', half)}"
    figures = f"{'Δlogit':>{_FIGURE}}"
    if columns >= _NAME + _LEAST_BAR + 3 * _FIGURE:
        figures += f"{cut(first, _FIGURE - 1):>{_FIGURE}}{cut(second, _FIGURE - 1):>{_FIGURE}}"
    return [[Piece(fit("part", _name(columns)), "muted"), Piece(fit(bar, width), "muted"),
             Piece(figures, "muted")]]  # fmt: skip


def layers_rows(parts: Sequence[Part], columns: int) -> list[Row]:
    """A row for each part: a bar to the side of the token that it pushed, and its figures."""
    largest = max((abs(part.difference) for part in parts), default=0.0) or 1.0
    width = _bar(columns)
    wide = columns >= _NAME + _LEAST_BAR + 3 * _FIGURE
    rows = list[Row]()
    for part in parts:
        name = part_name(part)
        if columns < _NARROW:
            name = cut(name.replace("attention", "attn"), _NARROW_NAME - 1)
        bar = from_middle(part.difference / largest, width)
        figures = f"{part.difference:>+{_FIGURE}.3f}"
        more = "".join(f"{logit:>+{_FIGURE}.3f}" for logit in part.logits) if wide else ""
        rows.append(
            [
                Piece(fit(name, _name(columns))),
                Piece(bar, "more" if part.difference > 0 else "less"),
                Piece(figures),
                Piece(more, "muted"),
            ]
        )
    return rows


def split_check(split: LogitSplit) -> str:
    """The parts' sum beside the model's own difference."""
    words = (
        f"the {len(split.parts)} parts sum to {split.total:+.4f}, the model's difference is "
        f"{split.difference:+.4f} (off by {split.error:.0e})"
    )
    if abs(split.slope - 1) > 1e-9:
        words += f" · scale and soft cap as they were: x {split.slope:.3g}"
    return words


def _name(columns: int) -> int:
    return _NAME if columns >= _NARROW else _NARROW_NAME


def _bar(columns: int) -> int:
    if columns < _NARROW:
        return _NARROW_BAR
    figures = 3 if columns >= _NAME + _LEAST_BAR + 3 * _FIGURE else 1
    room = columns - _NAME - figures * _FIGURE - 1
    return max(_LEAST_BAR, room - (room + 1) % 2)
