"""Which rows of a batch read which memory together, where their caches share their beginnings."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from tokexplore.models.engine.forward.growing_layer import Segment

Rows = Sequence[tuple[Segment, ...]]
"""What each row of one layer holds; rows that share memory are neighbours, see `in_order`."""


class Part(NamedTuple):
    """Positions `start` to `end`, which rows `first` to `last` of a batch hold in one memory.

    Either all of them hold the same, or each its own and those lie side by side.
    """

    first: int
    last: int
    start: int
    end: int
    depth: int
    """The memory is that of this segment of the first row."""
    offset: int
    """Position `start` is this one of the segment."""
    each: bool = False
    """Whether each row holds its own."""

    def states(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Its keys and values in a layer: [rows with their own or 1, heads, n, head_dim]."""
        buffer, length = rows[self.first][self.depth].buffer, self.end - self.start
        block, place, count = buffer.block, buffer.place, self.last - self.first if self.each else 1
        return (
            block.keys.narrow(0, place, count).narrow(-2, self.offset, length),
            block.values.narrow(0, place, count).narrow(-2, self.offset, length),
        )

    def between(self, start: int, end: int) -> "Part":
        """What of it lies between two positions; of no length where that is nothing."""
        first, last = max(self.start, start), min(self.end, end)
        offset = self.offset + first - self.start
        return self._replace(start=first, end=max(first, last), offset=offset)

    def fits(self, rows: Rows) -> bool:
        """Whether these rows hold it so."""
        held, end = rows[self.first], self.offset + self.end - self.start
        if self.depth >= len(held):
            return False
        buffer = held[self.depth].buffer
        for number, row in enumerate(rows[self.first : self.last]):
            if self.depth >= len(row) or row[self.depth].length < end:
                return False
            other, place = row[self.depth].buffer, buffer.place + (number if self.each else 0)
            if other.block is not buffer.block or other.place != place:
                return False
        return True


def in_order(rows: Rows) -> list[int]:
    """The places of rows in an order in which those that share memory are neighbours."""
    return sorted(range(len(rows)), key=lambda at: [(id(b.block), b.place, n) for b, n in rows[at]])


def parts(rows: Rows) -> list[Part]:
    """All that some rows hold, each memory once.

    Where rows that share one are no neighbours, the parts are smaller and the numbers the same.
    """
    found: list[Part] = []
    for part in _parts(rows, 0, len(rows), 0, 0):
        wider = found[-1]._replace(last=part.last, each=True) if found else part
        alike = (
            found
            and found[-1].last == part.first
            and part == wider._replace(first=part.first, each=False)
        )
        if alike and (found[-1].each or found[-1].last - found[-1].first == 1) and wider.fits(rows):
            found[-1] = wider
        else:
            found.append(part)
    return found


def _parts(rows: Rows, first: int, last: int, depth: int, start: int) -> Iterator[Part]:
    """Those of the rows `first` to `last` from their segment number `depth` on."""
    while first < last:
        if depth == len(rows[first]):
            first += 1
            continue
        done, end = 0, first + 1
        while end < last and _continues(rows[end - 1], rows[end], depth):
            end += 1
        while first < end:
            length, over = rows[first][depth].length, first + 1
            while over < end and rows[over][depth].length == length:
                over += 1
            if length > done:
                yield Part(first, end, start + done, start + length, depth, done)
                done = length
            yield from _parts(rows, first, over, depth + 1, start + length)
            first = over


def _continues(row: tuple[Segment, ...], other: tuple[Segment, ...], depth: int) -> bool:
    """Whether another row holds at least as much of the same memory."""
    if depth == len(other) or other[depth].buffer is not row[depth].buffer:
        return False
    return other[depth].length >= row[depth].length


def by_level(found: Sequence[Part]) -> list[list[Part]]:
    """Parts in levels in which no row comes twice."""
    levels: list[list[Part]] = []
    for part in found:
        level = next((level for level in levels if level[-1].last <= part.first), None)
        if level is None:
            levels.append(level := [])
        level.append(part)
    return levels
