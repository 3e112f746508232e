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

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
Values = np.ndarray[tuple[int], np.dtype[np.float64]]

RECENT = 512
"""Distributions read from the file that are kept in memory."""
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


_WIDTH, _TOP = 5, 2

Fetch = Callable[[Sequence[int]], Sequence[Distribution | None]]
"""Gives distributions by the numbers of their records; None for each that is damaged."""


class DistributionStore:
    """Distributions by node; their figures are always at hand, their candidates may be on disk."""

    def __init__(self) -> None:
        self._here: dict[int, Distribution] = {}
        self._figures = array("d")
        """Of each node: entropy, margin, top logprob, number of the model, number of the record
        where it is stored. NaN is unknown; every distribution has a top logprob."""
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
        table = np.frombuffer(self._figures, "f8").reshape(-1, _WIDTH)
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
        found, record = self._here.get(node), self._record(node)
        if found is None and record is not None:
            found = self._one(record)
            if found is None:
                self.damaged.add(node)
        return found

    def walk(self, nodes: Iterable[int]) -> Iterator[Distribution | None]:
        """What `get` gives for each of many nodes, read from the file many at a time."""
        ahead = iter(nodes)
        while part := list(islice(ahead, AT_ONCE)):
            stored = {node: self._record(node) for node in part if node not in self._here}
            away = {node: record for node, record in stored.items() if record is not None}
            fetched = dict(zip(away, self._fetch(list(away.values())), strict=True))
            self.damaged.update(node for node, found in fetched.items() if found is None)
            yield from (self._here.get(node, fetched.get(node)) for node in part)

    def _record(self, node: int) -> int | None:
        """The number of the record that holds a node's distribution, where it is stored."""
        at = _WIDTH * node + _WIDTH - 1
        record = self._figures[at] if at < len(self._figures) else math.nan
        return None if math.isnan(record) else int(record)

    def figures(self, node: int) -> Figures | None:
        """Entropy, margin and top logprob after a node, where its distribution is known."""
        if node not in self:
            return None
        at = _WIDTH * node
        entropy, margin, top, model, _ = self._figures[at : at + _WIDTH]
        return Figures(
            None if math.isnan(entropy) else entropy, margin, top,
            None if math.isnan(model) else int(model),
        )  # fmt: skip

    def add(self, node: int, distribution: Distribution, model: int | None = None) -> None:
        """Keep the distribution after a node, and the number of the model that it comes from."""
        self._here[node] = distribution
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
            for column, values in enumerate((*figures, records)):
                table[nodes, column] = values
        self._fetch = fetch


class Views:
    """How the sampler saw the distributions that generated tokens came from, by node.

    In memory, or read from where they are stored.
    """

    def __init__(self) -> None:
        self._here: dict[int, SamplerView] = {}
        self._records = array("q")
        """Of each node: the number of the record where its view is stored; -1 is nowhere."""
        self._fetch: Callable[[int], SamplerView | None] = lambda _: None

    def __setitem__(self, node: int, view: SamplerView) -> None:
        self._here[node] = view

    def get(self, node: int) -> SamplerView | None:
        """The view of a node's step; None where none is known or its record is damaged."""
        found = self._here.get(node)
        if found is None and node < len(self._records) and self._records[node] >= 0:
            return self._fetch(self._records[node])
        return found

    @property
    def nodes(self) -> set[int]:
        """The nodes whose steps have one."""
        stored = {node for node, record in enumerate(self._records) if record >= 0}
        return self._here.keys() | stored

    def read_from(
        self, nodes: Numbers, records: Numbers, fetch: Callable[[int], SamplerView | None]
    ) -> None:
        """Get the views of nodes from records by their numbers, all of shape [n].

        Of a node that is there several times the last counts.
        """
        stored = np.full(int(nodes.max(initial=-1)) + 1, -1)
        stored[nodes] = records
        self._records = array("q", stored.astype("i8").tobytes())
        self._fetch = lru_cache(RECENT)(fetch)
