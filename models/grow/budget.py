"""How far a tree may grow."""

import re

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import brief

TOKENS = 500
"""Forward steps where nothing else was asked."""
_PART = re.compile(
    r"(?:(?P<tokens>\d[\d,]*)(?:\s*(?:tokens?|steps?))?"
    r"|(?P<seconds>\d*\.?\d+)\s*(?:s|secs?|seconds?)"
    r"|depth\s*(?P<depth>\d+)"
    r"|(?:above|over)\s*(?P<least>\d*\.?\d+(?:e-?\d+)?)\s*%)",
    re.IGNORECASE,
)


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
            parts.append(f"{self.seconds:g} s")
        if self.depth:
            parts.append(f"depth {self.depth}")
        if self.least:
            parts.append(f"above {100 * self.least:g}%")
        return ", ".join(parts)


def asked_budget(text: str) -> Budget:
    """What somebody typed: `500 tokens`, `20 s`, `depth 12`, `above 0.1%`, or several of them.

    Raises:
        UsageError: for anything else, and for one that is no limit.
    """
    found = dict[str, str]()
    for part in re.split(r"\s*[,;]\s+|\s*,\s*(?=[a-z])|\s+and\s+", text.strip()):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"{brief(part)!r} is no budget: give 500 tokens, 20 s, depth 12 or above 0.1%, "
                "or several with commas."
            )
        found |= {name: value for name, value in match.groupdict().items() if value}
    return checked(
        Budget(
            int(found.get("tokens", "0").replace(",", "")),
            float(found.get("seconds", 0)),
            int(found.get("depth", 0)),
            float(found.get("least", 0)) / 100,
        )
    )


def checked(budget: Budget) -> Budget:
    """The same budget, with the usual number of tokens where nothing else ends it.

    Raises:
        UsageError: for one that lets nothing grow.
    """
    if budget == Budget():
        raise UsageError("a budget of 0 lets nothing grow: give 1 token or more.")
    if not 0 <= budget.least < 1:
        raise UsageError(f"above {100 * budget.least:g}% there are no paths: give less than 100%.")
    if not (budget.tokens or budget.seconds):
        return msgspec.structs.replace(budget, tokens=TOKENS)
    return budget
