"""The map of a tree: what its blocks look like, and what is told of the one under the cursor."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tokexplore.models.display import NEWLINE, counted, safe_text
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.icicle import Block, Gap, Icicle, logprob_since
from tokexplore.models.tree.subtree import Subtree, subtree_of
from tokexplore.models.tree.trie import ROOT
from tokexplore.widgets.cell_text import chop, cut, cut_left, fitting, width
from tokexplore.widgets.heat import Colouring, level
from tokexplore.widgets.icicle_drawing import EIGHTHS, IcicleBlock, IcicleGap, IcicleView
from tokexplore.widgets.numbers import (
    NATS_PER_BIT,
    figure,
    logprob_text,
    percent,
    probability_text,
    unit_of,
)
from tokexplore.widgets.role_lines import Piece, Row

COLOURINGS: tuple[Colouring, ...] = ("surprisal", "entropy")
WIDTHS = (2, 4, 6, 9, 13, 18)
"""Cells of a column."""
BETWEEN = " · "
_LEAST = 1 / (2 * EIGHTHS)
"""Rows of a block that is drawn by itself."""
_SEEN = math.log(1 / 40)
"""Logprob (nats) of the lowest block that the cursor begins on."""
_WORDS = 120
"""Tokens before the cursor that its text is made from."""
_EVERY = (1, 2, 5, 10, 20, 50)
"""Of so many columns one has a head."""
_NAME = 24
"""Cells of a token's name."""


class MapPlace(NamedTuple):
    """Where one is on a map."""

    start: int
    """The node that the map begins with."""
    focus: int
    """The node of the block that has the whole height."""
    cursor: int
    first: int = 0
    """The first column in view; the focus is in column 0."""


