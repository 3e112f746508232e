"""Two models with tokens of their own on one text: compared where tokens of both end at one byte.

No divergence of two distributions over different tokens exists; what a stretch of the text costs
each model does.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.tokens import Vocabulary


class Spelling(msgspec.Struct, frozen=True):
    """A text as a model's tokens."""

    ids: tuple[int, ...]
    """With what the tokenizer puts around the text."""
    begin: int
    """Position of the first token of the text itself."""
    ends: tuple[int, ...]
    """Byte of the text at which each of its tokens ends."""

    @property
    def added(self) -> tuple[int, ...]:
        """The tokens around the text, which hold no byte of it: BOS, for example."""
        return self.ids[: self.begin] + self.ids[self.begin + len(self.ends) :]


class Side(msgspec.Struct, frozen=True):
    """What a stretch of the text is to one of the two."""

    ids: tuple[int, ...]
    logprob: float | None
    """Of the stretch: the sum over its tokens (nats); None where nothing comes before one."""


class Span(msgspec.Struct, frozen=True):
    """The bytes from one border of the text, at which tokens of both end, to the next."""

    start: int
    end: int
    first: Side
    second: Side

    @property
    def counted(self) -> bool:
        """Whether both say something of all of it."""
        return self.first.logprob is not None and self.second.logprob is not None

    @property
    def delta(self) -> float:
        """Logprob: the second's less the first's (nats); 0 where it is not counted, or both hold
        it impossible."""
        one, other = self.first.logprob, self.second.logprob
        return 0.0 if one is None or other is None or one == other else other - one


class SpanTotals(msgspec.Struct, frozen=True):
    """Of the spans of which both say something."""

    spans: int
    bytes: int
    tokens: tuple[int, int]
    nats: tuple[float, float]
    """Surprisal of all of them; may be infinite."""

    @property
    def bits_per_byte(self) -> tuple[float, float]:
        one, other = (nats / math.log(2) / self.bytes for nats in self.nats)
        return one, other


def span_totals(spans: Sequence[Span]) -> SpanTotals:
    """What some spans come to; 0 of all where none is counted."""
    counted = [span for span in spans if span.counted]
    sides = [[span.first for span in counted], [span.second for span in counted]]
    tokens = [sum(len(side.ids) for side in of_one) for of_one in sides]
    nats = [-math.fsum(side.logprob or 0.0 for side in of_one) for of_one in sides]
    return SpanTotals(
        len(counted),
        sum(span.end - span.start for span in counted),
        (tokens[0], tokens[1]),
        (nats[0], nats[1]),
    )


def spelling(vocabulary: Vocabulary, ids: Sequence[int], text: bytes, name: str) -> Spelling:
    """How a model's tokens spell a text: special tokens before and after it are no part of it, nor
    is the space that a SentencePiece tokenizer puts in front.

    Args:
        name: of the model, for errors.

    Raises:
        UsageError: the bytes of the tokens are not the text's.
    """
    for begin, end in _insides(vocabulary, ids):
        parts = [vocabulary.bytes_of(token) for token in ids[begin:end]]
        said = b"".join(parts)
        if said == b" " + text and vocabulary.leading_space:
            parts[0], said = parts[0].removeprefix(b" "), text
        if said == text:
            return Spelling(tuple(ids), begin, tuple(accumulate(map(len, parts))))
    raise UsageError(
        f"the tokens of {name} do not spell the text byte by byte: its tokenizer changes what it "
        "reads (case, spaces, forms of characters), and spans cannot be aligned."
    )


def _insides(vocabulary: Vocabulary, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where a text can begin and end among its tokens: with all special tokens around it, then
    without the first ones, the last ones."""
    after = sum(1 for _ in takewhile(vocabulary.special.__contains__, reversed(ids)))
    for end in range(len(ids), len(ids) - after - 1, -1):
        before = sum(1 for _ in takewhile(vocabulary.special.__contains__, ids[:end]))
        for begin in range(before + 1):
            yield begin, end


class Stretch(NamedTuple):
    """The text from one border, at which tokens of both end, to the next."""

    start: int
    """Byte of the text."""
    end: int
    first: range
    """Positions of the first one's tokens."""
    second: range


def stretches(first: Spelling, second: Spelling, start: int = 0) -> Iterator[Stretch]:
    """The text cut wherever tokens of both end.

    Args:
        start: byte from which on they are wanted: from the first border there or behind it.
    """
    borders = sorted({0, *(set(first.ends) & set(second.ends))})
    wanted = [border for border in borders if border >= start]
    ours, theirs = _Places(first), _Places(second)
    for left, right in pairwise(wanted):
        yield Stretch(left, right, ours.between(left, right), theirs.between(left, right))


def spans_of(
    first: Spelling,
    second: Spelling,
    logprobs: tuple[dict[int, float], dict[int, float]],
    start: int = 0,
) -> Iterator[Span]:
    """What both say of each stretch of the text.

    Args:
        logprobs: of each model by position; those that are not known are left out.
        start: as for `stretches`.
    """
    for stretch in stretches(first, second, start):
        ours = side_of(first.ids, stretch.first, logprobs[0])
        yield Span(
            stretch.start, stretch.end, ours, side_of(second.ids, stretch.second, logprobs[1])
        )


def side_of(ids: Sequence[int], places: range, logprobs: Mapping[int, float]) -> Side:
    """What the tokens at some positions are to a model.

    Args:
        logprobs: by position; those that are not known are left out.
    """
    known = [logprobs[place] for place in places if place in logprobs]
    logprob = math.fsum(known) if len(known) == len(places) else None
    return Side(tuple(ids[places.start : places.stop]), logprob)


class _Places:
    """Goes through a spelling stretch by stretch."""

    def __init__(self, spelled: Spelling) -> None:
        self._spelled = spelled
        self._place = 0

    def between(self, start: int, end: int) -> range:
        """Positions of the tokens that end behind `start` and not behind `end`; stretches come in
        order."""
        spelled = self._spelled
        while self._place < len(spelled.ends) and spelled.ends[self._place] <= start:
            self._place += 1
        begin = self._place
        while self._place < len(spelled.ends) and spelled.ends[self._place] <= end:
            self._place += 1
        return range(spelled.begin + begin, spelled.begin + self._place)


def whole_text(vocabulary: Vocabulary, ids: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The tokens up to the first special one, or to a character that is not complete, and their
    text."""
    end = next((n for n, token in enumerate(ids) if token in vocabulary.special), len(ids))
    while True:
        data = b"".join(map(vocabulary.bytes_of, ids[:end]))
        try:
            return tuple(ids[:end]), data.decode()
        except UnicodeDecodeError:
            end -= 1
