"""A text that is watched for in a tree that grows: between which bounds its probability lies."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tokexplore.models.display import continued, join_parts, split_utf8
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.exact_sum import ExactSum
from tokexplore.models.grow.node import GrownNode
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

_LOOKS_AHEAD = ("$", r"\Z", r"\z", "(?=", "(?!", "(?>", "(?(", "*+", "++", "?+", "}+")
"""What can make more text undo a match, or that may be part of such: until a text is over, a match
with one of them says nothing."""
_LOOKS_AT_NEXT = (r"\b", r"\B")
"""What looks at the one character behind: a match before the last character stays."""


Said = tuple[str, bytes]
"""A text, and the bytes behind it of a character that is not whole yet."""


class Bounds(NamedTuple):
    """Between which values a probability lies."""

    low: float
    high: float


class Watch:
    """A text, or a /regular expression/, in the text that is generated: special tokens are no part
    of it. An expression is one of Python's `re`.

    A finished text holds it or not. One that is not finished surely will where it holds the text,
    and where it matches the expression whatever comes after.

    Raises:
        UsageError: nothing to look for, or an expression that is none.
    """

    def __init__(self, words: str) -> None:
        self.words = words
        self.met, self.missed = ExactSum(), ExactSum()
        """Probability of texts that surely hold it, and of finished ones that do not."""
        self._text, self._regex, self._ahead, self._next = words, None, False, False
        if len(words) > 1 and words[0] == words[-1] == "/":
            self._text = words[1:-1]
            self._regex = _compiled(self._text)
            self._ahead = any(mark in self._text for mark in _LOOKS_AHEAD)
            self._next = any(mark in self._text for mark in _LOOKS_AT_NEXT)
        if not self._text:
            raise UsageError("there is nothing to watch for: give a text or a /regex/.")

    def is_settled(self, text: str) -> bool:
        """Whether a text that may go on holds it, however it goes on."""
        if self._regex is None:
            return self._text in text
        if self._ahead:
            return False
        found = self._regex.search(text)
        return found is not None and (not self._next or found.end() < len(text))

    def holds(self, text: str) -> bool:
        """Whether a finished text holds it."""
        if self._regex is None:
            return self._text in text
        return self._regex.search(text) is not None

    def look(self, node: GrownNode, bit: int, start: int, texts: Sequence[Said]) -> None:
        """Look into the paths with a node's next tokens from a place on, and count their mass.

        Args:
            bit: marks the paths that surely hold it.
            texts: what these say.
        """
        if node.met & bit:
            for child in node.children.values():
                child.met |= bit
            return
        for place, (text, held) in enumerate(texts, start):
            if node.is_over(place):
                over = self.holds(text + join_parts(split_utf8(held)))
                (self.met if over else self.missed).add(node.mass_at(place))
            elif self.is_settled(text):
                self.met.add(node.mass_at(place))
                node.marks[place] = node.marks.get(place, 0) | bit
                if place in node.children:
                    node.children[place].met |= bit

    @property
    def bounds(self) -> Bounds:
        """What the probability of a text that holds it can be."""
        low = min(1.0, max(0.0, self.met.value))
        return Bounds(low, min(1.0, max(low, 1.0 - self.missed.value)))


def said(node: GrownNode, tokens: Iterable[int], vocabulary: Vocabulary) -> list[Said]:
    """What a path says with each of some next tokens."""
    found = []
    for token in tokens:
        special = token in vocabulary.special
        text, held = continued(node.held, b"" if special else vocabulary.bytes_of(token))
        found.append((node.text + text, held))
    return found


def _compiled(pattern: str) -> "re.Pattern[str]":
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"/{brief(pattern)}/ is no regular expression: {error}.") from None
