"""A layer of a KV cache that appends in place, and whose forks hold what they share once.

Keys and values of a position are never written again, so a fork is copied references and a shorter
prefix is a view. A fork that goes on writes into a buffer of its own behind what it shares, so a
tree of branches holds the keys and values of each edge once.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 32
"""A buffer has room for a multiple of so many positions."""
_SIDE_BY_SIDE = 512
"""Buffers with room for more lie in memory of their own: they are given back one by one."""
MOST_SEGMENTS, COPIED = 8, 1024
"""Where a layer parts from others at more places, the last segments are put together that have so
many positions at most: each takes a pass products of its own."""


class Block:
    """Memory for the keys and values of one layer, of one buffer or of several side by side."""

    def __init__(self, rows: int, room: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = keys.new_empty((rows, keys.shape[1], room, keys.shape[-1]))
        self.values = values.new_empty((rows, values.shape[1], room, values.shape[-1]))
        self.bytes = self.keys.nbytes + self.values.nbytes
        self.buffers: WeakSet[Buffer] = WeakSet()
        """Those that lie in it and are alive."""

    @property
    def is_sparse(self) -> bool:
        """Whether half of its rows or more hold nothing that is alive."""
        return 2 * sum(buffer.rows for buffer in self.buffers) <= len(self.keys)


@dataclass(eq=False)
class Buffer:
    """Keys and values of one layer with room to grow, shared by its forks."""

    block: Block
    place: int
    """Its first row in the block."""
    rows: int
    fill: int
    """Positions that some fork has written; the fork of this length may write the next."""
    holders: "WeakSet[GrowingLayer]" = field(default_factory=WeakSet)
    """The layers that hold a part of it and are alive."""
    keys: torch.Tensor = field(init=False)
    """[rows, heads, room, head_dim]."""
    values: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._lie()

    def _lie(self) -> None:
        self.keys = self.block.keys.narrow(0, self.place, self.rows)
        self.values = self.block.values.narrow(0, self.place, self.rows)
        self.block.buffers.add(self)

    def alone(self) -> None:
        """Move to memory of its own, with all that hold a part of it."""
        keys, values = self.keys, self.values
        self.block.buffers.discard(self)
        self.block, self.place = Block(self.rows, self.room, keys, values), 0
        self._lie()
        self.keys.narrow(-2, 0, self.fill).copy_(keys.narrow(-2, 0, self.fill))
        self.values.narrow(-2, 0, self.fill).copy_(values.narrow(-2, 0, self.fill))
        for layer in self.holders:
            if layer.buffer is self:
                layer._see()

    @property
    def room(self) -> int:
        """Positions that it has room for."""
        return self.keys.shape[-2]


class Segment(NamedTuple):
    """The first positions of a buffer."""

    buffer: Buffer
    length: int

    def keys(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """A view of the keys of its positions `start` to `end`, [1, heads, n, head_dim]."""
        end = self.length if end is None else end
        return self.buffer.keys.narrow(-2, start, end - start)

    def values(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """A view of the values, [1, heads, n, head_dim]."""
        end = self.length if end is None else end
        return self.buffer.values.narrow(-2, start, end - start)


class GrowingLayer(DynamicLayer):
    """Full attention that appends in place where `DynamicLayer` copies all keys for each token.

    `keys` and `values` are its tail: views of the first positions of a buffer. Of the forks that
    share a buffer the first to go on owns what follows; any other one begins a new tail, and what
    it had is one of the segments before.

    Args:
        shares: whether a fork may have segments; without, it copies what it has when it goes on.
    """

    least = 32
    """A shorter tail is copied, not shared: so many products more cost more than they save."""

    def __init__(self, shares: bool = False) -> None:
        super().__init__()
        self.shares = shares
        self.buffer: Any = None
        """The `Buffer` of its tail; None where it has none."""
        self.before: tuple[Segment, ...] = ()
        """What comes before the tail. Others may hold it too: it is never written."""
        self.offset = 0
        """Positions before the tail."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All that it holds, in the order of positions."""
        held = self._tail
        return (*self.before, Segment(self.buffer, held)) if self.buffer and held else self.before

    def get_seq_length(self) -> int:
        """Positions that it holds."""
        return self.offset + self._tail

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states of shape [B, heads, n, head_dim]; all keys and values, put together.

        Where it held one row and B are more, all of them begin with that one.
        """
        if self.buffer is not None and len(key_states) != len(self.buffer.keys):
            self.detached()
        self.append(key_states, value_states)
        return self._together()

    def append(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Append states of shape [B, heads, n, head_dim], of as many rows as it holds."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        count = key_states.shape[-2]
        if not self._claims(count):
            _move([self], len(key_states), count, key_states, value_states)
        start = self.buffer.fill - count
        self.buffer.keys.narrow(-2, start, count).copy_(key_states)
        self.buffer.values.narrow(-2, start, count).copy_(value_states)
        self._hold()

    def cropped(self, length: int) -> "GrowingLayer":
        """A fork of the first `length` positions."""
        twin = copy.copy(self)
        before, tail = list(self.before), Segment(self.buffer, self._tail) if self.buffer else None
        while before and twin.offset >= length:
            tail = before.pop()
            twin.offset -= tail.length
        twin.before = tuple(before)
        if tail:
            twin.buffer = tail.buffer
            twin.keys = tail.keys(0, length - twin.offset)
            twin.values = tail.values(0, length - twin.offset)
        elif self.get_seq_length():
            twin.keys = self.keys.narrow(-2, 0, length)
            twin.values = self.values.narrow(-2, 0, length)
        for segment in (*twin.before, *filter(None, [tail])):
            segment.buffer.holders.add(twin)
        return twin

    def is_split(self, more: int = 0) -> bool:
        """Whether it holds several segments, or will after `more` positions."""
        held, buffer = self._tail, self.buffer
        if self.before or buffer is None or not more:
            return bool(self.before)
        in_place = buffer.fill == held and held + more <= buffer.room
        return self.shares and held >= self.least and not in_place and len(buffer.holders) > 1

    def detached(self) -> None:
        """Share no buffer any more: the next states may be of several rows with this beginning."""
        self.keys, self.values = self._together()
        for segment in self.segments:
            segment.buffer.holders.discard(self)
        self.buffer, self.before, self.offset = None, (), 0

    @property
    def _tail(self) -> int:
        return super().get_seq_length()

    def _together(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values, [B, heads, length, head_dim]: copied where there are segments."""
        if not self.before:
            return self.keys, self.values
        keys = torch.cat([*(segment.keys() for segment in self.before), self.keys], -2)
        values = torch.cat([*(segment.values() for segment in self.before), self.values], -2)
        return keys, values

    def _claims(self, count: int) -> bool:
        """Take the `count` positions behind its tail in its buffer; whether they could be had.

        Where they are not it is left with its tail, or begins an empty one.
        """
        held, buffer = self._tail, self.buffer
        if buffer is None:
            return False
        shared = len(buffer.holders) > 1
        if not shared:
            buffer.fill = held  # who wrote behind it is gone
        if buffer.fill == held and held + count <= buffer.room:
            buffer.fill = held + count
            return True
        if self.shares and shared and held >= self.least:
            self.before, self.offset = self.segments, self.offset + held
            self.keys, self.values = self.keys.narrow(-2, 0, 0), self.values.narrow(-2, 0, 0)
            if len(self.before) > MOST_SEGMENTS:
                self._put_last_together()
        else:
            buffer.holders.discard(self)
        return False

    def _put_last_together(self) -> None:
        """Copy the last segments where they are short: its tail, which lies in no buffer yet."""
        lengths = accumulate(segment.length for segment in reversed(self.before))
        count = min(sum(length <= COPIED for length in lengths), MOST_SEGMENTS // 2)
        if count < 2:
            return
        self.before, last = self.before[:-count], self.before[-count:]
        self.keys = torch.cat([segment.keys() for segment in last], -2)
        self.values = torch.cat([segment.values() for segment in last], -2)
        self.offset -= self._tail
        for segment in last:
            segment.buffer.holders.discard(self)

    def _take(self, buffer: Buffer) -> None:
        """Go on in a new buffer, into which the tail is copied."""
        if held := self._tail:
            buffer.keys.narrow(-2, 0, held).copy_(self.keys)
            buffer.values.narrow(-2, 0, held).copy_(self.values)
        self.buffer = buffer
        buffer.holders.add(self)

    def _hold(self) -> None:
        """Hold its buffer as far as it is filled."""
        self._see(self.buffer.fill)

    def _see(self, length: int | None = None) -> None:
        """See its buffer's first positions, as many as before by default."""
        length = self._tail if length is None else length
        self.keys = self.buffer.keys.narrow(-2, 0, length)  # [rows, heads, length, head_dim]
        self.values = self.buffer.values.narrow(-2, 0, length)


def append_to_each(
    layers: Sequence[GrowingLayer], key_states: torch.Tensor, value_states: torch.Tensor
) -> None:
    """Append states of shape [B, heads, n, head_dim] to B layers of one row each.

    New buffers that they need lie side by side, so that one product can read them.
    """
    count = key_states.shape[-2]
    moving = [layer for layer in layers if not layer._claims(count)]
    if moving:
        _move(moving, 1, count, key_states, value_states)
    first = 0
    for buffers in _side_by_side(layers):
        block, place, number = buffers[0].block, buffers[0].place, len(buffers)
        start, rows = buffers[0].fill - count, slice(first, first + number)
        block.keys.narrow(0, place, number).narrow(-2, start, count).copy_(key_states[rows])
        block.values.narrow(0, place, number).narrow(-2, start, count).copy_(value_states[rows])
        first += number
    for layer in layers:
        layer._hold()


def _move(
    layers: Sequence[GrowingLayer], rows: int, count: int, keys: torch.Tensor, values: torch.Tensor
) -> None:
    """Give layers a new buffer each, of so many rows and room for `count` more positions each."""
    ends = [layer._tail + count for layer in layers]
    rooms = [-(-(end + end // 4) // _ROOM) * _ROOM for end in ends]
    together = max(rooms) <= _SIDE_BY_SIDE
    block = Block(rows * len(layers), max(rooms), keys, values) if together else None
    for number, (layer, end, room) in enumerate(zip(layers, ends, rooms, strict=True)):
        own, place = (block, number * rows) if block else (Block(rows, room, keys, values), 0)
        layer._take(Buffer(own, place, rows, end))


def _side_by_side(layers: Sequence[GrowingLayer]) -> Iterator[list[Buffer]]:
    """The buffers of layers, in runs of neighbours in one memory that are filled equally far."""
    buffers = [layer.buffer for layer in layers]
    keys = [(id(b.block), b.fill, b.place - number) for number, b in enumerate(buffers)]
    for _, run in groupby(zip(keys, buffers, strict=True), lambda pair: pair[0]):
        yield [buffer for _, buffer in run]
