"""How far a tree may grow."""

import math
import re

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import LARGEST_COUNT, brief, number_of

TOKENS = 500
"""Forward steps where nothing else was asked."""
_PART = re.compile(
    r"(?:(?P<tokens>\d[\d,]*)(?:\s*(?:tokens?|steps?))?"
    r"|(?P<seconds>\d*\.?\d+(?:e-?\d+)?)\s*(?:s|secs?|seconds?)"
    r"|depth\s*(?P<depth>\d+)"
    r"|(?:above|over)\s*(?P<least>\d*\.?\d+(?:e-?\d+)?)\s*%)",
    re.IGNORECASE,
)
_POSSIBLE = {
    "tokens": f"1 to {LARGEST_COUNT} tokens",
    "seconds": f"more than 0 s, at most {LARGEST_COUNT} s",
    "depth": f"depth 1 to {LARGEST_COUNT}",
    "least": "more than 0% and less than 100%",
}


class Budget(msgspec.Struct, frozen=True):
    """What a tree may cost; 0 is no limit."""

    tokens: int = 0
    """Forward steps: nodes whose distribution is computed."""
    seconds: float = 0.0
    depth: int = 0
    """Tokens of the longest texts: they are not gone on from."""
    least: float = 0.0
    """Probability of a path under which it is not gone on from."""

    def seconds_left(self, steps: int, seconds: float, rate: float | None) -> float | None:
        """Seconds until it is used up at the latest, as far as that is known.

        Args:
            steps: forward steps so far.
            seconds: that passed so far.
            rate: steps a second.
        """
        left = list[float]()
        if self.seconds:
            left.append(self.seconds - seconds)
        if self.tokens and rate:
            left.append((self.tokens - steps) / rate)
        return max(0.0, min(left)) if left else None

    def words(self) -> str:
        """As it is typed: `500 tokens, depth 12`."""
        parts = []
        if self.tokens:
            parts.append(f"{self.tokens} token{'s' * (self.tokens != 1)}")
        if self.seconds:
            parts.append(f"{self.seconds:.12g} s")
        if self.depth:
            parts.append(f"depth {self.depth}")
        if self.least:
            parts.append(f"above {100 * self.least:.12g}%")
        return ", ".join(parts)


def asked_budget(text: str) -> Budget:
    """What somebody typed: `500 tokens`, `20 s`, `depth 12`, `above 0.1%`, or several of them.

    Raises:
        UsageError: for anything else, and for a number that is no limit.
    """
    found = dict[str, float]()
    for part in re.split(r"\s*[,;]\s+|\s*,\s*(?=[a-z])|\s+and\s+", text.strip()):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"{brief(part)!r} is no budget: give 500 tokens, 20 s, depth 12 or above 0.1%, "
                "or several with commas."
            )
        ((name, typed),) = ((name, typed) for name, typed in match.groupdict().items() if typed)
        found[name] = _limit(part, name, typed)
    return bounded(
        Budget(
            int(found.get("tokens", 0)),
            float(found.get("seconds", 0)),
            int(found.get("depth", 0)),
            found.get("least", 0) / 100,
        )
    )


def _limit(part: str, name: str, typed: str) -> float:
    """The number in a part of a budget.

    Raises:
        UsageError: for one that is no limit.
    """
    try:
        value = number_of(typed.replace(",", ""))
    except ValueError:
        value = math.inf
    if not 0 < value <= LARGEST_COUNT or (name == "least" and value >= 100):
        raise UsageError(f"{brief(part)!r} is not possible: give {_POSSIBLE[name]}.")
    return value


def bounded(budget: Budget) -> Budget:
    """The same budget, with the usual number of tokens where nothing in it surely ends a tree."""
    if budget.tokens or budget.seconds:
        return budget
    return msgspec.structs.replace(budget, tokens=TOKENS)
