"""What is known of a tree's steps, by node: in memory, or read from where it is stored."""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.tree.stored import RECENT, Numbers, Stored

Values = np.ndarray[tuple[int], np.dtype[np.float64]]

AT_ONCE = 256
"""Distributions that a walk over many nodes reads from the file in one go."""


class Figures(NamedTuple):
    """What views of a whole path need of a distribution: no candidates (nats)."""

    entropy: float | None
    """None of an incomplete distribution."""
    margin: float
    top_logprob: float
    model: int | None = None
    """Number of the model that it comes from (`Loaded`)."""


_WIDTH, _TOP = 4, 2

Fetch = Callable[[Sequence[int]], Sequence[Distribution | None]]
"""Gives distributions by the numbers of their records; None for each that is damaged."""
FetchView = Callable[[int], SamplerView | None]
"""Gives a sampler's view by the number of its record; None where it is damaged."""


class DistributionStore:
    """Distributions by node; their figures are always at hand, their candidates may be on disk."""

    def __init__(self) -> None:
        self.stored = Stored[Distribution]()
        self._figures = array("d")
        """Of each node: entropy, margin, top logprob, number of the model. NaN is unknown; every
        distribution has a top logprob."""
        self._fetch: Fetch = lambda records: [None] * len(records)
        self._one = lru_cache(RECENT)(lambda record: self._fetch([record])[0])
        self.damaged = set[int]()
        """Nodes whose distribution is stored, but cannot be read or cannot be true: of candidates
        that is known once they were asked for."""

    def __contains__(self, node: int) -> bool:
        at = _WIDTH * node + _TOP
        return at < len(self._figures) and not math.isnan(self._figures[at])

    def is_complete(self, node: int) -> bool:
        """Whether every candidate after a node can be had; False where nothing is known there."""
        at = _WIDTH * node
        return at < len(self._figures) and not math.isnan(self._figures[at])

    @property
    def incomplete(self) -> bool:
        """Whether there is a distribution of which only the first candidates are known."""
        # A copy: while numpy looks at an array, another thread cannot let it grow.
        table = np.frombuffer(self._figures[:], "f8").reshape(-1, _WIDTH)
        return bool(np.any(np.isnan(table[:, 0]) & ~np.isnan(table[:, _TOP])))

    def lacks(self, node: int) -> bool:
        """Whether the distribution after a node is not known, or was found to be damaged."""
        return node not in self or node in self.damaged

    def __getitem__(self, node: int) -> Distribution:
        distribution = self.get(node)
        if distribution is None:
            raise KeyError(node)
        return distribution

    def get(self, node: int) -> Distribution | None:
        """The distribution after a node; None where none is known or its record is damaged."""
        found = self.stored.here.get(node)
        if found is None and (record := self.stored.record(node)) is not None:
            found = self._one(record)
            if found is None:
                self.damaged.add(node)
        return found

    def walk(self, nodes: Iterable[int]) -> Iterator[Distribution | None]:
        """What `get` gives for each of many nodes, read from the file many at a time."""
        ahead, stored = iter(nodes), self.stored
        while part := list(islice(ahead, AT_ONCE)):
            found = {node: stored.here.get(node) for node in part}
            records = {n: stored.record(n) for n, value in found.items() if value is None}
            away = {node: record for node, record in records.items() if record is not None}
            fetched = dict(zip(away, self._fetch(list(away.values())), strict=True))
            self.damaged.update(node for node, read in fetched.items() if read is None)
            found |= fetched
            yield from (found[node] for node in part)

    def figures(self, node: int) -> Figures | None:
        """Entropy, margin and top logprob after a node, where its distribution is known."""
        if node not in self:
            return None
        at = _WIDTH * node
        entropy, margin, top, model = self._figures[at : at + _WIDTH]
        return Figures(
            None if math.isnan(entropy) else entropy, margin, top,
            None if math.isnan(model) else int(model),
        )  # fmt: skip

    def add(self, node: int, distribution: Distribution, model: int | None = None) -> None:
        """Keep the distribution after a node, and the number of the model that it comes from."""
        self.stored.add(node, distribution)
        self.damaged.discard(node)
        self._reserve(node)
        at = _WIDTH * node
        figures = distribution.entropy, distribution.margin, distribution.logprob(0), model
        for offset, figure in enumerate(figures):
            self._figures[at + offset] = math.nan if figure is None else figure

    def _reserve(self, node: int) -> None:
        """Make room for figures up to a node's."""
        missing = _WIDTH * (node + 1) - len(self._figures)
        if missing > 0:
            self._figures.frombytes(array("d", [math.nan]).tobytes() * missing)

    def keep_figures(
        self, nodes: Numbers, records: Numbers, figures: Sequence[Values], fetch: Fetch
    ) -> None:
        """Keep the figures of distributions that are stored, and where.

        All of shape [n]; of a node that is there several times the last counts.

        Args:
            figures: entropies, margins, top logprobs, and the models' numbers; NaN is none.
            fetch: reads the records.
        """
        if len(nodes):
            self._reserve(int(nodes.max()))
            table = np.frombuffer(self._figures, "f8").reshape(-1, _WIDTH)
            for column, values in enumerate(figures):
                table[nodes, column] = values
        self.stored.lie_in(nodes, records)
        self._fetch = fetch

    def written(self, node: int, distribution: Distribution, record: int) -> None:
        """A distribution was stored under a number, and need not stay in memory."""
        self.stored.written(node, distribution, record)

    def read_from(self, first: int, fetch: Fetch) -> None:
        """Records from number `first` on are read by `fetch`; those before it as until now."""
        before = self._fetch

        def either(records: Sequence[int]) -> list[Distribution | None]:
            parts = [[r for r in records if r < first], [r for r in records if r >= first]]
            found = dict[int, Distribution | None]()
            for read, part in zip((before, fetch), parts, strict=True):
                found |= zip(part, read(part) if part else (), strict=True)
            return [found[record] for record in records]

        self._fetch = either


class Views:
    """How the sampler saw the distributions that generated tokens came from, by node.

    In memory, or read from where they are stored.
    """

    def __init__(self) -> None:
        self.stored = Stored[SamplerView]()
        self._fetch: FetchView = lambda _: None
        self._one = lru_cache(RECENT)(lambda record: self._fetch(record))

    def __setitem__(self, node: int, view: SamplerView) -> None:
        self.stored.add(node, view)

    def get(self, node: int) -> SamplerView | None:
        """The view of a node's step; None where none is known or its record is damaged."""
        found = self.stored.here.get(node)
        if found is None and (record := self.stored.record(node)) is not None:
            return self._one(record)
        return found

    @property
    def nodes(self) -> set[int]:
        """The nodes whose steps have one."""
        return self.stored.nodes

    def keep(self, nodes: Numbers, records: Numbers, fetch: FetchView) -> None:
        """Get the views of nodes from records by their numbers, all of shape [n].

        Of a node that is there several times the last counts.
        """
        self.stored.lie_in(nodes, records)
        self._fetch = fetch

    def written(self, node: int, view: SamplerView, record: int) -> None:
        """A view was stored under a number, and need not stay in memory."""
        self.stored.written(node, view, record)

    def read_from(self, first: int, fetch: FetchView) -> None:
        """Records from number `first` on are read by `fetch`; those before it as until now."""
        before = self._fetch
        self._fetch = lambda record: fetch(record) if record >= first else before(record)
