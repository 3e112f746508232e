"""What forks of a cache share and what they copy, to the byte."""

import random
from array import array
from collections.abc import Callable, Iterable

import pytest
import torch
from support import truth

from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kernels
from tokexplore.models.engine.forward.growing_layer import (
    COPIED,
    MOST_SEGMENTS,
    Buffer,
    GrowingLayer,
    append_to_each,
)
from tokexplore.models.engine.forward.kv_store import Leaf, LeafStore
from tokexplore.models.engine.local import LocalEngine

LEAST = GrowingLayer.least
EngineOf = Callable[..., LocalEngine]


def states(count: int, value: float, heads: int = 2, size: int = 4) -> torch.Tensor:
    """[1, heads, count, size], each position another number."""
    first = torch.arange(count, dtype=torch.float32)[:, None] + value
    return first.expand(1, heads, count, size).clone()


def grown(count: int, value: float = 0.0, *, shares: bool = True) -> GrowingLayer:
    layer = GrowingLayer(shares)
    layer.append(states(count, value), states(count, -value))
    return layer


def go_on(layer: GrowingLayer, value: float, count: int = 1) -> None:
    layer.append(states(count, value), states(count, -value))


def read(layer: GrowingLayer) -> list[float]:
    """A number for each position that the layer holds."""
    return torch.cat([segment.keys() for segment in layer.segments], -2)[0, 0, :, 0].tolist()


def buffers(layer: GrowingLayer) -> list[Buffer]:
    return [segment.buffer for segment in layer.segments]


def test_of_forks_one_owns_the_tail_and_the_others_copy_nothing() -> None:
    trunk = grown(LEAST)
    twins = [trunk.cropped(LEAST) for _ in range(3)]
    for number, twin in enumerate(twins):
        go_on(twin, 1000.0 * (number + 1))

    assert [buffers(twin)[0] for twin in twins] == 3 * buffers(trunk)
    assert [len(twin.segments) for twin in twins] == [1, 2, 2]
    for number, twin in enumerate(twins):
        assert read(twin) == [*map(float, range(LEAST)), 1000.0 * (number + 1)]
    assert read(trunk) == [*map(float, range(LEAST))]


def test_a_branch_of_a_branch_shares_both_edges() -> None:
    trunk = grown(3 * LEAST)
    branch = trunk.cropped(2 * LEAST)
    go_on(branch, 500.0, LEAST + 5)
    twig = branch.cropped(2 * LEAST + LEAST + 2)
    go_on(twig, 900.0)
    go_on(branch, 700.0)

    assert buffers(twig)[:2] == [*buffers(trunk), buffers(branch)[1]]
    assert len(buffers(twig)) == 3
    edge = [500.0 + n for n in range(LEAST + 5)]
    assert read(twig) == [*map(float, range(2 * LEAST)), *edge[: LEAST + 2], 900.0]
    assert read(branch) == [*map(float, range(2 * LEAST)), *edge, 700.0]
    assert read(twig.cropped(LEAST)) == [*map(float, range(LEAST))]
    at_the_fork = twig.cropped(2 * LEAST)
    assert [at_the_fork.buffer] == buffers(at_the_fork) == buffers(trunk)
    assert twig.cropped(2 * LEAST + 7).get_seq_length() == 2 * LEAST + 7


def test_a_path_that_parts_at_many_places_is_held_in_few_segments() -> None:
    path, others = grown(LEAST), list[tuple[GrowingLayer, list[float]]]()
    wanted = [*map(float, range(LEAST))]
    for number in range(1, 40):
        length = path.get_seq_length()
        others.append((path.cropped(length), wanted.copy()))
        go_on(others[-1][0], -1.0)
        others.append((path, wanted.copy()))
        path = path.cropped(length)
        go_on(path, 1000.0 * number, LEAST)
        wanted += [1000.0 * number + place for place in range(LEAST)]
        assert len(path.segments) <= MOST_SEGMENTS + 1 + len(wanted) // COPIED
        assert sum(segment.length for segment in path.segments) == len(wanted)

    assert read(path) == wanted
    for other, was in others:
        assert read(other)[: len(was)] == was
    assert all(path in held.holders for held in buffers(path))
    copied = {held for other, _ in others for held in buffers(other)} - {*buffers(path)}
    assert copied
    assert not any(path in held.holders for held in copied)


