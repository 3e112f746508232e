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
from tokexplore.models.events import Origin, Taken, Viewed
from tokexplore.models.sampling.view import SamplerView
from tokexplore.models.session import rows
from tokexplore.models.session.rows import Count, Logprob
from tokexplore.models.shelf import Numbers
from tokexplore.models.tree import TokenTree
from tokexplore.models.trie import Chain

BROKEN = (
    ValueError, TypeError, IndexError, OverflowError, UnicodeError, msgspec.MsgspecError,
    sqlite3.DatabaseError,
)  # fmt: skip
"""What a damaged file can raise while it is read."""


class Left(NamedTuple):
    """Where the events leave off."""

    leaf: int
    """Of the path that was in view last; 0 where none was told."""
    cursor: int
    last: int
    """Number of the last event; -1 where there is none."""


def replay(connection: sqlite3.Connection, tree: TokenTree) -> Left:
    """Bring an empty tree to where the events of a file lead.

    How the sampler saw the steps stays in the file until it is asked for.

    Raises:
        ValueError, msgspec.MsgspecError: the events fit no tree.
    """
    others = msgspec.convert(connection.execute(_OTHERS).fetchall(), list[rows.EventRow])
    taken = _Taken(_columns(connection), [row.seq for row in others])
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
    nodes, records = (array[::-1] for array in taken.viewed())
    tree.sampler.read_from(nodes, records, lambda seq: _read_view(connection, tree, seq))
    return Left(leaf, cursor, max([-1, *taken.columns.seq[-1:], *(row.seq for row in others[-1:])]))


class _Columns(NamedTuple):
    """The tokens that were taken, in order."""

    seq: Sequence[int]
    node: Sequence[int]
    parent: Sequence[int]
    viewed: Sequence[int]
    """1 where it is kept how the sampler saw the step."""
    token: Sequence[int]
    origin: Sequence[Origin]
    settings: Sequence[int]
    draw: Sequence[int]
    rank: Sequence[int | None]
    logprob: Sequence[float | None]
    sampler_logprob: Sequence[float | None]

    def taken(self, index: int) -> Taken:
        """The token at an index."""
        return Taken(
            self.node[index], self.parent[index], self.token[index], self.origin[index],
            self.settings[index], self.draw[index], self.logprob[index], self.rank[index],
            self.sampler_logprob[index],
        )  # fmt: skip

    def chain(self, start: int, end: int) -> Chain:
        """The tokens of a range, which were taken one after the other."""
        part = slice(start, end)
        return Chain(
            self.token[part], self.origin[part], self.settings[part], self.draw[part],
            self.logprob[part], self.rank[part], self.sampler_logprob[part],
        )  # fmt: skip


def _columns(connection: sqlite3.Connection) -> _Columns:
    counts, optional = list[Count], list[Logprob | None]
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
    where = "FROM event WHERE kind = 'taken' AND act IS NULL"
    return _Columns(*rows.columns(connection, where, whole, exact))


_OTHERS = f"SELECT {rows.COLUMNS} FROM event WHERE kind != 'taken' OR act IS NOT NULL ORDER BY seq"


class _Taken:
    """The tokens that were taken, in chains that no other event interrupts."""

    def __init__(self, columns: _Columns, interrupted: Sequence[int]) -> None:
        self.columns = columns
        self._starts = [*np.flatnonzero(~_joined(columns, interrupted)).tolist(), len(columns.seq)]
        self._done = 0
        """Chains that the tree has."""

    def viewed(self) -> tuple[Numbers, Numbers]:
        """The nodes for whose steps it is kept how the sampler saw them, and in which events."""
        kept = np.array(self.columns.viewed, bool)
        return np.array(self.columns.node, "i8")[kept], np.array(self.columns.seq, "i8")[kept]

    def replay_until(self, seq: float, tree: TokenTree) -> None:
        """Let a tree take the tokens before an event."""
        numbers, starts = self.columns.seq, self._starts
        while self._done < len(starts) - 1 and numbers[starts[self._done]] < seq:
            start, end = starts[self._done], starts[self._done + 1]
            try:
                self._replay(start, end, tree)
            except ValueError as error:
                raise ValueError(f"event {numbers[start]}: {error}") from None
            self._done += 1

    def _replay(self, start: int, end: int, tree: TokenTree) -> None:
        columns = self.columns
        if max(columns.settings[start:end]) >= max(1, len(tree.settings)):
            raise ValueError("settings that are not known")
        tree.append(columns.taken(start))
        if end - start > 1:
            tree.follow(columns.chain(start + 1, end))


def _joined(
    columns: _Columns, interrupted: Sequence[int]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each token is new and was taken after the one before it, which was the newest node.

    Shape [n]. Tokens of a prompt and others are not joined.
    """
    node, parent = np.array(columns.node, "i8"), np.array(columns.parent, "i8")
    given = np.array([origin == "prompt" for origin in columns.origin], bool)
    newest = np.maximum.accumulate(node)
    joined = np.zeros(len(node), bool)
    joined[1:] = (
        (node[1:] == newest[:-1] + 1)
        & (node[:-1] == newest[:-1])
        & (parent[1:] == node[:-1])
        & (given[1:] == given[:-1])
    )
    after = np.searchsorted(np.array(columns.seq, "i8"), np.array(interrupted, "i8"))
    joined[after[after < len(joined)]] = False
    return joined


def _read_view(connection: sqlite3.Connection, tree: TokenTree, seq: int) -> SamplerView | None:
    """How the sampler saw the step of an event; None where its record is damaged."""
    found = connection.execute(
        "SELECT settings, token, kept, log_norm, body FROM event WHERE seq = ?", (seq,)
    ).fetchone()
    try:
        return rows.view_of(tree.settings, *msgspec.convert(found, _View))
    except BROKEN:
        return None


_View = tuple[Count, Count, Count, float, str | None]
