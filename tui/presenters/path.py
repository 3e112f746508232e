"""The path in view as what its widgets show, kept up to date by redoing only what changed."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from tokexplore.models.api.chat import PartKind
from tokexplore.models.diff.spans import Span, SpanTotals, span_totals
from tokexplore.models.lab.flips import could_flip, scale
from tokexplore.models.partial_characters import LONGEST_CHARACTER
from tokexplore.models.tree.conversation import Stretch, Turn, stretches, turns
from tokexplore.models.tree.spanned import Placed, spans_along
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.turns import is_given
from tokexplore.models.tree.visibility import is_fork
from tokexplore.tui.explore.explorer import Explorer, came
from tokexplore.tui.presenters.comparisons import Comparisons
from tokexplore.widgets.heat import NONE, Colouring, level
from tokexplore.widgets.transcript import Cell


class PathView:
    """Cells, entropies and close calls of the explorer's path, index by index."""

    def __init__(self, explorer: Explorer, gaps: Mapping[int, float]) -> None:
        self._explorer, self._gaps = explorer, gaps
        self._gaps_seen = 0
        self.noise: float | None = None
        """Of the gap of two logits along this path (nats); None where it is not measured."""
        self.cells: list[Cell] = []
        self._nodes: list[int] = []
        """The node of each cell: the explorer may be on another path before the next update."""
        self.entropies = array("d")
        """Nats; NaN where not known."""
        self.comparisons = Comparisons(explorer.tree)
        self.placed: list[Placed] = []
        """The spans of two models with tokens of their own, in order."""
        self._spans: list[Span | None] = []
        """By index: the span that a token is in."""
        self._totals: SpanTotals | None = None
        """What they come to; None where that is to be added up."""
        self.close = array("q")
        """Indices of close calls, rising."""
        self._margins = array("d")
        """Nats; NaN where not known."""
        self.turns: list[Turn] = []
        """Of the conversation; empty where it is none."""
        self._kinds: list[Stretch] = []
        """The stretches of those turns."""
        self._shown: dict[int, str] = {}
        """Visible forms by token id, of the tokens that were met."""
        self.recolour("surprisal")

    def recolour(self, colouring: Colouring) -> None:
        """Colour by something else: `level` is another function, of an index into `cells`."""
        self.colouring: Colouring = colouring
        self.level = partial(self._level, colouring)

    def update(self) -> int:
        """Bring the lists up to date; how many cells at the start stayed as they were."""
        explorer = self._explorer
        count = len(self.cells)
        settled = min(explorer.settle(), count)
        keep = max(0, settled - LONGEST_CHARACTER)
        marked = self._measure(settled < count)
        pieces, old = self._pieces(keep), self.cells[keep:settled]
        del self.cells[keep:], self._nodes[keep:], self.entropies[keep:], self._margins[keep:]
        self.comparisons.cut(keep)
        compared = self.comparisons.take_in(explorer.nodes)
        self._place_spans(keep)
        del self.close[bisect_left(self.close, keep) :]
        given = explorer.tree.turns(explorer.leaf)
        for index, piece in enumerate(pieces, keep):
            self._add(index, piece, given=is_given(given, index + 1))
        told = self._tell_apart(keep)
        pairs = zip(old, self.cells[keep:], strict=False)
        same = next((at for at, (a, b) in enumerate(pairs) if a != b), None)
        first = min(marked, told, compared if compared < keep else count)
        return min(first, settled, len(self.cells)) if same is None else min(first, keep + same)

    def _place_spans(self, keep: int) -> None:
        """Say of each cell from `keep` on in which span it is."""
        nodes = self._explorer.nodes
        found = spans_along(self._explorer.tree.spans, nodes, keep)
        first = min(keep, found[0].start) if found else keep
        while self.placed and self.placed[-1].stop > first:
            self.placed.pop()
            self._totals = None
        self.placed += found
        self._totals = None if found else self._totals
        self._spans[keep:] = [None] * (len(nodes) - keep)
        for placed in found:
            for index in range(max(keep, placed.start), placed.stop):
                self._spans[index] = placed.span

    @property
    def totals(self) -> SpanTotals:
        """What the spans come to."""
        if self._totals is None:
            self._totals = span_totals([placed.span for placed in self.placed])
        return self._totals

    def _tell_apart(self, keep: int) -> int:
        """Say of each cell whose words it is; the first of those before `keep` that changes."""
        before, cells = self._kinds, self.cells
        self._kinds = stretches(
            self._explorer.path, lambda start, stop: [cell.text for cell in cells[start:stop]]
        )
        self.turns = turns(self._kinds)
        changed = len(cells)
        for index, kind in _changed_kinds(before, self._kinds, keep, len(cells)):
            if cells[index].kind != kind:
                cells[index] = cells[index]._replace(kind=kind)
                changed = min(changed, index) if index < keep else changed
        return changed

    def _measure(self, other_path: bool) -> int:
        """Take new measures of noise in; the first index whose mark changes, or the length."""
        nodes, count = self._explorer.nodes, len(self.cells)
        if len(self._gaps) == self._gaps_seen and not other_path:
            return count
        self._gaps_seen = len(self._gaps)
        before = self.noise
        self.noise = scale([self._gaps[node] for node in nodes if node in self._gaps])
        if self.noise == before:
            return count
        changed = [at for at in range(count) if self._could_flip(at) != self.cells[at].flip]
        for at in changed:
            self.cells[at] = self.cells[at]._replace(flip=not self.cells[at].flip)
        return min(changed, default=count)

    def _could_flip(self, index: int) -> bool:
        margin = self._margins[index]
        return self.noise is not None and could_flip(margin, self.noise)

    @property
    def flips(self) -> list[int]:
        """Indices of steps that could flip, rising."""
        return [at for at, cell in enumerate(self.cells) if cell.flip] if self.noise else []

    def _pieces(self, start: int) -> list[str]:
        """Running text from `start` on, decoded from far enough before it."""
        explorer = self._explorer
        early = max(0, start - LONGEST_CHARACTER)
        ids = [explorer.tree.token[n] for n in explorer.nodes[early:]]
        return explorer.vocabulary.pieces(ids)[start - early :]

    def _add(self, index: int, piece: str, *, given: bool) -> None:
        explorer, tree = self._explorer, self._explorer.tree
        node = explorer.nodes[index]
        token = tree.token[node]
        before = tree.distribution.figures(explorer.nodes[index - 1] if index else ROOT)
        self._nodes.append(node)
        self._margins.append(math.nan if before is None or given else before.margin)
        shown = self._shown.get(token)
        if shown is None:
            shown = self._shown[token] = explorer.vocabulary.show(token)
        self.cells.append(
            Cell(
                text=piece,
                origin=came(tree.origin[node], given=given),
                fork=is_fork(tree, node),
                special=token in explorer.vocabulary.special,
                shown=shown,
                flip=self._could_flip(index),
            )
        )
        entropy = None if before is None else before.entropy
        self.entropies.append(math.nan if entropy is None else entropy)
        self.comparisons.add(node, self._spans[index])
        if before is not None and before.margin < explorer.close_call:
            self.close.append(index)

    def _level(self, colouring: Colouring, index: int) -> int:
        """The heat of the token at an index; NONE where nothing is known before it."""
        tree = self._explorer.tree
        if colouring == "delta":
            apart = self._spans[index] or tree.compared.get(self._nodes[index])
            return NONE if apart is None else level("delta", apart.delta)
        before = tree.distribution.figures(self._nodes[index - 1] if index else ROOT)
        if before is None:
            return NONE
        if colouring == "entropy":
            return NONE if before.entropy is None else level("entropy", before.entropy)
        logprob = tree.logprob[self._nodes[index]]
        if colouring == "surprisal" or math.isnan(logprob):
            return level("surprisal", -logprob)
        return level("probability", math.exp(min(0.0, logprob - before.top_logprob)))


def _changed_kinds(
    before: Sequence[Stretch], after: Sequence[Stretch], keep: int, count: int
) -> Iterator[tuple[int, PartKind]]:
    """The cells whose kind may be another one than it was, and all from `keep` on."""
    start = min(keep, _first_difference(before, after))
    if before and not after:
        yield from ((index, "content") for index in range(start, count))
    for stretch in after:
        for index in range(max(start, stretch.start), min(stretch.stop, count)):
            yield index, stretch.kind


def _first_difference(before: Sequence[Stretch], after: Sequence[Stretch]) -> int:
    """The first index that is of another kind in two tellings of a path."""
    for a, b in zip(before, after, strict=False):
        if a.kind != b.kind or a.start != b.start:
            return min(a.start, b.start)
        if a.stop != b.stop:
            return min(a.stop, b.stop)
    shorter = min(before, after, key=len)
    return shorter[-1].stop if shorter else 0
