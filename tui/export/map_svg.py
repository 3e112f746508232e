"""The map of a tree as a picture: an icicle of what was explored after each prompt."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from tokexplore.models.display import counted, safe_text
from tokexplore.models.tree.icicle import Block, Icicle, Layout, logprob_since, starts
from tokexplore.models.tree.subtree import subtree_of
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.svg import SANS, Svg, cells_in, text_width
from tokexplore.tui.theme import LIGHT
from tokexplore.widgets.cell_text import cut, cut_left
from tokexplore.widgets.heat import legend, level
from tokexplore.widgets.numbers import percent, probability_text

_WIDE, _MARGIN, _HEAD, _FOOT = 1280, 40, 84, 44
_HIGH = 600
"""Of one map."""
_STEPS = 16
"""Columns at most, beside that of the prompt's last token."""
_LEAST = 0.75
"""Pixels of a block that is drawn by itself."""
_GAP = 1.0
"""Pixels between blocks."""
_EDGE = 3.0
"""Of blocks on the path in view."""
_NAME, _SMALL, _TITLE = 15, 12, 20
"""Sizes of text."""
_LOWEST_NAME = 8
"""Size of the smallest text."""
_WORDS = 60
"""Tokens of a prompt that its title is made from."""


def icicle_of(source: Source, scope: Scope) -> Icicle:
    """The shares of a scope; what is hidden has none in any of them."""
    path = source.tree.path(source.leaf)
    return Icicle(source.tree, path, frozenset(path) if scope == "path" else None)


def starts_of(source: Source, scope: Scope) -> list[int]:
    """Where the maps of a scope begin: with the last token of each prompt."""
    return starts(source.tree, source.leaf)[: 1 if scope == "path" else None]


def words_before(source: Source, node: int) -> str:
    """The end of the text up to a node, on one line."""
    ids = source.tree.ids(node)[-_WORDS:]
    return safe_text(" ".join(source.vocabulary.text(ids).split()))


class _Map(NamedTuple):
    """One map, laid out."""

    start: int
    layout: Layout
    columns: int


def svg_parts(source: Source, scope: Scope, _count: int) -> Iterator[bytes]:
    """The picture: a map for each prompt, one below the other."""
    icicle = icicle_of(source, scope)
    maps = [_laid_out(icicle, start) for start in starts_of(source, scope)]
    own = LIGHT.variables
    svg = Svg(
        _WIDE, len(maps) * (_HEAD + _HIGH + _FOOT), safe_text(source.title), str(LIGHT.background)
    )
    rest = svg.hatch("rest", own["rule"])
    for place, one in enumerate(maps):
        _Drawing(svg, source, icicle, one, place * (_HEAD + _HIGH + _FOOT), rest).draw()
    yield svg.data()


def _laid_out(icicle: Icicle, start: int) -> _Map:
    layout = icicle.layout(start, range(_STEPS + 1), _LEAST / _HIGH)
    used = max([block.column for block in layout.blocks] + [gap.column for gap in layout.rests])
    return _Map(start, layout, used + 1)


