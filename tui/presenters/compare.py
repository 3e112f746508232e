"""Branches aligned from the token at which they part, as the compare view shows them."""

import math
from collections.abc import Collection
from itertools import combinations
from typing import NamedTuple

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.tree.turns import is_given
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.widgets.compare import CompareCell, CompareColumn, meeting
from tokexplore.widgets.compare_rows import Meeting
from tokexplore.widgets.heat import NONE, level

MOST = 4
"""Branches that are shown at once."""


class Comparison(NamedTuple):
    """What a compare view is given."""

    columns: list[CompareColumn]
    shared: str
    shared_tokens: int
    meets: list[Meeting]


def chosen(explorer: Explorer) -> list[int]:
    """Numbers of the branches to compare: the marked ones, or this one with the one that is marked,
    else with the last left.

    Without a branch that was left, one that leaves this path is taken.
    """
    tree = explorer.tree
    visible = [b.number for b, _ in explorer.listed()]
    here = [explorer.branch.number] if explorer.branch else []
    marked = [n for n in explorer.marked if n in visible]
    if len(marked) > 1:
        return sorted(marked, key=lambda n: n not in here)[:MOST]
    if marked and marked != here:
        return [*here, *marked]
    others = [tree.branch_of[leaf] for leaf in reversed(explorer.left)]
    on_path = set(explorer.nodes)
    others += [n for n in visible if tree.fork_of(tree.branch(n)) in on_path]
    others += visible
    return [*here, *[n for n in others if n in visible and n not in here][:1]]


def compare(explorer: Explorer, numbers: list[int], live: Collection[int]) -> Comparison:
    """Align branches from the deepest node that is on all their paths."""
    tree, vocabulary = explorer.tree, explorer.vocabulary
    tips = [tree.branch(n).tip for n in numbers]
    fork = tips[0]
    for tip in tips[1:]:
        fork = tree.common(fork, tip)
    shared = tree.path(fork)
    rests = [tree.path(tip)[len(shared) :] for tip in tips]
    columns = [
        _column(explorer, number, rest, live) for number, rest in zip(numbers, rests, strict=True)
    ]
    return Comparison(
        columns,
        safe_text(vocabulary.text(tree.token[n] for n in shared).replace("\n", NEWLINE)),
        len(shared),
        _meetings([[tree.token[n] for n in rest] for rest in rests]),
    )


def _meetings(rests: list[list[int]]) -> list[Meeting]:
    """Where any two texts run the same again after they parted, in order of position."""
    meets: list[Meeting] = []
    for one, other in combinations(range(len(rests)), 2):
        a, b = rests[one], rests[other]
        parted = next(
            (at for at, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), None
        )
        if parted is not None and (met := meeting(a[parted:], b[parted:])):
            places: list[int | None] = [None] * len(rests)
            places[one], places[other] = (parted + at for at in met)
            meets.append(tuple(places))
    return sorted(meets, key=lambda places: min(at for at in places if at is not None))


def _column(
    explorer: Explorer, number: int, nodes: list[int], live: Collection[int]
) -> CompareColumn:
    tree, vocabulary = explorer.tree, explorer.vocabulary
    branch = tree.branch(number)
    turns = tree.turns(branch.tip)
    pieces = vocabulary.pieces([tree.token[n] for n in nodes])
    cells, logprobs = [], []
    for node, piece in zip(nodes, pieces, strict=True):
        logprob = tree.logprob[node]
        surprisal = None if math.isnan(logprob) else -logprob
        given = is_given(turns, tree.depth[node])
        if not given and surprisal is not None:
            logprobs.append(logprob)
        heat = NONE if surprisal is None else level("surprisal", surprisal)
        cells.append(CompareCell(piece, surprisal, heat, given))
    generated = sum(not cell.given for cell in cells)
    return CompareColumn(
        number,
        branch.name or vocabulary.show(tree.token[nodes[0] if nodes else branch.tip]),
        cells,
        sum(logprobs) / len(logprobs) if logprobs else None,
        math.fsum(logprobs) if logprobs and len(logprobs) == generated else None,
        live=branch.tip in live,
        ended=tree.ended.get(branch.tip, ""),
    )
