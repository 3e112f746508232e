"""Prompts of our own for the requests that run beside the one that is looked at."""

import random
from collections.abc import Sequence

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Engine

TEXTS = (
    "The weather in the mountains changes quickly, and whoever climbs them takes a coat.",
    "Dear Sir, I thank you for your letter of the third, and I shall answer it in full.",
    "He put the book down, looked out of the window and said that it would rain before night.",
    "There are seven bridges over the river, and nobody has ever crossed each of them once.",
    "Take two eggs, a cup of flour and a little salt, and stir until it is smooth.",
    "The ship left the harbour at dawn with forty men, and came back with three.",
    "Every number that is even and larger than two is the sum of two primes, they say.",
    "She asked the old man where the road went, and he told her that it stayed where it was.",
)
"""What they are made of."""


class MatePrompts:
    """Draws them, from half to twice as long as the request's own prompt; those of a chat are
    somewhat longer.

    Args:
        prompt: tokens of it.
        length: tokens that come after each.
    """

    def __init__(self, engine: Engine, prompt: int, length: int, drawn_by: random.Random) -> None:
        self._engine, self._count, self._random = engine, prompt, drawn_by
        room = engine.info.context - length if engine.info.context else 2 * prompt
        longest = max(1, min(2 * prompt, room))
        # Rows on both sides of a border share no batch.
        borders = engine.info.borders
        self._shortest = max(1, prompt // 2, borders.since(prompt))
        self._longest = max(1, next(borders.ends(prompt, longest + length)) - length)
        self._texts = [engine.encode(text) for text in TEXTS]

    def of_any_length(self, count: int) -> tuple[tuple[int, ...], ...]:
        """So many prompts, each as long as it happens."""
        shortest = min(self._shortest, self._longest)
        lengths = (self._random.randint(shortest, self._longest) for _ in range(count))
        return tuple(self._prompt(length) for length in lengths)

    def of_one_length(self, count: int) -> tuple[tuple[int, ...], ...]:
        """So many prompts, each as long as the request's own."""
        return tuple(self._prompt(self._count) for _ in range(count))

    def _prompt(self, length: int) -> tuple[int, ...]:
        ids: list[int] = []
        while len(ids) < length:
            ids += self._random.choice(self._texts)
        if self._engine.info.capabilities.plain_prompts:
            return tuple(ids[:length])
        words = b"".join(map(self._engine.vocabulary.bytes_of, ids)).decode(errors="replace")
        return self._engine.render(Chat((Message("user", words),))).ids


def mates(
    engine: Engine, prompt: Sequence[int], length: int, count: int, *, seed: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Prompts of `count` other requests, from half to twice as long as this one.

    Args:
        length: tokens that come after them.
    """
    drawn_by = random.Random(f"tokexplore/conditions/{seed}")
    return MatePrompts(engine, len(prompt), length, drawn_by).of_any_length(count)
