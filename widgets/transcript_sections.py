"""The turns of a text as the transcript shows them: each under a line of its own, parts hidden."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from tokexplore.widgets.transcript_cells import Cell, extent

Span = tuple[int, int]
"""Indices of cells: the first, and the one after the last."""


class Section(NamedTuple):
    """A turn, or a prompt."""

    start: int
    stop: int
    label: str
    """Who speaks."""
    figures: tuple[str, ...] = ()
    """What is known of it, beside its label: the last ones give way first."""
    titled: Literal["always", "whole", "folded"] = "always"
    """When its line is there: only while nothing of it is hidden, or only while it is folded."""
    foldable: bool = False
    """Whether one line stands for all of it when it is long."""
    template: tuple[Span, ...] = ()
    """Cells that the template wrote."""
    reasoning: tuple[Span, ...] = ()
    """Cells that were thought and not said."""

    @property
    def words(self) -> int:
        """Cells that the template did not write."""
        return self.stop - self.start - sum(stop - start for start, stop in self.template)


class Folding(NamedTuple):
    """What is hidden."""

    long: bool = True
    """Long sections that can be folded, and what templates write."""
    reasoning: bool = False


class Changes(NamedTuple):
    """What an update changed."""

    first: int
    """The first cell that is laid out otherwise; the number of cells where none is."""
    titles: list[int]
    """Sections whose lines say something else."""


class Sections:
    """The sections of a text, and which of its cells are hidden."""

    def __init__(self, fold_over: int) -> None:
        self._fold_over = fold_over
        self.shown: Sequence[Section] = ()
        self.folded: frozenset[int] = frozenset()
        """Numbers of the sections that have more lines than `fold_over` and can be folded."""
        self.hidden = bytearray()
        """1 for each cell that is hidden."""
        self.titles: Mapping[int, int] = {}
        """By the cell that a section begins with, the section's number: of those with a line of
        their own at present."""
        self._long = True

    def update(
        self,
        sections: Sequence[Section],
        cells: Sequence[Cell],
        keep: int,
        columns: int,
        folding: Folding,
    ) -> Changes:
        """Take over the sections of `cells`, of which the first `keep` are as before."""
        before, hidden, titles = self.shown, self.hidden, self.titles
        sections = sections or _prompt(cells, keep, before)
        same = _same(before, sections, keep)
        self.shown = list(sections)
        long = (n for n in range(same, len(sections)) if self._is_long(n, cells, columns))
        self.folded = frozenset(n for n in self.folded if n < same) | frozenset(long)
        self._hide(len(cells), folding)
        moved = dict(self.titles.items() ^ titles.items())
        pairs = enumerate(zip(before, sections, strict=False))
        said = [n for n, (a, b) in pairs if (a.label, a.figures) != (b.label, b.figures)]
        return Changes(min([_first_mismatch(hidden, self.hidden), *moved]), said)

    def fold(self, cells: Sequence[Cell], columns: int, folding: Folding) -> None:
        """Hide what is to be hidden on a screen of another width, or as told otherwise."""
        numbers = range(len(self.shown))
        self.folded = frozenset(n for n in numbers if self._is_long(n, cells, columns))
        self._hide(len(cells), folding)

    def is_folded(self, number: int) -> bool:
        """Whether one line stands for a section."""
        return self._long and number in self.folded

    def hides_fork(self, number: int, cells: Sequence[Cell]) -> bool:
        """Whether the tree forks after a hidden cell of a section."""
        section = self.shown[number]
        at = self.hidden.find(1, section.start, section.stop)
        while at >= 0:
            if cells[at].fork:
                return True
            at = self.hidden.find(1, at + 1, section.stop)
        return False

    def with_heading(self, cell: int) -> int | None:
        """The section that no word stands in before a cell; None where some do."""
        number = self.at(cell)
        if number is None:
            return None
        first, section = self.shown[number].start, self.shown[number]
        for start, stop in section.template:
            first = stop if start == first else first
        return number if cell <= first else None

    def at(self, cell: int) -> int | None:
        """The section that a cell belongs to."""
        found = bisect_right(self.shown, cell, key=lambda section: section.start) - 1
        return found if found >= 0 else None

    def standing_for(self, cell: int) -> int | None:
        """The section whose line stands for a cell that is hidden; None where it is not."""
        if not 0 <= cell < len(self.hidden) or not self.hidden[cell]:
            return None
        return self.at(cell)

    def _is_long(self, number: int, cells: Sequence[Cell], columns: int) -> bool:
        section = self.shown[number]
        if not section.foldable:
            return False
        return extent(cells, section.start, section.stop, columns) > self._fold_over

    def _is_titled(self, number: int, section: Section) -> bool:
        if section.titled == "whole":
            return not self._long
        return section.titled == "always" or self.is_folded(number)

    def _hide(self, count: int, folding: Folding) -> None:
        self._long = folding.long
        self.hidden = bytearray(count)
        for number, section in enumerate(self.shown):
            spans = section.template if folding.long else ()
            spans += section.reasoning if folding.reasoning else ()
            if self.is_folded(number):
                spans = ((section.start, section.stop),)
            for start, stop in spans:
                self.hidden[start:stop] = b"\1" * (stop - start)
        self.titles = {
            section.start: number
            for number, section in enumerate(self.shown)
            if self._is_titled(number, section)
        }


def _prompt(cells: Sequence[Cell], keep: int, before: Sequence[Section]) -> Sequence[Section]:
    """The prompt at the beginning of a text that has no turns."""
    if len(before) == 1 and before[0].titled == "folded" and before[0].stop < keep:
        return before
    count = next((i for i, cell in enumerate(cells) if cell.origin != "prompt"), len(cells))
    return [Section(0, count, "prompt", titled="folded", foldable=True)] if count else []


def _same(before: Sequence[Section], sections: Sequence[Section], keep: int) -> int:
    """How many sections at the beginning have the cells that they had."""
    pairs = enumerate(zip(before, sections, strict=False))
    other = (
        n
        for n, (a, b) in pairs
        if (a.start, a.stop, a.foldable) != (b.start, b.stop, b.foldable) or b.stop > keep
    )
    return next(other, min(len(before), len(sections)))


def _first_mismatch(old: bytearray, new: bytearray) -> int:
    """The first index at which two rows of bytes differ; the new one's length where none does."""
    count = min(len(old), len(new))
    if old[:count] == new[:count]:
        return len(new)
    return next(i for i in range(count) if old[i] != new[i])
