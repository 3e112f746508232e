"""What the model said, read from a session's file: figures of all steps, candidates when asked."""

import math
import sqlite3
from collections.abc import Sequence

import msgspec
import numpy as np

from tokexplore.models.distribution import Distribution
from tokexplore.models.events import Retold
from tokexplore.models.session import rows
from tokexplore.models.session.packing import unpack
from tokexplore.models.session.replaying import BROKEN
from tokexplore.models.tree import TokenTree


def shelve(connection: sqlite3.Connection, tree: TokenTree) -> tuple[int, int]:
    """Let the tree's distributions be read from the file; the number of the last, and how many.

    Raises:
        ValueError, msgspec.MsgspecError: they do not fit the tree.
    """
    seqs, nodes, models, entropies, margins, tops = rows.columns(
        connection,
        "FROM distribution WHERE again = 0",
        {"seq": list[rows.Count], "node": list[rows.Count], "model": list[rows.Count | None]},
        {"entropy": list[float], "ifnull(margin, 9e999)": list[float], "top_logprob": list[float]},
    )
    again = connection.execute(
        "SELECT seq, node FROM distribution WHERE again != 0 ORDER BY seq"
    ).fetchall()
    retold = msgspec.convert(again, list[tuple[rows.Count, rows.Count]])
    last = max([*nodes, *(node for _, node in retold)], default=0)
    if last >= len(tree):
        raise ValueError(f"a distribution belongs to node {last}, which is not there")
    for seq, node in retold:
        tree.append(Retold(node, read_distribution(connection, seq)))
    # Of several of one node the first counts: written backwards it is the last that is written.
    figures = [np.array(column, "f8")[::-1] for column in (entropies, margins, tops, models)]
    tree.distribution.keep_figures(
        np.array(nodes, "i8")[::-1], np.array(seqs, "i8")[::-1], figures,
        lambda records: _whole(connection, records),
    )  # fmt: skip
    last_told = max([-1, *seqs[-1:], *(seq for seq, _ in retold[-1:])])
    return last_told, len(seqs) + len(retold)


def read_distribution(connection: sqlite3.Connection, seq: int) -> Distribution:
    """The distribution that was kept under a number, with its candidates.

    Raises:
        ValueError, TypeError, msgspec.MsgspecError: its record is damaged.
    """
    return _read(connection, [seq])[0]


def _whole(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[Distribution | None]:
    """Distributions by their numbers; None for each whose record is damaged."""
    try:
        return [*_read(connection, seqs)]
    except BROKEN:
        if len(seqs) == 1:
            return [None]
        return [told for seq in seqs for told in _whole(connection, [seq])]


_Record = tuple[rows.Count, rows.Count, float, float, str, float, bytes]


def _read(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[Distribution]:
    found = connection.execute(
        "SELECT seq, vocabulary, lse, entropy, source, seconds, packed FROM distribution "
        f"JOIN candidates USING (seq) WHERE seq IN ({', '.join('?' * len(seqs))})",
        seqs,
    ).fetchall()
    records = {record[0]: record for record in msgspec.convert(found, list[_Record])}
    if missing := set(seqs) - records.keys():
        raise ValueError(f"the candidates of event {min(missing)} are missing")
    order = [records[seq] for seq in seqs]
    most = [min(vocabulary, rows.MOST_TOKENS) for _, vocabulary, *_ in order]
    unpacked = unpack([packed for *_, packed in order], most)
    told = []
    for record, (ids, logits) in zip(order, unpacked, strict=True):
        seq, vocabulary, lse, entropy, source, seconds, _ = record
        distribution = Distribution(ids, logits, vocabulary, lse, entropy, source, seconds)
        if not math.isfinite(lse) or not distribution.logprob(0) <= 1e-3:
            raise ValueError(f"the candidates of event {seq} are no distribution")
        told.append(distribution)
    return told