class MapLook(NamedTuple):
    """How it is drawn."""

    columns: int
    """Cells of the whole picture."""
    rows: int
    """Below the heads of the columns."""
    cells: int
    """Of a column."""
    colouring: Colouring = "surprisal"

    @property
    def steps(self) -> int:
        """How many columns there are."""
        return max(1, self.columns // self.cells)


def map_view(
    icicle: Icicle, vocabulary: Vocabulary, place: MapPlace, look: MapLook, path: Sequence[int]
) -> IcicleView:
    """The picture.

    Args:
        path: the nodes of the path in view.
    """
    columns = range(place.first, place.first + look.steps)
    layout = icicle.layout(place.focus, columns, _LEAST / look.rows)
    blocks = layout.blocks
    if all(block.node != place.cursor for block in blocks):
        blocks = [*blocks, *_low_block(icicle, place, columns)]
    depth = icicle.tree.depth
    begin = depth[place.focus] - depth[place.start]
    shown, own = look.rows, set(path)
    return IcicleView(
        look.cells,
        _heads(begin + place.first, look),
        [
            _drawn(icicle, vocabulary, block, place, look, own, named=block.height * shown >= 0.9)
            for block in blocks
        ],
        [_gap(gap, place.first) for gap in layout.rests],
        [_gap(gap, place.first) for gap in layout.crumbs],
    )


def _heads(first: int, look: MapLook) -> list[str]:
    """The steps of the columns from `first` on: of each, or of every 2nd, 5th, 10th, ..., so that
    a blank is between them."""
    steps = range(first, first + look.steps)
    room = len(str(steps[-1])) + 1
    by = next(n for n in _EVERY if n * look.cells >= room)
    heads, free = list[str](), 0
    for at, step in enumerate(steps):
        head = "prompt" if not step else "" if step % by else str(step)
        begin, end = at * look.cells, at * look.cells + len(head)
        fits = head and begin >= free and end < look.steps * look.cells
        heads.append(head if fits else "")
        free = end + 1 if fits else free
    return heads


def _low_block(icicle: Icicle, place: MapPlace, columns: range) -> list[Block]:
    """The block under the cursor, however low it is."""
    nodes = [place.cursor]
    while nodes[-1] != place.focus:
        nodes.append(icicle.tree.parent[nodes[-1]])
    nodes.reverse()
    top, height, known = 0.0, 1.0, True
    for parent, node in pairwise(nodes):
        share = next(share for share in icicle.after(parent).shares if share.node == node)
        top, height, known = top + share.top * height, height * share.height, share.known
    column = len(nodes) - 1
    return [Block(place.cursor, column, top, height, known)] if column in columns else []


def _gap(gap: Gap, first: int) -> IcicleGap:
    return IcicleGap(gap.column - first, gap.top, gap.height)


def _drawn(
    icicle: Icicle,
    vocabulary: Vocabulary,
    block: Block,
    place: MapPlace,
    look: MapLook,
    path: set[int],
    *,
    named: bool,
) -> IcicleBlock:
    tree, node = icicle.tree, block.node
    label = token_name(icicle, vocabulary, node) if named else ""
    if node == place.focus:
        share, kind = "", "focus"
    else:
        share = percent(math.exp(tree.logprob[node])) if block.known else "?"
        heat = heat_of(icicle, node, look.colouring)
        kind = f"heat-{heat}" if heat >= 0 and block.known else "unknown"
    return IcicleBlock(
        node, block.column - place.first, block.top, block.height, kind, label, share,
        path=node in path, cursor=node == place.cursor,
    )  # fmt: skip


def token_name(icicle: Icicle, vocabulary: Vocabulary, node: int) -> str:
    """A node's token; the tokenless root has a word."""
    return vocabulary.show(icicle.tree.token[node]) if node != ROOT else "(begin)"


def heat_of(icicle: Icicle, node: int, colouring: Colouring) -> int:
    """The level of a node's colour; below 0 where the figure is not known."""
    tree = icicle.tree
    if colouring == "surprisal":
        return level("surprisal", -tree.logprob[node])
    entropy = entropy_at(icicle, node)
    return level("entropy", math.nan if entropy is None else entropy)


def entropy_at(icicle: Icicle, node: int) -> float | None:
    """Entropy (nats) of the step at which a node's token was taken; None where it is not known."""
    if node == ROOT:
        return None
    figures = icicle.tree.distribution.figures(icicle.tree.parent[node])
    return None if figures is None else figures.entropy


def cursor_on(icicle: Icicle, focus: int, taken: int | None) -> int:
    """Where the cursor begins under a focus: on the way to the token of the story's cursor, as far
    as its blocks are high enough to be seen."""
    tree, way = icicle.tree, list[int]()
    at = focus if taken is None or not icicle.holds(focus, taken) else taken
    while at != focus:
        way.append(at)
        at = tree.parent[at]
    total, found = 0.0, icicle.onward(focus)
    for node in reversed(way):
        total += tree.logprob[node]
        if not total >= _SEEN:
            break
        found = node
    return focus if found is None else found


def deep(icicle: Icicle, start: int, node: int) -> str:
    """How far below the root of a map a node is, in bits: `+5.3 bits`."""
    bits = -logprob_since(icicle.tree, start, node) / NATS_PER_BIT
    return "+? bits" if math.isnan(bits) else f"+{bits:.1f} bits"


def map_details(
    icicle: Icicle,
    vocabulary: Vocabulary,
    place: MapPlace,
    columns: int,
    *,
    bits: bool,
) -> list[Row]:
    """Four lines of the block under the cursor: its token, its path, what follows, its text.

    Args:
        bits: surprisal and entropy in bits instead of nats.
    """
    node = place.cursor
    name = cut(token_name(icicle, vocabulary, node), _NAME)
    step = icicle.tree.depth[node] - icicle.tree.depth[place.start]
    head = [Piece(name, "here"), Piece(f"  step {step}" if step else "  where the map begins")]
    room = columns - sum(width(piece.text) for piece in head)
    own = [] if node == place.start else _own_figures(icicle, node, bits=bits)
    head.append(Piece(fitting(["", *own], room, BETWEEN)))
    return [
        head,
        [Piece(fitting(_path_figures(icicle, place), columns, BETWEEN))],
        [Piece(fitting(_below(subtree_of(icicle, node), bits=bits), columns, BETWEEN), "muted")],
        _text(icicle, vocabulary, node, columns),
    ]


def _own_figures(icicle: Icicle, node: int, *, bits: bool) -> list[str]:
    """What the model said of a node's token at its step."""
    tree, (unit, nats) = icicle.tree, unit_of(bits=bits)
    entropy = entropy_at(icicle, node)
    parts = ["probability ?" if not tree.is_scored(node) else probability_text(tree.logprob[node])]
    if tree.is_scored(node):
        parts.append(f"surprisal {logprob_text(-tree.logprob[node], bits=bits, digits=2)} {unit}")
    if tree.rank[node]:
        parts.append(f"rank {tree.rank[node]:,}")
    parts.append(f"H {figure(None if entropy is None else entropy / nats, 2)} {unit}")
    if reason := tree.ended.get(node):
        parts.append(f"■ {safe_text(reason)}")
    return parts


def _path_figures(icicle: Icicle, place: MapPlace) -> list[str]:
    """How probable the way to the cursor is, from where the map begins and from the focus."""
    if place.cursor == place.start:
        return ["the whole map"]
    whole = logprob_since(icicle.tree, place.start, place.cursor)
    parts = [
        "path: probability ?"
        if math.isnan(whole)
        else f"path {probability_text(whole)} of the map",
        deep(icicle, place.start, place.cursor),
    ]
    if place.start != place.focus != place.cursor:
        own = logprob_since(icicle.tree, place.focus, place.cursor)
        parts.append(
            "?" if math.isnan(own) else f"{probability_text(own)} of what has the whole height"
        )
    return parts


def _below(subtree: Subtree, *, bits: bool) -> list[str]:
    """What was explored after the cursor."""
    if not subtree.nodes:
        return ["nothing was explored after it"]
    return subtree_words(subtree, bits=bits)


def subtree_words(subtree: Subtree, *, bits: bool) -> list[str]:
    """The sums over what was explored after a node."""
    unit, nats = unit_of(bits=bits)
    mass = probability_text(subtree.log_mass)
    least = "at least " if subtree.unknown else ""
    entropy = None if subtree.entropy is None else subtree.entropy / nats
    return [
        f"{counted(subtree.nodes, 'token')} after it, {counted(subtree.leaves, 'path')}",
        f"mass {'?' if subtree.unknown == subtree.leaves else least + mass}",
        f"mean H {figure(entropy, 2)} {unit}",
    ]


def _text(icicle: Icicle, vocabulary: Vocabulary, node: int, columns: int) -> Row:
    """The text up to the cursor, its end where there is no room for all."""
    tree, nodes = icicle.tree, list[int]()
    while node != ROOT and len(nodes) < _WORDS:
        nodes.append(node)
        node = tree.parent[node]
    pieces = vocabulary.pieces([tree.token[n] for n in reversed(nodes)]) or [""]
    *before, last = (safe_text(piece.replace("\n", NEWLINE)) for piece in pieces)
    last = chop(last, columns // 2)[0]
    return [
        Piece(cut_left("".join(before), columns - width(last)), "muted"),
        Piece(last, "here"),
    ]