def test_long_segments_are_never_copied() -> None:
    path = grown(COPIED + 1)
    for number in range(1, 2 * MOST_SEGMENTS):
        length = path.get_seq_length()
        other, path = path, path.cropped(length)
        go_on(other, -1.0)
        go_on(path, 1000.0 * number, COPIED + 1)
        assert len(path.segments) == number + 1
        assert buffers(path)[:-1] == buffers(other)[:number]


def test_what_lies_beside_what_is_gone_moves_to_memory_of_its_own() -> None:
    trunk = grown(LEAST)
    twins = [trunk.cropped(LEAST) for _ in range(9)]
    for step in range(LEAST):
        go_on_together(twins, 1000.0 + 10 * step)
    last = twins[8]
    fork, wanted = last.cropped(LEAST + 9), read(last)
    block = buffers(last)[1].block
    del twins[1:4]
    assert not block.is_sparse
    del twins[1:3]
    assert block.is_sparse

    buffers(last)[1].alone()
    assert buffers(last)[1].block is not block
    assert (read(last), read(fork)) == (wanted, wanted[: LEAST + 9])
    assert torch.equal(last.keys[0, 0, :, 0], torch.tensor(wanted[LEAST:]))
    assert torch.equal(fork.values[0, 0, :, 0], -torch.tensor(wanted[LEAST : LEAST + 9]))
    go_on_together(twins[::-1], 7000.0)
    go_on(fork, 8000.0)
    assert read(last) == [*wanted, 7000.0]
    assert read(fork) == [*wanted[: LEAST + 9], 8000.0]


def test_a_short_tail_is_copied() -> None:
    trunk = grown(2 * LEAST)
    branch = trunk.cropped(LEAST - 1)
    go_on(branch, 500.0)
    assert len(branch.segments) == 1
    assert buffers(branch) != buffers(trunk)
    assert read(branch) == [*map(float, range(LEAST - 1)), 500.0]


def test_where_nothing_is_shared_a_fork_copies_all() -> None:
    trunk = grown(2 * LEAST, shares=False)
    branch = trunk.cropped(LEAST + 1)
    go_on(branch, 500.0)
    assert len(branch.segments) == 1
    assert read(branch) == [*map(float, range(LEAST + 1)), 500.0]
    assert read(trunk) == [*map(float, range(2 * LEAST))]


def test_a_layer_by_itself_stays_in_one_piece() -> None:
    layer = grown(LEAST)
    for number in range(5 * LEAST):
        go_on(layer, float(LEAST + number))
    assert len(layer.segments) == 1
    assert read(layer) == [*map(float, range(6 * LEAST))]


def test_a_full_buffer_that_a_fork_holds_is_left_to_it() -> None:
    trunk = grown(LEAST)
    room = buffers(trunk)[0].room
    go_on(trunk, 100.0, room - LEAST)
    twin = trunk.cropped(room)
    go_on(trunk, 900.0)
    assert buffers(trunk)[0] is buffers(twin)[0]
    assert len(trunk.segments) == 2
    assert read(trunk)[-1] == 900.0


def test_what_a_fork_wrote_that_is_gone_is_written_over() -> None:
    trunk = grown(LEAST)
    fork = trunk.cropped(LEAST - 3)
    held = buffers(trunk)
    del trunk
    go_on(fork, 500.0)
    assert buffers(fork) == held
    assert read(fork) == [*map(float, range(LEAST - 3)), 500.0]


def test_layers_put_their_segments_together_for_several_tokens() -> None:
    trunk = grown(2 * LEAST)
    branch = trunk.cropped(LEAST + 1)
    keys, values = branch.update(states(3, 500.0), states(3, -500.0))
    expected = [*map(float, range(LEAST + 1)), 500.0, 501.0, 502.0]
    assert len(branch.segments) == 2
    assert keys[0, 1, :, 2].tolist() == expected
    assert values.shape == keys.shape


