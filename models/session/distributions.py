"""What the model said, read from a session's file: figures of all steps, candidates when asked."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tokexplore.models.distribution import Distribution
from tokexplore.models.session import rows, vocabulary_rows
from tokexplore.models.session.codec import unpack
from tokexplore.models.session.restore import BROKEN
from tokexplore.models.tree.distribution_store import Numbers, Values
from tokexplore.models.tree.tree import TokenTree

Marks = np.ndarray[tuple[int], np.dtype[np.bool_]]

ROUNDING = 1e-3
"""Nats by which figures may miss what is possible: more than adding up a row leaves."""


class AttachedDistributions(NamedTuple):
    """The distributions of a file."""

    last: int
    """Number of the last; -1 where there is none."""
    rows: int
    damaged: int
    """How many of them cannot be read or cannot be true, as far as is known without candidates."""


def attach_distributions(connection: sqlite3.Connection, tree: TokenTree) -> AttachedDistributions:
    """Let the tree's distributions be read from the file, but for those that cannot be true.

    Raises:
        ValueError, msgspec.MsgspecError: they do not fit the tree.
    """
    seqs, nodes, models, *exact = rows.columns(
        connection,
        "FROM distribution WHERE again = 0",
        {"seq": list[rows.Count], "node": list[rows.Count], "model": list[rows.Count | None]},
        {
            rows.ENTROPY: list[float | None],
            **dict.fromkeys(("ifnull(margin, 9e999)", "top_logprob", "lse"), list[float]),
        },
    )
    later = connection.execute(
        "SELECT seq, node, again FROM distribution WHERE again != 0 ORDER BY seq"
    ).fetchall()
    again = msgspec.convert(later, list[tuple[rows.Count, rows.Count, rows.Count]])
    last = max([*nodes, *(node for _, node, _ in again)], default=0)
    if last >= len(tree):
        raise ValueError(f"a distribution belongs to node {last}, which is not there")
    entropies, margins, tops, lses = (np.array(column, "f8") for column in exact)
    true = _possible(entropies, margins, tops, lses)
    at, records = np.array(nodes, "i8"), np.array(seqs, "i8")
    damaged = set(at[~true].tolist()) - set(at[true].tolist())
    at, records = at[true], records[true]
    next_of = _later(at, records)
    # Of several of one node the first counts: written backwards it is the last that is written.
    columns = (entropies, margins, tops, np.array(models, "f8"))
    figures = [column[true][::-1] for column in columns]
    tree.distribution.damaged |= damaged
    tree.distribution.keep_figures(
        at[::-1], records[::-1], figures, lambda asked: whole(connection, asked, next_of)
    )
    lost = _recall(connection, tree, again)
    last_seq = max([-1, *seqs[-1:], *(seq for seq, *_ in again[-1:])])
    return AttachedDistributions(last_seq, len(seqs) + len(again), len(damaged) + lost)


def _possible(entropies: Values, margins: Values, tops: Values, lses: Values) -> Marks:
    """Whether the figures of each distribution can be true, all of shape [n], in nats.

    An entropy of NaN is that of an incomplete distribution.
    """
    sound = np.isfinite(lses) & ~np.isinf(entropies) & np.isfinite(tops)
    sound &= np.isnan(entropies) | (entropies >= -ROUNDING)
    return sound & (margins >= 0) & (tops <= ROUNDING)


def _recall(
    connection: sqlite3.Connection, tree: TokenTree, again: Sequence[tuple[int, int, int]]
) -> int:
    """Bring the distributions that are not the first of their nodes into the tree; how many are
    damaged."""
    damaged = 0
    for seq, node, kind in again:
        try:
            tree.append(rows.TOLD[kind](node, read_distribution(connection, seq)))
        except BROKEN:
            damaged += 1
    return damaged


def _later(nodes: Numbers, records: Numbers) -> dict[int, int]:
    """By record: the next one of the same node, computed because the first could not be read."""
    order = np.argsort(nodes, kind="stable")
    same = np.flatnonzero(np.diff(nodes[order]) == 0)
    ahead, behind = records[order[same]], records[order[same + 1]]
    return dict(zip(ahead.tolist(), behind.tolist(), strict=True))


def read_distribution(connection: sqlite3.Connection, seq: int) -> Distribution:
    """The distribution that was kept under a number, with its candidates.

    Raises:
        ValueError, TypeError, msgspec.MsgspecError: its record is damaged.
    """
    return _read(connection, [seq])[0]


def whole(
    connection: sqlite3.Connection, seqs: Sequence[int], later: Mapping[int, int]
) -> list[Distribution | None]:
    """Distributions by their numbers; None for each of which no record can be read.

    Args:
        later: by number, the next one of the same node, which counts where the first is damaged.
    """
    try:
        return [*_read(connection, seqs)]
    except BROKEN:
        if len(seqs) == 1:
            return whole(connection, [later[seqs[0]]], later) if seqs[0] in later else [None]
        return [distribution for seq in seqs for distribution in whole(connection, [seq], later)]


_Record = tuple[rows.Count, rows.Count, float, float | None, float, float, str, float, bytes]


def _read(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[Distribution]:
    found = connection.execute(
        f"SELECT seq, vocabulary, lse, {rows.ENTROPY}, ifnull(margin, 9e999), top_logprob, source, "
        "seconds, packed FROM distribution JOIN candidates USING (seq) "
        f"WHERE seq IN ({', '.join('?' * len(seqs))})",
        seqs,
    ).fetchall()
    records = {record[0]: record for record in msgspec.convert(found, list[_Record])}
    if missing := set(seqs) - records.keys():
        raise ValueError(f"the candidates of event {min(missing)} are missing")
    order = [records[seq] for seq in seqs]
    most = [min(vocabulary, vocabulary_rows.MOST_TOKENS) for _, vocabulary, *_ in order]
    unpacked = unpack([packed for *_, packed in order], most)
    distributions = []
    for record, (ids, logits) in zip(order, unpacked, strict=True):
        seq, vocabulary, lse, entropy, margin, top, source, seconds, _ = record
        distribution = Distribution(ids, logits, vocabulary, lse, entropy, source, seconds)
        if not (_near(distribution.logprob(0), top) and _near(distribution.margin, margin)):
            raise ValueError(f"the candidates of event {seq} do not fit its figures")
        distributions.append(distribution)
    _, _, lses, entropies, margins, tops, *_ = zip(*order, strict=True)
    true = _possible(*(np.array(column, "f8") for column in (entropies, margins, tops, lses)))
    if not true.all():
        raise ValueError(f"the figures of event {seqs[int(true.argmin())]} cannot be true")
    return distributions


def _near(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= ROUNDING
