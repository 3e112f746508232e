"""Lengths of a path at which a model changes its own rules.

With LongRoPE the length of a pass decides by which of two sets of frequencies *all* of its
positions are turned; with dynamic NTK scaling each length beyond the model's own has a set to
itself. Keys that were made on one side of such a border are wrong on the other, and so is a logit
that is read off a longer pass.
"""

from collections.abc import Iterator

import msgspec


class Borders(msgspec.Struct, frozen=True):
    """Where passes change their rules; without any, every length shares them."""

    once: tuple[int, ...] = ()
    """Lengths that are the last under their rules; all longer ones share others."""
    every: int = 0
    """The last length that shares its rules: beyond it each has its own. 0 for none."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """The last lengths before other rules begin."""
        return (*self.once, self.every) if self.every else self.once

    def since(self, length: int) -> int:
        """The least length whose passes follow the same rules as those of `length`."""
        if self.alone(length):
            return length
        return max((last + 1 for last in self.once if last < length), default=1)

    def alone(self, length: int) -> bool:
        """Whether passes of no other length follow the rules of this one."""
        return 0 < self.every < length

    def between(self, first: int, last: int) -> bool:
        """Whether the rules change between two lengths, the smaller one first."""
        return self.since(first) != self.since(last)

    def ends(self, first: int, last: int) -> Iterator[int]:
        """The last length of each stretch from `first` to `last` that shares its rules."""
        found = {border for border in self.once if first <= border < last}
        if self.every:
            found.update(range(max(first, self.every), last))
        yield from sorted(found)
        yield last

    def words(self) -> str:
        """What a path costs that crosses one, for people; empty where there is none."""
        parts = [f"a path that grows past {last:,} tokens is fed again whole" for last in self.once]
        if self.every:
            parts.append(f"beyond {self.every:,} tokens every step feeds the whole path again")
        return "; ".join(parts)


NO_BORDERS = Borders()