@pytest.mark.parametrize("cut", [LEAST + 1, 2 * LEAST])
def test_many_rows_may_begin_with_what_one_holds(cut: int) -> None:
    trunk = grown(2 * LEAST)
    branch = trunk.cropped(cut)
    go_on(branch, 500.0, 2)
    batch = branch.cropped(cut + 1)
    batch.update(states(2, 700.0).repeat(3, 1, 1, 1), states(2, 0.0).repeat(3, 1, 1, 1))
    keys, _ = batch.update(states(1, 800.0).repeat(3, 1, 1, 1), states(1, 0.0).repeat(3, 1, 1, 1))
    for row in keys:
        assert row[0, :, 0].tolist() == [*map(float, range(cut)), 500.0, 700.0, 701.0, 800.0]
    assert read(branch) == [*map(float, range(cut)), 500.0, 501.0]
    assert read(trunk) == [*map(float, range(2 * LEAST))]
    assert batch not in buffers(trunk)[0].holders


@pytest.mark.parametrize("more", [1, 2])
def test_what_is_to_be_split_is_known_before(more: int) -> None:
    trunk = grown(2 * LEAST)
    assert not trunk.is_split(more)
    branch = trunk.cropped(LEAST)
    assert branch.is_split(more)
    assert not branch.is_split()
    assert not trunk.cropped(LEAST - 1).is_split(more)
    go_on(branch, 500.0)
    assert branch.is_split()


def go_on_together(layers: list[GrowingLayer], value: float) -> None:
    """Each by a token of its own: `value`, `value` + 1 and so on."""
    states_of = torch.cat([states(1, value + number) for number in range(len(layers))])
    append_to_each(layers, states_of, -states_of)


def test_forks_that_go_on_together_lie_side_by_side() -> None:
    trunk = grown(LEAST)
    twins = [trunk.cropped(LEAST) for _ in range(4)]
    for step in range(3 * LEAST):
        go_on_together(twins, 1000.0 + 10 * step)

    for number, twin in enumerate(twins):
        own = [1000.0 + 10 * step + number for step in range(3 * LEAST)]
        assert read(twin) == [*map(float, range(LEAST)), *own]
        assert torch.equal(twin.values, -twin.keys)
    assert buffers(twins[0])[0] is buffers(trunk)[0]
    tails = [buffers(twin)[1] for twin in twins[1:]]
    assert len({tail.block for tail in tails}) == 1
    assert [tail.place for tail in tails] == [0, 1, 2]
    assert read(trunk) == [*map(float, range(LEAST))]


def test_of_two_that_hold_the_same_one_alone_goes_on_in_it() -> None:
    trunk = grown(LEAST - 1)
    twins = [trunk.cropped(LEAST - 1) for _ in range(2)]
    go_on_together(twins, 500.0)
    for number, twin in enumerate(twins):
        assert read(twin) == [*map(float, range(LEAST - 1)), 500.0 + number]


def test_those_of_other_lengths_go_on_where_they_are() -> None:
    layers = [grown(LEAST, 0.0), grown(2 * LEAST, 0.0), grown(40 * LEAST, 0.0)]
    lengths = [layer.get_seq_length() for layer in layers]
    for step in range(2 * LEAST):
        go_on_together(layers, 5000.0 + 10 * step)
    for number, (layer, length) in enumerate(zip(layers, lengths, strict=True)):
        own = [5000.0 + 10 * step + number for step in range(2 * LEAST)]
        assert read(layer) == [*map(float, range(length)), *own]


def test_one_that_leaves_its_neighbours_goes_on_alone() -> None:
    trunk = grown(LEAST)
    _, *twins = [trunk.cropped(LEAST) for _ in range(4)]
    kept = trunk  # the trunk's end is taken
    go_on(kept, 1.0)
    go_on_together(twins, 100.0)
    go_on(twins[1], 900.0)
    go_on_together([twins[2], twins[0]], 200.0)
    assert [read(twin)[LEAST:] for twin in twins] == [[100, 201], [101, 900], [102, 200]]


def leaf(layer: GrowingLayer, ids: Iterable[int]) -> Leaf:
    cache = kv.DynamicCache()
    cache.layers = [layer]
    return Leaf(cache, array("I", ids))


