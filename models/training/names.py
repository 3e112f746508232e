"""Proper names, dealt anew in every epoch, so that a model learns to read them from the context.

A corpus of few books has few names, and a model that sees them many times knows them by heart. Who
is called what in a book it never saw, it can only learn from the book.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

_CAPITALISED = re.compile(r"\b[A-Z][a-z]{2,}\b")
_IN_MID_SENTENCE = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_LOWER = re.compile(r"\b[a-z]{3,}\b")
_LEAST = 2
_MOSTLY = 0.3
"""A word is no name if it comes in lower case more than this often for each time it is capital."""
_STRETCH = (4_000, 16_000)
"""Characters, at least and at most, over which a name keeps its new form: a scene or a tale."""


def find_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Words that are capitalised in mid-sentence and hardly ever in lower case, sorted."""
    capital: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text in texts:
        capital.update(_IN_MID_SENTENCE.findall(text))
        lower.update(_LOWER.findall(text))
    return tuple(
        sorted(
            word
            for word, count in capital.items()
            if count >= _LEAST and lower[word.lower()] < _MOSTLY * count
        )
    )


def renamed(text: str, names: Sequence[str], share: float, rng: random.Random) -> str:
    """The text with a share of its names replaced by others, the same one all through a stretch."""
    name_set = frozenset(names)
    parts = []
    start = 0
    while start < len(text):
        line_end = text.find("\n", start + rng.randint(*_STRETCH))
        end = len(text) if line_end < 0 else line_end + 1
        dealt: dict[str, str] = {}

        def deal(match: re.Match[str], dealt: dict[str, str] = dealt) -> str:
            name = match[0]
            if name not in name_set:
                return name
            if name not in dealt:
                dealt[name] = rng.choice(names) if rng.random() < share else name
            return dealt[name]

        parts.append(_CAPITALISED.sub(deal, text[start:end]))
        start = end
    return "".join(parts)
