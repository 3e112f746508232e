"""A layer of a KV cache that appends in place, and whose forks hold what they share once.

Keys and values of a position are never written again, so a fork is copied references and a shorter
prefix is a view. A fork that goes on writes into a buffer of its own behind what it shares, so a
tree of branches holds the keys and values of each edge once.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 32
"""A buffer has room for a multiple of so many positions."""


@dataclass(eq=False)
class Buffer:
    """Keys and values of one layer with room to grow, shared by its forks."""

    keys: torch.Tensor
    """[1, heads, room, head_dim]."""
    values: torch.Tensor
    fill: int
    """Positions that some fork has written; the fork of this length may write the next."""
    holders: "WeakSet[GrowingLayer]" = field(default_factory=WeakSet)
    """The layers that hold a part of it and are alive."""
    bytes: int = field(init=False)

    @property
    def room(self) -> int:
        """Positions that it has room for."""
        return self.keys.shape[-2]

    def __post_init__(self) -> None:
        self.bytes = self.keys.nbytes + self.values.nbytes


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
        self.buffer: Buffer | None = None
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
        buffer = self._with_room(key_states, value_states, count)
        start, end = buffer.fill, buffer.fill + count
        buffer.keys.narrow(-2, start, count).copy_(key_states)
        buffer.values.narrow(-2, start, count).copy_(value_states)
        buffer.fill = end
        self.keys = buffer.keys.narrow(-2, 0, end)  # [1, heads, end, head_dim]
        self.values = buffer.values.narrow(-2, 0, end)

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

    def _with_room(
        self, key_states: torch.Tensor, value_states: torch.Tensor, count: int
    ) -> Buffer:
        """The tail's buffer, filled as far as the tail goes, with room for `count` more."""
        held, buffer = self._tail, self.buffer
        if buffer is not None:
            shared = len(buffer.holders) > 1
            if not shared:
                buffer.fill = held  # who wrote behind it is gone
            if buffer.fill == held and held + count <= buffer.room:
                return buffer
            if self.shares and shared and held >= self.least:
                self.before, self.offset = self.segments, self.offset + held
                return self._new_buffer(key_states, value_states, 0, count)
            buffer.holders.discard(self)
        return self._new_buffer(key_states, value_states, held, count)

    def _new_buffer(
        self, key_states: torch.Tensor, value_states: torch.Tensor, held: int, count: int
    ) -> Buffer:
        """A buffer of its own that holds the first `held` positions of the tail."""
        end = held + count
        room = -(-(end + end // 4) // _ROOM) * _ROOM
        keys = key_states.new_empty((*key_states.shape[:-2], room, key_states.shape[-1]))
        values = value_states.new_empty((*value_states.shape[:-2], room, value_states.shape[-1]))
        if held:
            keys.narrow(-2, 0, held).copy_(self.keys)
            values.narrow(-2, 0, held).copy_(self.values)
        self.buffer = Buffer(keys, values, held)
        self.buffer.holders.add(self)
        return self.buffer