def test_a_store_counts_what_leaves_share_once_and_frees_what_is_held_no_more() -> None:
    trunk = grown(4 * LEAST)
    branches = [trunk.cropped(2 * LEAST) for _ in range(4)]
    for branch in branches:
        go_on(branch, 500.0)
    shared, own = (held.block.bytes for held in (buffers(trunk)[0], buffers(branches[0])[1]))
    leaves = [leaf(each, range(k, k + 9)) for k, each in enumerate(branches)]
    store = LeafStore(10**9)
    for each in leaves:
        store.put(each)
    assert store.bytes == shared + 4 * own
    assert leaves[0].bytes == shared + own

    store.limit = shared + 2 * own
    store.put(leaves[0])
    assert list(store) == [leaves[3], leaves[0]]
    assert store.bytes == shared + 2 * own


def test_one_of_many_lanes_does_not_hold_the_memory_of_those_beside_it() -> None:
    trunk = grown(LEAST)
    twins = [trunk.cropped(LEAST) for _ in range(17)]
    for step in range(LEAST):
        go_on_together(twins, 1000.0 + 10 * step)
    leaves = [leaf(twin, [n, *range(1, 2 * LEAST)]) for n, twin in enumerate(twins[1:])]
    for layer in (trunk, *twins[:1]):
        layer.detached()
    del layer, trunk, twins
    row = leaves[0].bytes // 18  # the trunk's buffer has room for as much as those of two lanes
    store = LeafStore(18 * row)
    store.put(*leaves)
    while len(leaves) > 8:
        leaves.pop(0)
    store.limit = 10 * row
    assert store.put(leaves[-1])

    assert list(store) == leaves
    assert store.bytes == 10 * row


@torch.inference_mode()
def test_what_a_store_counts_is_what_its_leaves_hold() -> None:
    chance, store = random.Random(0), LeafStore(40_000)
    store.put(leaf(grown(LEAST), range(LEAST)))
    for number in range(600):
        picked = chance.choice([*store])
        length = chance.randrange(LEAST // 2, len(picked) + 1)
        if chance.random() < 0.3:
            twins = [picked]
        else:
            layers = [picked.cache.layers[0].cropped(length) for _ in range(chance.randrange(1, 7))]
            twins = [leaf(layer, picked.ids[:length]) for layer in layers]
        go_on_together([twin.cache.layers[0] for twin in twins], 10.0 * number)
        for place, twin in enumerate(twins):
            twin.ids.append(10 * number + place)
            twin.busy = chance.random() < 0.1
        store.put(*(kept := twins[: chance.randrange(1, 7)]))
        wanted = [kv.holdings(each.cache.layers) for each in store]
        assert store.bytes == sum({k: size for each in wanted for k, size in each.items()}.values())
        assert store.bytes <= store.limit or all(each.busy or each in kept for each in store)
        del twin, twins, kept, picked
    assert 1 < len(store) < 100


def test_sixteen_branches_take_little_more_than_one(engine_of: EngineOf) -> None:
    engine = engine_of()
    base = truth.run(engine, [3, 1, 4], 100).ids
    one = engine.core.leaves.bytes
    for number in range(16):
        truth.run(engine, [*base[:96], 60 + number], 5)
    layers = engine.core.forward.model.config.num_hidden_layers
    tails = 16 * layers * 2 * 2 * 8 * 4 * 32  # keys and values, heads, head_dim, bytes, room
    assert len(engine.core.leaves) == 17
    assert engine.core.leaves.bytes <= one + tails


def test_another_kernel_reads_what_is_shared_too(engine_of: EngineOf) -> None:
    engine = engine_of("gemma3")
    base = truth.run(engine, [3, 1, 4], 60).ids
    (leaf,) = engine.core.leaves
    forward, before = engine.core.forward, base[:50]
    with kernels.attending(forward.model, "eager"):
        logits = forward([70], 50, kv.fork(leaf.cache, 50))
    assert torch.allclose(logits, forward.plain([*before, 70])[-1:], atol=1e-4)
    assert torch.allclose(forward([70], 50, kv.fork(leaf.cache, 50)), logits, atol=1e-4)
