"""Trees that grow, and what an enumeration of all texts says of them."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np

from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.grow.growth import BATCH, Due, Growth
from tokexplore.models.sampling.settings import SamplingSettings

Shares = Callable[[tuple[int, ...]], np.ndarray]
"""The probability of every token after a path: f64, shape [V]."""


class Answers(Protocol):
    """Of an engine, what a tree asks for."""

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = ...,
    ) -> list[NextTokens]: ...


class Table:
    """A random model of few tokens: a table by path, drawn with a seed.

    Args:
        listed: tokens that are told at once, at most.
        zeros: whether some tokens are impossible.
        drift: deviation of a later page's logits from those of the first.
    """

    def __init__(
        self, rows: int, seed: int, *, listed: int = 256, zeros: bool = False, drift: float = 0.0
    ) -> None:
        self.rows, self.listed, self._seed, self._zeros = rows, listed, seed, zeros
        self._drift = drift
        self.asked: list[tuple[int, ...]] = []

    def shares(self, path: tuple[int, ...]) -> np.ndarray:
        random = np.random.default_rng([self._seed, *path])
        logits = 2.5 * random.standard_normal(self.rows)
        if self._zeros:
            logits[random.integers(self.rows)] = -np.inf
        weights = np.exp(logits)
        return weights / weights.sum()

    def _read_again(self, path: tuple[int, ...], start: int) -> np.ndarray:
        random = np.random.default_rng([self._seed, start, *path])
        weights = self.shares(path) * np.exp(self._drift * random.standard_normal(self.rows))
        return weights / weights.sum()

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = 256,
    ) -> list[NextTokens]:
        del settings, prompt_length
        told = []
        for path in map(tuple, paths):
            self.asked.append(path)
            shares = self._read_again(path, start) if start else self.shares(path)
            order = [t for t in np.argsort(-shares, kind="stable") if shares[t] > 0]
            end = start + min(count, self.listed)
            ids = np.array(order[start:end], np.uint32)
            rest = math.fsum(shares[order[end:]])
            told.append(NextTokens(ids.tobytes(), shares[ids].tobytes(), rest, end < len(order)))
        return told


class Text(NamedTuple):
    """A text that is over, or as long as texts may be."""

    ids: tuple[int, ...]
    mass: float
    over: bool


def every_text(
    shares: Shares, prompt: tuple[int, ...], depth: int, ends: Callable[[tuple[int, ...]], bool]
) -> list[Text]:
    """All texts of at most so many tokens, with their probability.

    Args:
        ends: whether a text, by its generated tokens, is over.
    """
    found = []

    def walk(ids: tuple[int, ...], mass: float) -> None:
        for token, share in enumerate(shares(prompt + ids)):
            if share > 0:
                longer = (*ids, token)
                over = ends(longer)
                if over or len(longer) == depth:
                    found.append(Text(longer, mass * share, over))
                else:
                    walk(longer, mass * share)

    walk((), 1.0)
    return found


def steps(growth: Growth, answers: Answers, most: int = BATCH) -> Iterator[Due]:
    """Let a tree grow to its end; what was asked, as it is taken in."""
    while True:
        due = growth.due(most)
        if not due.nodes:
            return
        told = answers.describe_all(
            [growth.ids(node) for node in due.nodes], growth.settings,
            growth.request.prompt_length, start=due.start,
        )  # fmt: skip
        growth.take_in(due, told)
        yield due


def grown(growth: Growth, answers: Answers, most: int = BATCH) -> Growth:
    """A tree that has grown to its end."""
    for _ in steps(growth, answers, most):
        pass
    return growth


def best_first(
    shares: Shares, prompt: tuple[int, ...], count: int, ends: frozenset[int]
) -> list[tuple[int, ...]]:
    """The first so many paths that are gone on from, found by looking at all that are known."""
    known = cache(lambda ids: shares(prompt + ids))
    open_paths = {(): 1.0}
    order = []
    while open_paths and len(order) < count:
        ids = max(open_paths, key=lambda path: (open_paths[path], -len(path)))
        mass = open_paths.pop(ids)
        order.append(ids)
        for token, share in enumerate(known(ids)):
            if token not in ends and share > 0:
                open_paths[*ids, token] = mass * share
    return order


def product(values: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    """All tuples of a length."""
    return itertools.product(values, repeat=length)
