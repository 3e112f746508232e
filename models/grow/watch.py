"""A text that is watched for in a tree that grows: between which bounds its probability lies."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tokexplore.models.display import continued, join_parts, split_utf8
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.exact_sum import ExactSum
from tokexplore.models.grow.node import GrownNode
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

if TYPE_CHECKING:
    import regex

_LOOKS_AHEAD = ("$", r"\Z", r"\z", "(?=", "(?!", "(?>", "(?(", "*+", "++", "?+", "}+")
"""What can make more text undo a match, or that may be part of such: until a text is over, a match
with one of them says nothing."""
_LOOKS_AT_NEXT = (r"\b", r"\B")
"""What looks at the one character behind: a match before the last character stays."""

ALLOWED, ALLOWED_EACH = 0.5, 5e-4
"""Seconds of computing that an expression may take in all, and for each text that it was tried on
more: some take longer than anybody lives, and nothing else is done meanwhile."""
_LITERAL_BRACE = re.compile(r"((?<!\\)(?:\\\\)*(?<!\\N))\{(?!\d*,?\d*\})")
"""A brace that counts nothing: `regex` would read some of them as fuzzy matching."""

Said = tuple[str, bytes]
"""A text, and the bytes behind it of a character that is not whole yet."""


class Bounds(NamedTuple):
    """Between which values a probability lies."""

    low: float
    high: float


class Watch:
    """A text, or a /regular expression/, in the text that is generated: special tokens are no part
    of it. An expression is one of Python's `re`, matched by `regex`, which can be stopped.

    A finished text holds it or not. One that is not finished surely will where it holds the text,
    and where it matches the expression whatever comes after.

    Raises:
        UsageError: nothing to look for, or an expression that is none.
    """

    def __init__(self, words: str) -> None:
        self.words = words
        self.met, self.missed = ExactSum(), ExactSum()
        """Probability of texts that surely hold it, and of finished ones that do not."""
        self._text, self._ahead, self._next = words, False, False
        self._regex: regex.Pattern[str] | None = None
        self._spent, self._tried = 0.0, 0
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
        found = self._found(self._regex, text)
        return found is not None and (not self._next or found.end() < len(text))

    def holds(self, text: str) -> bool:
        """Whether a finished text holds it."""
        if self._regex is None:
            return self._text in text
        return self._found(self._regex, text) is not None

    def _found(self, pattern: "regex.Pattern[str]", text: str) -> "regex.Match[str] | None":
        """Where a text matches.

        Raises:
            UsageError: the expression has taken more time than all texts together may.
        """
        self._tried += 1
        left = ALLOWED + ALLOWED_EACH * self._tried - self._spent
        began = time.thread_time()
        try:
            found = pattern.search(text, timeout=max(left, ALLOWED_EACH))
        except TimeoutError:
            raise UsageError(
                f"{brief(self.words)} takes too long to match and is not watched: write it "
                "without repeats inside repeats."
            ) from None
        self._spent += time.thread_time() - began
        return found

    def look(self, node: GrownNode, bit: int, start: int, texts: Sequence[Said]) -> None:
        """Look into the paths with a node's next tokens from a place on, and count their mass.

        Args:
            bit: marks the paths that surely hold it.
            texts: what these say.

        Raises:
            UsageError: an expression that takes too long.
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


def _compiled(pattern: str) -> "regex.Pattern[str]":
    import regex

    try:
        re.compile(pattern)
        return regex.compile(_LITERAL_BRACE.sub(r"\1\{", pattern), regex.VERSION0)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise UsageError(f"/{brief(pattern)}/ is no regular expression: {error}.") from None
