"""What is run again and what is not: forks, the ladder, and the limits of what is kept."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import transformers as hf
from support import families, truth
from support.truth import SAMPLED

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.engine import core
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kv_store, prefill
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.kv_store import Leaf, LeafStore, Path, RowStore
from tokexplore.models.engine.forward.logits_row import summarise
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79]
EngineOf = Callable[..., LocalEngine]


class Passes(list[tuple[int, int]]):
    """(first position, tokens) of every forward pass."""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    seen, honest = Passes(), Forward.__call__

    def counted(
        self: Forward, tokens: list[int], start: int, cache: object, keep: int = 1
    ) -> torch.Tensor:
        seen.append((start, len(tokens)))
        return honest(self, tokens, start, cache, keep)

    monkeypatch.setattr(Forward, "__call__", counted)
    return seen


def forget_rows(engine: LocalEngine) -> None:
    engine.core.rows_held.clear()


@pytest.mark.parametrize("family", families.CROPPABLE)
def test_a_held_path_costs_one_token_at_any_depth(
    family: str, engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of(family)
    assert engine.core.probed.croppable
    main = truth.run(engine, PROMPT, 30)
    for depth in (2, 12, 30, len(main.ids) - 1):
        forget_rows(engine)
        passes.clear()

        branch = truth.run(engine, main.ids[:depth], 1)

        assert passes == [(depth - 1, 1)]
        assert branch.sources == ["fork"]


def test_a_branch_feeds_only_its_new_token(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    main = truth.run(engine, PROMPT, 30)
    passes.clear()

    branch = truth.run(engine, [*main.ids[:20], 70], 3)

    assert passes == [(20, 1), (21, 1), (22, 1)]
    assert branch.sources == ["fork", "step", "step"]


def test_switching_between_branches_runs_only_new_tokens(
    engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of()
    one = truth.run(engine, PROMPT, 20)
    two = truth.run(engine, [*one.ids[:15], 70], 20)
    passes.clear()

    one = truth.run(engine, one.ids, 2)
    two = truth.run(engine, two.ids, 2)
    truth.run(engine, one.ids, 1)

    assert [start for start, _ in passes] == [31, 32, 35, 36, 33]
    assert {count for _, count in passes} == {1}


def test_a_row_that_is_held_is_not_run_again(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    main = truth.run(engine, PROMPT, 10, describe_end=True)
    passes.clear()

    for said in main.said:
        assert engine.describe(said.path) == said.distribution
        assert engine.rows(said.path, 0, 3).source == "stored"
        engine.search(said.path, "a", 3)
        engine.standings(said.path, [1, 2])
        engine.reshape(said.path, SAMPLED)
    again = truth.run(engine, main.ids[:15], 0, describe_end=True)

    assert passes == []
    assert again.said[0].distribution == main.said[3].distribution


def test_a_row_that_was_dropped_is_labelled_recomputed(engine_of: EngineOf) -> None:
    engine = engine_of()
    main = truth.run(engine, PROMPT, 10)
    forget_rows(engine)

    assert engine.rows(main.ids[:15], 0, 3).source == "recomputed"
    assert engine.rows(main.ids[:15], 0, 3).source == "stored"
    assert engine.describe(main.ids[:15]).source == "recomputed"
    assert engine.describe([*PROMPT, 5]).source == "fork"
    assert engine.describe([7, 8, 9]).source == "prefill"
    assert engine.describe([*main.ids[:15], 5, 6, 7]).source == "re-fed 3"


@pytest.mark.parametrize("family", families.RECURRENT)
def test_recurrent_families_go_back_to_a_snapshot(
    family: str, engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of(family)
    main = truth.run(engine, PROMPT, 90)
    for depth in (40, 70, 95):
        forget_rows(engine)
        passes.clear()

        branch = truth.run(engine, [*main.ids[:depth], 70], 1)

        gap = depth + 1 - depth // 32 * 32
        assert sum(count for _, count in passes) == gap
        assert len(passes) == (1 if engine.core.probed.feed == "batched" else gap)
        assert branch.sources == [f"re-fed {gap}"]


@pytest.mark.parametrize("family", families.RECURRENT)
def test_recurrent_families_come_back_to_a_leaf_at_once(
    family: str, engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of(family)
    main = truth.run(engine, PROMPT, 33)
    engine.describe([*main.ids, 70])
    passes.clear()

    back = truth.run(engine, main.ids, 1)

    assert passes == [(44, 1)]
    assert back.sources == ["fork"]


@pytest.mark.parametrize("family", [*families.CROPPABLE, *families.RECURRENT])
def test_the_end_of_a_stream_goes_on_by_one_token(
    family: str, engine_of: EngineOf, passes: Passes
) -> None:
    engine = engine_of(family)
    main = truth.run(engine, PROMPT, 25)
    passes.clear()

    more = truth.run(engine, main.ids, 2)

    assert [count for _, count in passes] == [1, 1]
    assert more.sources == ["step", "step"]


def test_questions_between_two_tokens_leave_the_stream_alone(engine_of: EngineOf) -> None:
    for family in ("llama", "qwen3_next", "mamba"):
        expected = truth.run(engine_of(family), PROMPT, 40).new
        engine = engine_of(family)
        request = StreamRequest(tuple(PROMPT), truth.GREEDY, 40, ignore_eos=True)
        new: list[int] = []
        for event in engine.stream(request, Control()):
            if isinstance(event, DrawnToken):
                new.append(event.standing.token)
                engine.describe([*PROMPT, *new[: len(new) // 2], 17])
                list(engine.score([*PROMPT, *new], len(PROMPT), Control()))
        assert new == expected


def test_two_streams_on_one_leaf_do_not_meet(engine_of: EngineOf) -> None:
    engine = engine_of()
    expected = truth.run(engine_of(), PROMPT, 12).new
    request = StreamRequest(tuple(PROMPT), truth.GREEDY, 12, ignore_eos=True)
    first, second = engine.stream(request, Control()), engine.stream(request, Control())

    pairs = list(zip(first, second, strict=True))

    for stream in zip(*pairs, strict=True):
        assert [e.standing.token for e in stream if isinstance(e, DrawnToken)] == expected


def test_a_full_store_drops_the_oldest_leaf_first(engine_of: EngineOf, passes: Passes) -> None:
    engine = engine_of()
    first = truth.run(engine, PROMPT, 20)
    engine.core.leaves.limit = int(engine.core.leaves.bytes * 2.5)
    others = [truth.run(engine, [token, *PROMPT], 20) for token in (60, 61)]
    assert len(engine.core.leaves) == 2
    forget_rows(engine)
    passes.clear()

    truth.run(engine, others[0].ids, 1)
    assert passes == [(32, 1)]
    truth.run(engine, first.ids, 1)

    assert passes[1:] == [(0, 32)]


def test_scoring_does_not_evict_the_live_leaf(engine_of: EngineOf) -> None:
    engine = engine_of()
    main = truth.run(engine, PROMPT, 30)
    engine.core.leaves.limit = 1
    held = list(engine.core.leaves)

    list(engine.score(main.ids, 1, Control()))
    list(engine.score([60, *main.ids], 5, Control()))

    assert list(engine.core.leaves) == held


def test_snapshots_are_thinned_to_their_share(engine_of: EngineOf) -> None:
    engine = engine_of("mamba")
    snapshot_bytes = kv.snapshot(three_tokens(engine), 1).bytes
    engine.core.leaves.limit = snapshot_bytes * 16
    main = truth.run(engine, PROMPT, 140)
    for _ in range(3):
        main = truth.run(engine, main.ids[:150], 1)

    (leaf, *_) = engine.core.leaves

    assert 1 <= len(leaf.snapshots) <= 3


def three_tokens(engine: LocalEngine) -> kv.DynamicCache:
    cache = kv.new_cache(engine.core.forward.model)
    engine.core.forward([1, 2, 3], 0, cache)
    return cache


def test_a_fork_shares_memory_and_leaves_the_original(engine_of: EngineOf) -> None:
    engine = engine_of()
    cache = three_tokens(engine)
    before = [layer.keys.clone() for layer in cache.layers]

    twin = kv.fork(cache, 2)
    shares = twin.layers[0].keys.data_ptr() == cache.layers[0].keys.data_ptr()
    engine.core.forward([9], 2, twin)

    assert shares
    assert twin.get_seq_length() == 3
    for layer, keys in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys)


def test_forks_of_one_length_do_not_write_over_each_other(engine_of: EngineOf) -> None:
    engine = engine_of()
    cache = three_tokens(engine)
    twins = [kv.fork(cache, 3) for _ in range(3)]
    tokens = (10, 20, 30)

    for token, twin in zip(tokens, twins, strict=True):
        engine.core.forward([token], 3, twin)
    after = [engine.core.forward([5], 4, twin) for twin in twins]

    shared = [twin.layers[0].keys.data_ptr() == cache.layers[0].keys.data_ptr() for twin in twins]
    assert shared == [True, False, False]
    for token, logits in zip(tokens, after, strict=True):
        alone = engine.core.forward([1, 2, 3, token, 5], 0, None)
        assert torch.allclose(logits, alone, atol=1e-4)


def test_a_failed_pass_leaves_no_half_fed_cache(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of()
    expected = truth.run(engine_of(), PROMPT, 10).new
    layer = engine.core.forward.model.model.layers[1]
    honest, calls = layer.forward, []

    def failing(*args: object, **kwargs: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return honest(*args, **kwargs)

    monkeypatch.setattr(layer, "forward", failing)
    with pytest.raises(KeyboardInterrupt):
        truth.run(engine, PROMPT, 10)
    monkeypatch.setattr(layer, "forward", honest)

    assert truth.run(engine, PROMPT, 10).new == expected


class TestProbe:
    @pytest.mark.parametrize("family", families.UNFORKABLE)
    def test_a_family_that_cannot_fork_is_run_whole(self, family: str, engine_of: EngineOf) -> None:
        info = engine_of(family).info

        assert info.feed == "whole"
        assert info.cache.startswith("none")
        assert any("no KV cache is used" in notice for notice in info.notices)

    def test_states_that_are_not_cloned_are_seen(
        self, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kv, "_frozen", lambda layer: layer)
        monkeypatch.setattr(kv, "_cloned", lambda value: value)

        engine = engine_of("mamba")

        assert engine.info.feed == "whole"
        assert any("no KV cache is used" in notice for notice in engine.info.notices)

    def test_a_family_that_counts_positions_in_its_own_way_is_run_whole(
        self, engine_of: EngineOf
    ) -> None:
        engine = engine_of("roberta")

        assert engine.info.feed == "whole"
        assert truth.run(engine, PROMPT, 2).sources == ["prefill", "re-fed 13"]

    def test_a_family_that_looks_ahead_is_refused(self, engine_of: EngineOf) -> None:
        with pytest.raises(ModelError, match="CpmAntForCausalLM looks ahead"):
            engine_of("cpmant")

    def test_a_family_whose_logits_are_drawn_by_chance_is_refused(
        self, engine_of: EngineOf
    ) -> None:
        with pytest.raises(ModelError, match="ReformerModelWithLMHead hashes what it attends to"):
            engine_of("reformer")

    def test_a_family_that_limits_its_time_steps_is_fed_two_tokens_a_step(
        self, engine_of: EngineOf, passes: Passes
    ) -> None:
        engine = engine_of("nemotron_h")
        assert "each step feeds the token before it again" in engine.info.notices[0]
        assert "each step feeds two tokens" in engine.info.cache
        passes.clear()

        main = truth.run(engine, PROMPT, 60)

        assert passes == [(0, 12), (0, 13), *((start, 2) for start in range(12, 70))]
        assert main.sources == ["prefill", "re-fed 13", *["re-fed 2"] * 58]
        (leaf,) = engine.core.leaves
        assert [s.length for s in leaf.snapshots] == [32, 64, 70, 71]
        forget_rows(engine)
        assert truth.run(engine, main.ids[:50], 2).sources == ["re-fed 18", "re-fed 19"]

    def test_a_whole_model_still_tells_the_truth(
        self, engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prefill, "_LOGIT_BYTES", 4 * families.ROWS * 7)
        engine = engine_of("llama")
        engine.core.probed = replace(engine.core.probed, feed="whole", croppable=False)

        run = truth.run(engine, PROMPT, 8, score_prompt=True, describe_end=True)
        later = truth.run(engine, [*run.ids[:15], 60], 3)

        assert len(engine.core.leaves) == 0
        said = run.said + later.said
        assert truth.worst_error(engine.core.forward.model, said) <= families.tolerance("llama")

    def test_the_families_are_fed_as_known(self, engine_of: EngineOf) -> None:
        found = {family: engine_of(family).info.feed for family in families.FAMILIES}

        assert found == {f: "stepwise" if f == "mamba" else "batched" for f in families.FAMILIES}
        assert engine_of("llama").info.notices == ()
        assert "one by one" in engine_of("mamba").info.notices[0]


@pytest.mark.parametrize("family", ["llama", "gemma3", "qwen3_next"])
def test_what_is_kept_stays_below_its_limit_and_what_going_back_costs_is_told(
    family: str,
    model_of: Callable[[str], hf.PreTrainedModel],
    passes: Passes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back = list[None]()
    monkeypatch.setattr(core, "give_back_free_memory", lambda: given_back.append(None))
    first = LocalEngine(families.loaded(model_of(family)), kv_bytes=10**9)
    truth.run(first, PROMPT, 30)
    limit = 8 * first.core.leaves.bytes
    assert not given_back
    engine = LocalEngine(families.loaded(model_of(family)), kv_bytes=limit)
    assert engine.info.kv_limit == limit
    paths = []
    for token in range(20, 50):
        paths.append(truth.run(engine, [token, *PROMPT], 30).ids)
        held = engine.held(paths[-1])
        assert held.bytes <= held.limit == limit
    assert 3 <= held.paths < 9
    assert len(given_back) >= len(paths) - 9, "with each that was dropped"
    assert held.bytes > limit / 2

    forget_rows(engine)
    told = [engine.held(path[:-1]).tokens for path in paths]
    assert told[0] == 0
    assert told[-1] >= 32
    for path, tokens in ((paths[-1], told[-1]), (paths[0], told[0])):
        forget_rows(engine)
        passes.clear()
        truth.run(engine, path[:-1], 0, describe_end=True)
        assert sum(count for _, count in passes) == len(path) - 1 - tokens


KEPT = 2 * 2 * 32 * 8 * 4
"""Bytes of the keys and values of two layers with room for 65 positions of 8 numbers."""


def feed(cache: kv.DynamicCache, count: int) -> None:
    """Append so many positions to each layer."""
    for layer in cache.layers:
        layer.update(torch.zeros(1, 1, count, 8), torch.zeros(1, 1, count, 8))


def planted(ids: Sequence[int]) -> Leaf:
    """A leaf whose layers hold these tokens in `KEPT` bytes."""
    cache = kv.DynamicCache()
    cache.layers = [kv.GrowingLayer(), kv.GrowingLayer()]
    feed(cache, 1)
    feed(cache, len(ids) - 1)
    return Leaf(cache, array("I", ids))


class TestStores:
    def test_a_path_key_depends_on_all_ids(self) -> None:
        path = Path([1, 2])
        path.append(3)

        assert path.key == Path([1, 2, 3]).key
        assert path.key != Path([1, 3, 2]).key
        assert len(path) == 3

    def test_the_common_prefix_is_found(self) -> None:
        leaf = Leaf(None, array("I", [1, 2, 3]))  # type: ignore[arg-type]

        assert [leaf.common(array("I", ids)) for ids in ([], [1, 9], [1, 2, 3, 4], [9])] == [
            0,
            1,
            3,
            0,
        ]

    def test_rows_beyond_the_limit_are_dropped_oldest_first(self) -> None:
        rows = RowStore(limit=3 * 400)
        row = summarise(torch.zeros(100), "test")
        for key in (b"a", b"b", b"c"):
            rows.put(key, row)
        rows.get(b"a")

        rows.put(b"d", row)

        assert rows.get(b"b") is None
        assert rows.get(b"a").logits.tolist() == row.logits.tolist()
        assert rows.seen(b"b")
        assert not rows.seen(b"z")

    def test_a_row_keeps_nothing_of_the_chunk_that_it_comes_from(self) -> None:
        chunk = torch.zeros(50, 100)
        rows = RowStore(limit=3 * 400)

        rows.put(b"a", summarise(chunk[-1], "test"))

        held = rows.get(b"a").logits
        assert held.base is None
        assert held.nbytes == rows.bytes == 400

    def test_rows_count_what_they_hold_and_forget_whom_they_saw_long_ago(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kv_store, "SEEN", 5)
        rows = RowStore(limit=3 * 400)
        for number in range(9):
            rows.put(bytes([number]), summarise(torch.zeros(100), "test"))

        assert (len(rows), rows.bytes) == (3, 3 * 400)
        assert [rows.seen(bytes([n])) for n in range(9)] == [*[False] * 4, *[True] * 5]

    def test_leaves_are_dropped_oldest_first_when_their_bytes_exceed_the_limit(self) -> None:
        store = LeafStore(3 * KEPT)
        leaves = [planted([n, *range(9)]) for n in range(5)]

        for leaf in leaves:
            store.put(leaf)

        assert list(store) == leaves[2:]
        assert store.bytes == 3 * KEPT

    def test_what_forks_share_counts_once_and_is_free_when_the_last_is_gone(self) -> None:
        base = planted(range(10))
        forks = [Leaf(kv.fork(base.cache, 5), array("I", [*range(5), 50 + n])) for n in range(6)]
        store = LeafStore(2 * KEPT + 1000)

        for leaf in (base, *forks):
            store.put(leaf)
        assert len(store) == 7
        assert store.bytes == KEPT, "all of them look at one buffer"

        grown = Leaf(kv.fork(base.cache, 5), array("I", [*range(5), 99]))
        feed(grown.cache, 1)
        store.put(grown)
        assert len(store) == 8
        assert store.bytes == KEPT + grown.bytes, "the one that went on copied"

        others = [planted([7, n]) for n in range(2)]
        for leaf in others:
            store.put(leaf)
        assert list(store) == others
        assert store.bytes == 2 * KEPT

    def test_a_busy_leaf_and_the_newest_stay_whatever_the_limit(self) -> None:
        store = LeafStore(KEPT // 2)
        busy, idle, last = (planted([n, 1]) for n in range(3))
        busy.busy = True

        for leaf in (busy, idle, last):
            store.put(leaf)

        assert list(store) == [busy, last]

    def test_a_leaf_replaces_those_that_it_covers(self) -> None:
        store = LeafStore(10**9)
        cache = kv.DynamicCache()
        short, other, long = (Leaf(cache, array("I", ids)) for ids in ([1, 2], [1, 3], [1, 2, 3]))

        for leaf in (short, other, long):
            store.put(leaf)

        assert list(store) == [other, long]


def test_a_context_too_short_to_probe_needs_no_cache() -> None:
    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=16)
    engine = LocalEngine(families.loaded(hf.GPT2LMHeadModel(config).eval(), context=16))
    assert engine.core.probed.feed == "whole"
    assert "too short" in engine.core.probed.notice
    assert engine.describe([1, 2, 3]).vocabulary == 96
