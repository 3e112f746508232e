"""The icicle of a tree: heights are probabilities and add up, and nothing overlaps."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.distribution import Distribution
from tokexplore.models.tree.events import Ended, Hidden, Scored, Withdrawn
from tokexplore.models.tree.icicle import Icicle, Layout, logprob_since, start_of, starts
from tokexplore.models.tree.subtree import subtree_of
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import is_out_of_sight

NEAR = 1e-9
ALL = range(100)
Draw = Callable[[st.SearchStrategy[object]], object]


def prompted(*tokens: int) -> tuple[TokenTree, int]:
    """A tree with a prompt, and where that ends."""
    tree, leaf = TokenTree(), ROOT
    for token in tokens or (1, 2):
        leaf = tree.take(leaf, token, "prompt")
    return tree, leaf


def taken(tree: TokenTree, parent: int, token: int, share: float | None) -> int:
    """A token with a probability, or without one."""
    known = {} if share is None else {"logprob": math.log(share), "rank": 1}
    return tree.take(parent, token, "greedy", **known)


@st.composite
def trees(draw: Draw) -> tuple[TokenTree, int]:
    """A tree of some dozens of tokens after a prompt: some of them without a probability, some
    branches hidden, some cut short, some at their end."""
    parents = draw(st.lists(st.integers(0, 8), min_size=1, max_size=40))
    tree, start = prompted()
    made = [start]
    weights: dict[int, list[float | None]] = {}
    for back in parents:  # type: ignore[attr-defined]
        weights.setdefault(max(0, len(made) - 1 - back), []).append(
            draw(st.none() | st.floats(1e-6, 1.0))  # type: ignore[arg-type]
        )
        made.append(-1)
    made = [start]
    count = {at: iter(range(99)) for at in weights}
    for back in parents:  # type: ignore[attr-defined]
        at = max(0, len(made) - 1 - back)
        place = next(count[at])
        own = weights[at][place]
        total = math.fsum(weight for weight in weights[at] if weight is not None)
        share = None if own is None else own / max(total, 1.0 if place % 2 else total)
        made.append(taken(tree, made[at], 10 + place, share))
    for branch in tree.branches[1:]:
        if draw(st.integers(0, 5)) == 0:
            tree.append(Hidden(branch.number))
    for node in made[1:]:
        follows = tree.branch_of[node] == tree.branch_of[tree.parent[node]]
        if follows and draw(st.integers(0, 9)) == 0:
            tree.append(Withdrawn(node))
        elif not tree.children[node] and draw(st.booleans()):
            tree.append(Ended(node, draw(st.sampled_from(["eos", "length"]))))  # type: ignore[arg-type]
    return tree, start


def parts_after(tree: TokenTree, layout: Layout, node: int) -> list[tuple[float, float]]:
    """Top and height of what stands right of a block, from the top."""
    block = next(block for block in layout.blocks if block.node == node)
    end = block.top + block.height
    blocks = [b for b in layout.blocks if b.node != node and tree.parent[b.node] == node]
    gaps = [
        gap
        for gap in (*layout.rests, *layout.crumbs)
        if gap.column == block.column + 1
        and block.top - NEAR <= gap.top
        and gap.top + gap.height <= end + NEAR
    ]
    return sorted((part.top, part.height) for part in (*blocks, *gaps))


@given(trees())
def test_what_follows_a_block_and_the_rest_add_up_to_it(made: tuple[TokenTree, int]) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    for node in range(start, len(tree)):
        shares, rest = icicle.after(node)
        if not shares and tree.ended.get(node) == "eos":
            assert rest == 0
        else:
            assert math.fsum([*(s.height for s in shares), rest]) == pytest.approx(1.0, abs=NEAR)
        tops = [*(share.top for share in shares), 1.0 - rest]
        assert all(
            one.top + one.height == pytest.approx(after, abs=NEAR)
            for one, after in zip(shares, tops[1:], strict=True)
        )
        known = [share.height for share in shares if share.known]
        assert known == sorted(known, reverse=True)
        assert [share.known for share in shares] == sorted((s.known for s in shares), reverse=True)


@given(trees(), st.floats(0.0, 0.3))
def test_no_two_parts_of_a_column_overlap(made: tuple[TokenTree, int], least: float) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    layout = icicle.layout(start, ALL, least)
    for column in {block.column for block in layout.blocks}:
        parts = sorted(
            (part.top, part.top + part.height)
            for part in (*layout.blocks, *layout.rests, *layout.crumbs)
            if part.column == column
        )
        assert all(end <= begin + NEAR for (_, end), (begin, _) in pairwise(parts))
        assert parts[0][0] >= -NEAR
        assert parts[-1][1] <= 1 + NEAR
    for block in layout.blocks:
        parts = parts_after(tree, layout, block.node)
        if icicle.after(block.node) != ((), 0.0):
            height = math.fsum(height for _, height in parts)
            assert height == pytest.approx(block.height, abs=NEAR)
            assert parts[0][0] == pytest.approx(block.top, abs=NEAR)


@given(trees())
def test_all_that_is_in_sight_has_one_block_and_nothing_else_has(
    made: tuple[TokenTree, int],
) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    nodes = [block.node for block in icicle.layout(start, ALL).blocks]
    assert len(nodes) == len(set(nodes))
    assert set(nodes) == {n for n in range(start, len(tree)) if not is_out_of_sight(tree, n)}
    assert all(icicle.holds(start, n) == (n in nodes) for n in range(start, len(tree)))
    depths = [tree.depth[n] - tree.depth[start] for n in nodes]
    assert [block.column for block in icicle.layout(start, ALL).blocks] == depths


@given(trees())
def test_a_height_is_the_probability_of_the_path(made: tuple[TokenTree, int]) -> None:
    tree, start = made
    for block in Icicle(tree, []).layout(start, ALL).blocks:
        logprob = logprob_since(tree, start, block.node)
        if not math.isnan(logprob):
            assert block.height == pytest.approx(math.exp(logprob), rel=1e-6)
        assert block.known == (block.node == start or tree.is_scored(block.node))


@given(trees(), st.data())
def test_a_focus_is_the_same_picture_with_its_block_as_the_whole(
    made: tuple[TokenTree, int], data: st.DataObject
) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    whole = {block.node: block for block in icicle.layout(start, ALL).blocks}
    focus = data.draw(st.sampled_from(sorted(whole)))
    own = whole[focus]
    for block in icicle.layout(focus, ALL).blocks:
        before = whole[block.node]
        assert before.height == pytest.approx(block.height * own.height, abs=NEAR)
        assert before.top == pytest.approx(own.top + block.top * own.height, abs=NEAR)


@given(trees())
def test_keys_reach_every_block_of_a_column_in_order(made: tuple[TokenTree, int]) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    columns: dict[int, list[int]] = {}
    for block in icicle.layout(start, ALL).blocks:
        columns.setdefault(block.column, []).append(block.node)
    for nodes in columns.values():
        assert [icicle.beside(start, node, 1) for node in nodes] == [*nodes[1:], None]
        assert [icicle.beside(start, node, -1) for node in nodes] == [None, *nodes[:-1]]
        for node in nodes:
            after = [share.node for share in icicle.after(node).shares]
            assert icicle.onward(node) == (after[0] if after else None)


def test_a_picture_of_later_columns_is_part_of_the_whole() -> None:
    tree, start = prompted()
    node = start
    for token in range(9):
        node = taken(tree, node, token, 0.9)
    icicle = Icicle(tree, [])
    whole, part = icicle.layout(start, ALL), icicle.layout(start, range(3, 6))
    assert part.blocks == [block for block in whole.blocks if 3 <= block.column < 6]
    assert part.rests == [gap for gap in whole.rests if 3 <= gap.column < 6]


def test_what_is_not_known_is_never_nothing() -> None:
    tree, start = prompted()
    taken(tree, start, 5, 0.5)
    one, other = taken(tree, start, 6, None), taken(tree, start, 7, None)
    shares, rest = Icicle(tree, []).after(start)
    assert [(s.node, s.height, s.known) for s in shares[1:]] == [
        (one, 0.25, False), (other, 0.25, False)
    ]  # fmt: skip
    assert rest == 0
    assert math.isnan(logprob_since(tree, start, one))
    tree.append(Scored(one, math.log(0.1), 2))
    assert Icicle(tree, []).after(start).shares[1].height == pytest.approx(0.1)


def test_logprobs_that_add_up_to_more_than_one_fill_the_height_and_no_more() -> None:
    tree, start = prompted()
    for token in range(4):
        taken(tree, start, 5 + token, 0.26)
    shares, rest = Icicle(tree, []).after(start)
    assert math.fsum(share.height for share in shares) == pytest.approx(1.0, abs=1e-12)
    assert rest == pytest.approx(0.0, abs=1e-12)


def test_low_blocks_are_crumbs_and_take_their_room() -> None:
    tree, start = prompted()
    for token, share in enumerate((0.5, 0.01, 0.01, 0.01)):
        taken(tree, start, 5 + token, share)
    layout = Icicle(tree, []).layout(start, ALL, 0.1)
    assert [block.node for block in layout.blocks] == [start, start + 1]
    (crumbs,) = layout.crumbs
    assert (crumbs.column, crumbs.top, crumbs.height) == (1, 0.5, pytest.approx(0.03))
    assert layout.rests[0].top == pytest.approx(0.53)


def test_each_prompt_has_a_map_of_its_own() -> None:
    tree, first = prompted(1, 2)
    told = taken(tree, first, 3, 0.5)
    longer = ROOT
    for token in (1, 2, 9, 8):
        longer = tree.take(longer, token, "prompt")
    other = taken(tree, longer, 3, 0.5)
    assert starts(tree, told) == [first, longer]
    assert starts(tree, other) == [longer, first]
    assert start_of(tree, other) == longer
    after = Icicle(tree, tree.path(told)).after(first)
    assert [share.node for share in after.shares] == [told], "the other prompt is no path of this"
    through = Icicle(tree, tree.path(other)).after(first)
    assert tree.path(longer)[2] in [share.node for share in through.shares]


def test_a_map_begins_to_fork_where_the_path_in_view_does() -> None:
    tree, start = prompted()
    one = taken(tree, start, 5, 0.9)
    two = taken(tree, one, 6, 0.9)
    three = taken(tree, two, 7, 0.5)
    assert Icicle(tree, []).first_fork(start, tree.path(three)) == start
    taken(tree, two, 8, 0.2)
    assert Icicle(tree, []).first_fork(start, tree.path(three)) == two


def distribution(entropy: float | None) -> Distribution:
    return Distribution(b"\0" * 4, np.zeros(1, "f4").tobytes(), 9, 1.0, entropy)


def test_the_sums_of_a_subtree() -> None:
    tree, start = prompted()
    one, other = taken(tree, start, 5, 0.5), taken(tree, start, 6, 0.25)
    deep = taken(tree, one, 7, 0.5)
    tree.record_distribution(start, distribution(2.0))
    tree.record_distribution(one, distribution(1.0))
    tree.record_distribution(deep, distribution(9.0))
    half = pytest.approx(math.log(0.5))
    assert subtree_of(Icicle(tree, []), start) == (3, 2, half, 0, 1.5)
    assert subtree_of(Icicle(tree, []), one) == (1, 1, half, 0, 1.0)
    assert subtree_of(Icicle(tree, []), other) == (0, 0, -math.inf, 0, None)
    taken(tree, start, 8, None)
    assert subtree_of(Icicle(tree, []), start) == (4, 3, half, 1, 1.5)


@given(trees())
def test_the_mass_of_a_subtree_is_that_of_its_leaves(made: tuple[TokenTree, int]) -> None:
    tree, start = made
    icicle = Icicle(tree, [])
    found = subtree_of(icicle, start)
    nodes = [block.node for block in icicle.layout(start, ALL).blocks if block.node != start]
    leaves = [node for node in nodes if not icicle.after(node).shares]
    logprobs = [logprob_since(tree, start, node) for node in leaves]
    known = [math.exp(logprob) for logprob in logprobs if not math.isnan(logprob)]
    assert (found.nodes, found.leaves) == (len(nodes), len(leaves))
    assert math.exp(found.log_mass) == pytest.approx(math.fsum(known))
    assert found.unknown == len(leaves) - len(known)


def test_the_mass_of_long_branches_is_no_false_zero() -> None:
    tree, start = prompted()
    leaves = list[int]()
    for first, own in ((5, 1e-3), (6, 1e-2)):
        leaf = taken(tree, start, first, own)
        for _ in range(250):
            leaf = taken(tree, leaf, 7, own)
        leaves.append(leaf)
    found = subtree_of(Icicle(tree, []), start)
    assert found.log_mass == pytest.approx(251 * math.log(1e-2)), "the other is nothing beside it"
    equal = taken(tree, tree.parent[leaves[1]], 8, 1e-2)
    again = subtree_of(Icicle(tree, []), start)
    assert tree.parent[equal] == tree.parent[leaves[1]]
    assert again.log_mass == pytest.approx(found.log_mass + math.log(2))
