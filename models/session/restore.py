"""Brings a tree to where the events of a file lead.

Most events are tokens taken one after the other. They are read column by column and taken chain by
chain, which is several times as quick as one by one.
"""

import math
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import rows
from tokexplore.models.session.rows import Count, possible
from tokexplore.models.tree.chain import Chain, follow
from tokexplore.models.tree.events import Origin, TokenTaken, Viewed
from tokexplore.models.tree.tree import TokenTree

BROKEN = (
    ValueError, TypeError, IndexError, OverflowError, RecursionError, UnicodeError,
    msgspec.MsgspecError, sqlite3.DatabaseError,
)  # fmt: skip
"""What a damaged file can raise while it is read."""


class Left(NamedTuple):
    """Where the events leave off."""

    leaf: int
    """Of the path that was in view last; 0 where none was told."""
    cursor: int
    last: int
    """Number of the last event; -1 where there is none."""
    events: int
    """How many there are."""


def replay(connection: sqlite3.Connection, tree: TokenTree) -> Left:
    """Bring an empty tree to where the events of a file lead.

    How the sampler saw the steps stays in the file until it is asked for.

    Raises:
        ValueError, msgspec.MsgspecError: the events fit no tree.
    """
    others = msgspec.convert(connection.execute(_OTHERS).fetchall(), list[rows.EventRow])
    taken = _Taken(connection, [row.seq for row in others])
    leaf, cursor = 0, -1
    for row in others:
        taken.replay_until(row.seq, tree)
        try:
            event = rows.event_of(row, tree.settings)
            tree.replay(event, row.act or "")
        except (UsageError, *BROKEN) as error:
            raise ValueError(f"event {row.seq}: {error}") from None
        if isinstance(event, Viewed):
            leaf, cursor = event.leaf, event.cursor
    taken.replay_until(math.inf, tree)
    # Of several of one node the first counts: written backwards it is the last that is written.
    nodes, records = taken.node[taken.viewed][::-1], taken.seq[taken.viewed][::-1]
    tree.sampler.keep(nodes, records, lambda seq: read_view(connection, tree.settings, seq))
    last = max([-1, *taken.seq[-1:].tolist(), *(row.seq for row in others[-1:])])
    return Left(leaf, cursor, last, len(others) + len(taken.seq))


_TOKENS = f"kind = '{rows.KINDS[TokenTaken]}' AND act IS NULL"
_OTHERS = f"SELECT {rows.COLUMNS} FROM event WHERE NOT ({_TOKENS}) ORDER BY seq"


class _Taken:
    """The tokens that were taken, in order, and the chains that no other event interrupts."""

    def __init__(self, connection: sqlite3.Connection, interrupted: Sequence[int]) -> None:
        """Read them.

        Args:
            interrupted: the numbers of the other events, in order.
        """
        counts, optional = list[Count], list[float | None]
        whole = {
            "seq": counts,
            "node": counts,
            "parent": counts,
            "kept IS NOT NULL": list[int],
            "token": counts,
            "origin": list[Origin],
            "ifnull(settings, 0)": counts,
            "ifnull(draw, 0)": counts,
            "rank": list[Count | None],
        }
        exact = {"logprob": optional, "sampler_logprob": optional}
        where = f"FROM event WHERE {_TOKENS}"
        *places, token, origin, settings, draw, rank, logprob, sampler_logprob = rows.columns(
            connection, where, whole, exact
        )
        logprob, sampler_logprob = (
            [*map(possible, values)] for values in (logprob, sampler_logprob)
        )
        self._chain = Chain(token, origin, settings, draw, logprob, rank, sampler_logprob)
        self.seq, self.node, self._parent, viewed = (np.array(place, "i8") for place in places)
        self.viewed = viewed > 0
        """Whether it is kept how the sampler saw each step, shape [n]."""
        starts = np.flatnonzero(~self._joined(interrupted))
        self._bounds = [*starts.tolist(), len(token)]
        self._done = 0
        """Chains that the tree has."""

    def _joined(self, interrupted: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each token is new and was taken after the one before it, the newest node then.

        Shape [n]. Tokens of a prompt and others are not joined.
        """
        node, parent = self.node, self._parent
        given = np.array([origin == "prompt" for origin in self._chain.origin], bool)
        newest = np.maximum.accumulate(node)
        joined = np.zeros(len(node), bool)
        joined[1:] = (
            (node[1:] == newest[:-1] + 1)
            & (node[:-1] == newest[:-1])
            & (parent[1:] == node[:-1])
            & (given[1:] == given[:-1])
        )
        after = np.searchsorted(self.seq, np.array(interrupted, "i8"))
        joined[after[after < len(joined)]] = False
        return joined

    def replay_until(self, seq: float, tree: TokenTree) -> None:
        """Let a tree take the tokens before an event."""
        bounds = self._bounds
        while self._done < len(bounds) - 1 and self.seq[bounds[self._done]] < seq:
            start, end = bounds[self._done], bounds[self._done + 1]
            try:
                self._replay(start, end, tree)
            except ValueError as error:
                raise ValueError(f"event {self.seq[start]}: {error}") from None
            self._done += 1

    def _replay(self, start: int, end: int, tree: TokenTree) -> None:
        chain = self._chain
        if max(chain.settings[start:end]) >= max(1, len(tree.settings)):
            raise ValueError("settings that are not known")
        tree.append(
            TokenTaken(
                int(self.node[start]), int(self._parent[start]), chain.token[start],
                chain.origin[start], chain.settings[start], chain.draw[start],
                chain.logprob[start], chain.rank[start], chain.sampler_logprob[start],
            )
        )  # fmt: skip
        if end - start > 1:
            follow(tree, Chain._make(column[start + 1 : end] for column in chain))


def read_view(
    connection: sqlite3.Connection, settings: Sequence[SamplingSettings], seq: int
) -> SamplerView | None:
    """How the sampler saw the step of an event; None where its record is damaged."""
    try:
        found = connection.execute(
            "SELECT settings, token, kept, log_norm, body FROM event WHERE seq = ?", (seq,)
        ).fetchone()
        return rows.view_of(settings, *msgspec.convert(found, _View))
    except BROKEN:
        return None


_View = tuple[Count, Count, Count, float, str | None]
