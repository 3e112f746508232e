"""A text that grows, as the tokens of two vocabularies: only what changed of it is cut again."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tokexplore.models.diff.spans import Span, Spelling, Stretch, side_of, spelling, stretches
from tokexplore.models.tokens import Vocabulary

MARGIN = 8
"""Tokens of either model at the end of a text that goes on which are not compared yet: with more
text a tokenizer may cut them otherwise."""


Logprobs = Callable[[range], dict[int, float]]


class _Border(NamedTuple):
    """Where tokens of both end."""

    byte: int
    first: int
    """Position of the token that comes after it."""
    second: int


class GrowingText:
    """One text at a time: that of a path of the first model, and the second one's tokens of it.

    A border that is found stays one as long as both have the same tokens before it, so that of a
    text that grew, or went another way from somewhere on, only the rest is cut.

    Args:
        name: of the second, for errors.
    """

    def __init__(self, first: Vocabulary, second: Vocabulary, name: str) -> None:
        self._first, self._second, self._name = first, second, name
        self.text = ""
        """What the second is to encode: all of the path that is whole characters."""
        self.waiting: list[Stretch] = []
        """Stretches that can be told and were not, in order; bytes of the text."""
        self.changed_from = 0
        """Position on the path of the last border that had stayed when it was spelled last."""
        self._ids: tuple[int, ...] = ()
        self._begin = 0
        self._ends: list[int] = []
        """Of the tokens from `_begin` on, as far as they have bytes."""
        self._data = bytearray()
        self._count = 0
        """Of those the ones that `text` consists of."""
        self._second_ids: tuple[int, ...] = ()
        self._logprobs: list[float] = []
        """The second's by position, as far as it read; NaN of the first one."""
        self._borders: list[_Border] = []

    # The first one's text

    def take(self, ids: Sequence[int], begin: int) -> None:
        """Go to a path: `text` is then its own.

        The space that a SentencePiece tokenizer puts in front of a text is no part of it. A text
        ends before bytes that are no characters, or not yet, and before a token without bytes.

        Args:
            begin: position of the first token that is text.
        """
        same = _common(self._ids, tuple(ids))
        if begin != self._begin:
            same, self._borders, self.waiting = 0, [], []
        self._ids, self._begin = tuple(ids), begin
        kept = max(0, min(same - begin, len(self._ends)))
        del self._ends[kept:]
        del self._data[self._ends[-1] if kept else 0 :]
        for token in ids[begin + kept :]:
            data = self._first.bytes_of(token)
            if not data:
                break
            if not self._ends and self._first.leading_space:
                data = data.removeprefix(b" ")
            self._data += data
            self._ends.append(len(self._data))
        self.text, self._count = self._whole_characters()
        self._forget(same, len(self._second_ids))

    def _whole_characters(self) -> tuple[str, int]:
        """The text as far as tokens and characters end together, and how many tokens that are."""
        end = len(self._data)
        while True:
            try:
                return self._data[:end].decode(), bisect_right(self._ends, end)
            except UnicodeDecodeError as error:
                before = bisect_right(self._ends, min(error.start, end - 1))
                end = self._ends[before - 1] if before else 0

    # The second one's tokens

    def spell(self, ids: Sequence[int], *, margin: int = 0) -> None:
        """Cut the text as the second one spells it, from the last border that stays one.

        Args:
            ids: what it encodes the text as.
            margin: tokens of either at the end that are not cut yet.

        Raises:
            UsageError: the bytes of the tokens are not the text's.
        """
        before, self._second_ids = self._second_ids, tuple(ids)
        same = _common(before, self._second_ids)
        del self._logprobs[same:]
        self._forget(len(self._ids), same)
        byte, first, second = self._borders[-1] if self._borders else (0, self._begin, 0)
        self.changed_from = first
        end = self._ends[self._count - 1] if self._count else 0
        rest = bytes(self._data[byte:end])
        spelled = spelling(self._second, ids[second:], rest, self._name)
        ours = self._ends[first - self._begin : self._count]
        one = Spelling(self._ids, first, tuple(at - byte for at in ours))
        other = Spelling(self._second_ids, second + spelled.begin, spelled.ends)
        if not self._borders:
            self._borders.append(_Border(0, first, other.begin))
        self._cut(one, other, byte, margin)

    def _cut(self, one: Spelling, other: Spelling, byte: int, margin: int) -> None:
        limits = [of.begin + len(of.ends) - margin for of in (one, other)]
        for left, right, ours, theirs in stretches(one, other):
            if ours.stop > limits[0] or theirs.stop > limits[1]:
                return
            self._borders.append(_Border(byte + right, ours.stop, theirs.stop))
            stretch = Stretch(byte + left, byte + right, ours, theirs)
            if self._can_be_told(stretch):
                self.waiting.append(stretch)

    def _can_be_told(self, stretch: Stretch) -> bool:
        """Whether both have something before it, and it holds no special token that one of them
        alone reads as such: what that costs is not what its name costs."""
        marks = [
            [known.bytes_of(ids[at]) for at in places if ids[at] in known.special]
            for known, ids, places in (
                (self._first, self._ids, stretch.first),
                (self._second, self._second_ids, stretch.second),
            )
        ]
        return 0 not in stretch.first and 0 not in stretch.second and marks[0] == marks[1]

    def _forget(self, first: int, second: int) -> None:
        """Nothing is known of what is cut from the tokens behind these positions."""
        while self._borders and (
            self._borders[-1].first > first or self._borders[-1].second > second
        ):
            self._borders.pop()
        self.waiting = [
            s for s in self.waiting if s.first.stop <= first and s.second.stop <= second
        ]

    # What they say

    def unread(self, context: int) -> range:
        """Positions of the second's tokens before the last border whose logprobs are not known.

        Args:
            context: positions that it has; 0 for no end.
        """
        stop = self._borders[-1].second if self._borders else 0
        return range(max(1, len(self._logprobs)), min(stop, context or stop))

    def ids_until(self, stop: int) -> tuple[int, ...]:
        """The second's tokens before a position."""
        return self._second_ids[:stop]

    def read(self, logprobs: Sequence[float]) -> None:
        """The second's logprobs (nats) of its next tokens that are unread."""
        self._logprobs += [*([] if self._logprobs else [math.nan]), *logprobs]

    def can_tell(self, logprobs: Logprobs) -> bool:
        """Whether the first's logprobs are known of the first or of the last stretch that the
        second read and that waits: they come in order, those of a prompt at times after those of
        what follows it.

        Args:
            logprobs: as for `told`.
        """
        count = self._readable
        ends = {0, count - 1} if count else ()
        return any(_is_known(self.waiting[at].first, logprobs) for at in ends)

    @property
    def _readable(self) -> int:
        """How many of the stretches that wait were read by the second."""
        return bisect_right(self.waiting, len(self._logprobs), key=lambda each: each.second.stop)

    def told(self, logprobs: Logprobs) -> list[tuple[Stretch, Span]]:
        """The stretches that waited and of which both logprobs are known by now.

        Args:
            logprobs: those of the first (nats) at some positions, as far as they are known.
        """
        told, waiting, count = list[tuple[Stretch, Span]](), list[Stretch](), self._readable
        for stretch in self.waiting[:count]:
            known = logprobs(stretch.first)
            if len(known) < len(stretch.first):
                waiting.append(stretch)
                continue
            theirs = {at: self._logprobs[at] for at in stretch.second}
            one = side_of(self._ids, stretch.first, known)
            other = side_of(self._second_ids, stretch.second, theirs)
            told.append((stretch, Span(stretch.start, stretch.end, one, other)))
        self.waiting = waiting + self.waiting[count:]
        return told


def _is_known(places: range, logprobs: Logprobs) -> bool:
    return len(logprobs(places)) == len(places)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many ids two paths begin with alike; halves are compared at once, which is quick."""
    same, most = 0, min(len(one), len(other))
    while same < most:
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same