class _Drawing:
    """One map in a picture.

    Args:
        top: where it begins.
        rest: the fill of what was not explored.
    """

    def __init__(
        self, svg: Svg, source: Source, icicle: Icicle, one: _Map, top: float, rest: str
    ) -> None:
        self._svg, self._source, self._icicle, self._map = svg, source, icicle, one
        self._top, self._rest = top + _HEAD, rest
        self._own = LIGHT.variables
        self._path = set(source.tree.path(source.leaf))
        self._wide = (_WIDE - 2 * _MARGIN) / one.columns

    def draw(self) -> None:
        """All of it."""
        self._draw_head()
        for column in range(self._map.columns):
            x = _MARGIN + column * self._wide
            name = str(column) if column else "prompt"
            self._svg.text(x, self._top - 8, name, _SMALL, self._own["muted"], font=SANS)
        for gap in self._map.layout.rests:
            self._rect(gap.column, gap.top, gap.height, self._rest, "not explored")
        for gap in self._map.layout.crumbs:
            self._rect(gap.column, gap.top, gap.height, self._own["cut"], "too low to be drawn")
        for block in self._map.layout.blocks:
            self._draw_block(block)
        self._draw_foot()

    def _rect(self, column: int, top: float, height: float, fill: str, tip: str) -> None:
        high = max(_GAP / 2, height * _HIGH - _GAP)
        self._svg.rect(
            _MARGIN + column * self._wide, self._top + top * _HIGH, self._wide - _GAP, high, fill,
            tip=tip,
        )  # fmt: skip

    def _draw_block(self, block: Block) -> None:
        tree, node = self._source.tree, block.node
        first = node == self._map.start
        heat = level("surprisal", -tree.logprob[node])
        colour = "muted" if first or heat < 0 else f"heat-text-{heat}"
        fill = str(LIGHT.surface) if first or heat < 0 else self._fill(heat)
        self._rect(block.column, block.top, block.height, fill, self._tip(block))
        x, y = _MARGIN + block.column * self._wide, self._top + block.top * _HIGH
        high = block.height * _HIGH - _GAP
        if node in self._path and high > 2:
            self._svg.rect(x, y, _EDGE, high, self._own["here"])
        size = min(_NAME, 0.8 * high)
        if size < _LOWEST_NAME:
            return
        name = self._name(node)
        share = "" if first else percent(math.exp(tree.logprob[node])) if block.known else "?"
        two = bool(share) and high > _NAME + _SMALL + 6
        middle = y + high / 2 + 0.35 * size - (0.6 * _SMALL if two else 0)
        shown = cut(name, cells_in(self._wide - 3 * _EDGE, size))
        bold = node in self._path
        text = self._own[colour]
        self._svg.text(x + 2 * _EDGE, middle, shown, size, text, bold=bold)
        if two:
            self._svg.text(x + 2 * _EDGE, middle + _SMALL + 4, share, _SMALL, text)

    def _fill(self, heat: int) -> str:
        """The colour of a level; the lowest one is to be seen on the background."""
        return str(self._own[f"heat-{heat}"] if heat else LIGHT.panel)

    def _name(self, node: int) -> str:
        return safe_text(self._source.vocabulary.show(self._source.tree.token[node]))

    def _tip(self, block: Block) -> str:
        """What is told of a block."""
        tree, node = self._source.tree, block.node
        if node == self._map.start:
            return self._name(node) if node != ROOT else "the begin"
        if not block.known:
            return f"{self._name(node)}: probability not known"
        path = logprob_since(tree, self._map.start, node)
        whole = "?" if math.isnan(path) else probability_text(path)
        return (
            f"{self._name(node)}: {probability_text(tree.logprob[node])} of its step, rank "
            f"{tree.rank[node] or '?'}; path {whole}"
        )

    def _draw_head(self) -> None:
        """The end of the prompt, and the legend."""
        y, muted = self._top - _HEAD + 40, self._own["muted"]
        x = _WIDE - _MARGIN - text_width("nats", _SMALL)
        self._svg.text(_WIDE - _MARGIN, y, "nats", _SMALL, muted, anchor="end", font=SANS)
        for label, heat in reversed(legend("surprisal")):
            x -= 34
            self._svg.rect(x, y - 14, 32, 20, self._fill(heat))
            self._svg.text(x + 16, y, label, _SMALL, self._own[f"heat-text-{heat}"],
                           anchor="middle", font=SANS)  # fmt: skip
        x -= 8
        self._svg.text(x, y, "surprisal", _SMALL, muted, anchor="end", font=SANS)
        room = cells_in(x - text_width("surprisal", _SMALL) - 2 * _MARGIN, _TITLE)
        words = cut_left(words_before(self._source, self._map.start), room) or "the begin"
        self._svg.text(_MARGIN, y, words, _TITLE, str(LIGHT.foreground), bold=True)

    def _draw_foot(self) -> None:
        subtree = subtree_of(self._icicle, self._map.start)
        by, layout = self._source.provenance, self._map.layout
        words = [
            *([safe_text(by.model)] if by else []),
            f"{counted(subtree.nodes, 'token')} in {counted(subtree.leaves, 'path')}",
            "height: the model's probability",
            "hatched: not explored",
            *(["grey: tokens too low to be drawn"] if layout.crumbs else []),
            *(["?: probability not known"] if not all(b.known for b in layout.blocks) else []),
        ]
        self._svg.text(_MARGIN, self._top + _HIGH + 24, " · ".join(words), _SMALL,
                       self._own["muted"], font=SANS)  # fmt: skip
