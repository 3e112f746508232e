"""Experiments of the lab as fields of JSON: in its own lines, and in those of a tree."""

from typing import Any

import msgspec

from tokexplore.models.lab.noise import could_flip
from tokexplore.models.lab.sides import Place, sides_of, spread_of
from tokexplore.models.tree.study import CloseCall, CloseCalls, Fork
from tokexplore.tui.export.json_fields import TokenFields


def fork_fields(fork: Fork, tokens: TokenFields) -> dict[str, Any]:
    """A fork with its readings, and what each of them read of its two sides."""
    fields: dict[str, Any] = msgspec.to_builtins(fork)
    fields["tokens"] = [tokens.of(token) for token in fork.tokens]
    return fields | _sides(fork)


def call_fields(calls: CloseCalls, call: CloseCall, tokens: TokenFields) -> dict[str, Any]:
    """A close call in the same way, and whether the noise that was measured could flip it."""
    fields: dict[str, Any] = msgspec.to_builtins(call)
    fields["tokens"] = [tokens.of(token) for token in call.tokens]
    flips = None
    if calls.decisive and calls.sigma is not None:
        flips = could_flip(call.margin, calls.sigma)
    return fields | _sides(call) | {"could_flip": flips}


def _sides(place: Place) -> dict[str, Any]:
    sides = sides_of(place)
    spread = spread_of(sides)
    return {
        "sides": msgspec.to_builtins(sides),
        "spread": spread._asdict() if spread else None,
    }
