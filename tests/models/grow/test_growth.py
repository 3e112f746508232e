"""A tree that grows, against an enumeration of all texts of a small model."""

import math
import random
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_engine import FakeEngine
from support.fake_vocabulary import BOS
from support.growing import Table, Text, best_first, every_text, grown, steps

from tokexplore.models.api.engine import StreamRequest
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.errors import UsageError
from tokexplore.models.grow import watch as watching
from tokexplore.models.grow.budget import Budget
from tokexplore.models.grow.growth import Due, Growth
from tokexplore.models.grow.watch import Watch
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

PROMPT = (1, 2)
WORDS = [b"</s>", b"<eot>", b"a", b"b", b" c", b"\xe4", b"\xbd\xa0", b"ab", b"\n", b"d", b"e", b"f"]
END, TURN = 0, 1
ALL = 1e-12


def vocabulary(rows: int) -> Vocabulary:
    return Vocabulary.pack(WORDS[:rows], (END, TURN), rows)


def info(rows: int, context: int = 100) -> ModelInfo:
    return msgspec.structs.replace(
        FakeEngine().info, vocabulary=rows, context=context, eos_ids=(END,)
    )


def growth_of(rows: int, budget: Budget, *, context: int = 100, **more: object) -> Growth:
    watches = [Watch(words) for words in more.pop("watch", ())]  # type: ignore[attr-defined]
    request = StreamRequest(
        PROMPT, SamplingSettings(), 0, prompt_length=2, stops_from=2, turn_ids=(TURN,), **more,
    )  # type: ignore[arg-type]  # fmt: skip
    return Growth(request, "model", info(rows, context), vocabulary(rows), budget, watches)


def over(ids: tuple[int, ...]) -> bool:
    return ids[-1] in (END, TURN)


def spoken(ids: Sequence[int]) -> str:
    return b"".join(WORDS[t] for t in ids if t > TURN).decode("utf-8", "surrogateescape")


def mass(texts: list[Text], *, is_over: bool) -> float:
    return math.fsum(text.mass for text in texts if text.over == is_over)


def total(growth: Growth) -> float:
    return math.fsum((growth.covered, growth.open, growth.cut))


@pytest.mark.parametrize(("rows", "depth", "zeros"), [(8, 3, False), (12, 3, True), (5, 5, True)])
def test_all_that_is_seen_is_what_an_enumeration_says(rows: int, depth: int, zeros: bool) -> None:
    table = Table(rows, seed=rows, zeros=zeros)
    growth = grown(growth_of(rows, Budget(depth=depth)), table)
    texts = every_text(table.shares, PROMPT, depth, over)

    assert growth.open == pytest.approx(0, abs=ALL)
    assert growth.covered == pytest.approx(mass(texts, is_over=True), abs=ALL)
    assert growth.cut == pytest.approx(mass(texts, is_over=False), abs=ALL)
    leaves = {tuple(leaf.tokens()): leaf.mass for leaf in growth.leaves()}
    assert leaves == pytest.approx({text.ids: text.mass for text in texts}, abs=1e-15)
    assert growth.finished
    assert len(table.asked) == len(set(table.asked)) == len(growth.nodes)


@pytest.mark.parametrize("listed", [1, 3, 256])
@pytest.mark.parametrize("most", [1, 4, 8])
def test_the_mass_is_told_apart_at_every_moment(listed: int, most: int) -> None:
    growth = growth_of(12, Budget(depth=4, least=1e-4), watch=["ab"])
    assert (growth.covered, growth.open, growth.cut) == (0, 1, 0)
    before = 0.0
    for _ in steps(growth, Table(12, 3, listed=listed), most):
        assert total(growth) == pytest.approx(1, abs=ALL)
        assert growth.covered >= before
        before = growth.covered
        known = math.fsum(leaf.mass for leaf in growth.leaves())
        rest = math.fsum(node.mass * node.rest for node in growth.nodes)
        assert known + rest == pytest.approx(1, abs=ALL)
    assert growth.open < 1e-3


def test_it_grows_where_the_most_is_open() -> None:
    table = Table(12, seed=7)
    growth = grown(growth_of(12, Budget(tokens=60)), table, most=1)
    assert [path[2:] for path in table.asked] == best_first(
        table.shares, PROMPT, 60, frozenset((END, TURN))
    )
    assert growth.tokens_left() == 0
    assert growth.finished


@pytest.mark.parametrize("listed", [1, 2, 5])
def test_tokens_that_were_not_listed_are_asked_for_when_it_is_their_turn(listed: int) -> None:
    all_told, few_told = Table(12, seed=7), Table(12, seed=7, listed=listed)
    grown(growth_of(12, Budget(tokens=60)), all_told, most=1)
    growth = grown(growth_of(12, Budget(tokens=60)), few_told, most=1)
    assert list(dict.fromkeys(few_told.asked)) == all_told.asked
    assert len(growth.nodes) == 60


@pytest.mark.parametrize("listed", [1, 3])
@pytest.mark.parametrize("drift", [0.01, 1.0])
@pytest.mark.parametrize("by_depth", [True, False])
def test_pages_of_a_row_that_was_read_anew_are_pages_of_the_first_reading(
    listed: int, drift: float, by_depth: bool
) -> None:
    table = Table(12, seed=7, listed=listed, drift=drift)
    growth = growth_of(12, Budget(depth=3) if by_depth else Budget(tokens=200), watch=["ab"])
    pages = 0
    for due in steps(growth, table, 4):
        pages += bool(due.start)
        assert pages < 200 * 12  # one that holds nothing new is not asked for again
        assert total(growth) == pytest.approx(1, abs=ALL)
        for node in due.nodes:
            assert len(node.ids) == len(set(node.ids)) == len(node.shares) == len(node.fates)
            assert math.fsum((*node.shares, node.rest)) == pytest.approx(1, abs=ALL)
            assert node.shares == sorted(node.shares, reverse=True)
            shares = table.shares(growth.ids(node))
            first = np.argsort(-shares, kind="stable")[:listed]
            assert node.ids[:listed] == first.tolist()
            assert node.shares[:listed] == shares[first].tolist()
    assert pages > 20
    missed = [node for node in growth.nodes if not node.more and len(node.ids) < 12]
    assert missed or drift < 1
    assert all(node.rest > 0 for node in missed)
    masses = [leaf.mass for leaf in growth.leaves()]
    assert masses == sorted(masses, reverse=True)


def test_the_rest_stays_open_where_its_page_is_empty() -> None:
    """Filters of the sampler can keep less of a row that was read anew."""
    growth, table = growth_of(12, Budget(tokens=9)), Table(12, seed=7, listed=3)
    growth.take_in(growth.due(1), table.describe_all([PROMPT]))
    empty = NextTokens(b"", b"", 0.0, more=False)
    rest = growth.root.rest
    for due in iter(growth.due, Due([])):
        assert total(growth) == pytest.approx(1, abs=ALL)
        told = table.describe_all([growth.ids(node) for node in due.nodes])
        growth.take_in(due, [empty] if due.start else told)
    assert total(growth) == pytest.approx(1, abs=ALL)
    assert (growth.root.rest, growth.root.more) == (rest, False)
    assert len(growth.nodes) == 9


def test_a_batch_is_of_the_most_probable_open_paths() -> None:
    growth, table = growth_of(12, Budget(tokens=100)), Table(12, seed=2)
    next(steps(growth, table))
    for _ in range(12):
        likely = [leaf for leaf in growth.leaves() if leaf.fate == "open"][:8]
        assert growth.largest == likely[0].mass
        due = growth.due(8)
        assert [node.tokens() for node in due.nodes] == [leaf.tokens() for leaf in likely]
        assert growth.largest == likely[0].mass
        growth.take_in(due, table.describe_all([growth.ids(node) for node in due.nodes]))


def test_leaves_come_by_falling_probability() -> None:
    growth = grown(growth_of(12, Budget(tokens=40)), Table(12, seed=5))
    masses = [leaf.mass for leaf in growth.leaves()]
    assert masses == sorted(masses, reverse=True)
    assert len(masses) == len({tuple(leaf.tokens()) for leaf in growth.leaves()})


def test_texts_that_are_over_are_met_in_their_turn() -> None:
    growth = growth_of(8, Budget(tokens=50))
    for _ in steps(growth, Table(8, seed=4), 1):
        assert all(leaf.mass >= growth.largest - ALL for leaf in growth.reached)
        met = {tuple(leaf.tokens()) for leaf in growth.reached}
        more = [leaf for leaf in growth.leaves() if leaf.mass > growth.largest]
        assert met == {tuple(leaf.tokens()) for leaf in more if leaf.fate != "cut"}
    assert {leaf.fate for leaf in growth.reached} == {"eos", "end of turn"}


def test_paths_under_the_least_mass_are_cut_off() -> None:
    table = Table(12, seed=9)
    growth = grown(growth_of(12, Budget(least=0.01)), table)
    assert all(node.mass >= 0.01 for node in growth.nodes)
    assert all(leaf.mass < 0.01 for leaf in growth.leaves() if leaf.fate == "cut")
    assert not any(leaf.fate == "open" for leaf in growth.leaves())
    assert growth.cut > 0
    assert total(growth) == pytest.approx(1, abs=ALL)


def test_no_path_outgrows_the_context() -> None:
    table = Table(6, seed=9)
    growth = grown(growth_of(6, Budget(), context=5), table)
    assert max(map(len, table.asked)) == 4
    assert growth.covered + growth.cut == pytest.approx(1, abs=ALL)


def test_a_stop_text_ends_a_path_also_across_tokens() -> None:
    table = Table(8, seed=1)
    growth = grown(growth_of(8, Budget(depth=4), stop_texts=("aab",)), table)

    def ends(ids: tuple[int, ...]) -> bool:
        said = b"".join(WORDS[t] for t in ids)
        return over(ids) or b"aab" in said

    texts = every_text(table.shares, PROMPT, 4, ends)
    assert growth.covered == pytest.approx(mass(texts, is_over=True), abs=ALL)
    assert any(leaf.fate == "stop" for leaf in growth.leaves())


def test_a_larger_budget_goes_on_where_it_was() -> None:
    at_once = grown(growth_of(12, Budget(depth=3, tokens=80)), Table(12, seed=6), 1)
    table = Table(12, seed=6)
    growth = grown(growth_of(12, Budget(depth=2, tokens=7, least=0.02)), table, 1)
    for budget in (
        Budget(depth=2, tokens=11),
        Budget(depth=3, tokens=11),
        Budget(depth=3, tokens=80),
    ):
        growth.change_budget(budget)
        assert total(growth) == pytest.approx(1, abs=ALL)
        grown(growth, table, 1)
        assert total(growth) == pytest.approx(1, abs=ALL)
    assert len(table.asked) == len(set(table.asked))
    assert growth.covered == pytest.approx(at_once.covered, abs=0.05)
    unlimited = Budget(depth=3)
    for one in (growth, at_once):
        one.change_budget(unlimited)
        grown(one, Table(12, seed=6))
    assert growth.covered == pytest.approx(at_once.covered, abs=ALL)
    assert {tuple(leaf.tokens()) for leaf in growth.leaves()} == {
        tuple(leaf.tokens()) for leaf in at_once.leaves()
    }


def test_what_is_due_stays_due_until_it_comes_and_a_new_budget_may_drop_it() -> None:
    growth, table = growth_of(12, Budget(tokens=100)), Table(12, seed=6)
    next(steps(growth, table))
    due = growth.due(8)
    assert growth.due(8) is due
    assert len(due.nodes) == 8
    growth.change_budget(Budget(tokens=100, depth=1))
    assert growth.finished
    assert growth.open == pytest.approx(0, abs=ALL)
    growth.change_budget(Budget(tokens=100))
    again = growth.due(8)
    assert [node.tokens() for node in again.nodes] == [node.tokens() for node in due.nodes]
    assert total(growth) == pytest.approx(1, abs=ALL)


TEXTS = [
    "a",
    "ab",
    "ba",
    " c",
    "aba",
    "你",
    "\n",
    "/^a/",
    "/b$/",
    r"/a\b/",
    "/a(?!b)/",
    "/(ab)+c?/",
]


@pytest.mark.parametrize("words", TEXTS)
@pytest.mark.parametrize("listed", [2, 256])
def test_the_bounds_of_a_watched_text_hold_at_every_moment(words: str, listed: int) -> None:
    table, watch, depth = Table(9, seed=11, listed=listed), Watch(words), 4
    texts = every_text(table.shares, PROMPT, depth, over)
    holding = math.fsum(t.mass for t in texts if t.over and watch.holds(_text(t.ids)))
    growth = growth_of(9, Budget(depth=depth), watch=[words])
    (watched,) = growth.watches
    assert watched.bounds == (0, 1)
    low, high = 0.0, 1.0
    # Of texts that are not over at this depth it is open whether they will hold it: all that can be
    # said of them is what surely is so.
    surely = math.fsum(
        t.mass for t in texts if not t.over and watch.is_settled(_text(t.ids, whole=False))
    )
    unknown = math.fsum(
        t.mass for t in texts if not t.over and not watch.is_settled(_text(t.ids, whole=False))
    )
    for _ in steps(growth, table, 3):
        bounds = watched.bounds
        assert low - ALL <= bounds.low <= holding + surely + ALL
        assert holding + surely - ALL <= bounds.high <= high + ALL
        low, high = bounds
    if listed > 9:
        assert high - low == pytest.approx(unknown, abs=ALL)
        assert low == pytest.approx(holding + surely, abs=ALL)


def _text(ids: Sequence[int], *, whole: bool = True) -> str:
    from tokexplore.models.display import running

    return "".join(running([WORDS[t] for t in ids if t > TURN], complete=whole))


@pytest.mark.parametrize("words", TEXTS)
def test_bounds_meet_where_all_texts_are_over(words: str) -> None:
    """A model that always ends by the fourth token: nothing is left to be unknown."""

    class Ending(Table):
        def shares(self, path: tuple[int, ...]) -> np.ndarray:
            if len(path) == len(PROMPT) + 3:
                return np.eye(self.rows)[END]
            return super().shares(path)

    table, watch = Ending(9, seed=11), Watch(words)
    growth = grown(growth_of(9, Budget(depth=9), watch=[words]), table)
    texts = every_text(table.shares, PROMPT, 9, over)
    truth = math.fsum(t.mass for t in texts if watch.holds(_text(t.ids)))
    assert growth.covered == pytest.approx(1, abs=ALL)
    assert 0 < truth < 1
    assert growth.watches[0].bounds == pytest.approx((truth, truth), abs=ALL)


@pytest.mark.parametrize("words", TEXTS)
def test_a_text_that_is_watched_later_has_the_same_bounds(words: str) -> None:
    table, other = Table(9, seed=11), Table(9, seed=11)
    first, later = (
        growth_of(9, Budget(tokens=30), watch=[words, "d"]),
        growth_of(9, Budget(tokens=30)),
    )
    for count, _ in enumerate(steps(first, table, 3)):
        next(steps(later, other, 3))
        if count == 3:
            later.due(3)
            later.watch(Watch(words))
            later.watch(Watch("d"))
        if count >= 3:
            for one, two in zip(first.watches, later.watches, strict=True):
                assert one.bounds == pytest.approx(two.bounds, abs=ALL)


SLOW = r"/^(.|..)+(.|..)+(.|..)+\d/"
"""Every text is tried in each way to cut it into pieces."""


def test_an_expression_that_takes_too_long_is_named_and_the_rest_grows_as_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "ALLOWED", 0.002)
    monkeypatch.setattr(watching, "ALLOWED_EACH", 1e-6)
    plain = grown(growth_of(12, Budget(200), watch=["a", "e"]), Table(12, seed=5))
    growth = grown(growth_of(12, Budget(200), watch=["a", SLOW, "e"]), Table(12, seed=5))
    assert [watch.words for watch in growth.watches] == ["a", "e"]
    assert [w.bounds for w in growth.watches] == [w.bounds for w in plain.watches]
    assert (growth.covered, growth.open, growth.cut) == (plain.covered, plain.open, plain.cut)
    (said,) = growth.refused
    assert said.startswith(f"{SLOW} takes too long to match")
    with pytest.raises(UsageError, match="takes too long"):
        growth.watch(Watch(SLOW))
    assert [watch.words for watch in growth.watches] == ["a", "e"]
    growth.watch(Watch("i"))
    plain.watch(Watch("i"))
    assert growth.watches[-1].bounds == plain.watches[-1].bounds


@pytest.mark.parametrize(
    "pattern",
    ["a{e}", "a{2}b", "[{e]", r"\{e\}", "a{1<e}", "a{i<=1}", "a{,2}b", r"\N{EM DASH}", r"\w{3}$"],
)
def test_an_expression_means_what_it_means_to_re(pattern: str) -> None:
    texts = ("a", "ab", "aab", "{", "e", "a{e}", "{e}", "a{1<e}", "—", "a{i<=1}", "é", "abc\n", "")
    watch = Watch(f"/{pattern}/")
    assert [watch.holds(text) for text in texts] == [
        re.search(pattern, text) is not None for text in texts
    ]


def test_a_sampler_that_cuts_has_its_own_tree() -> None:
    engine = FakeEngine()
    settings = SamplingSettings(temperature=0.7, top_k=5)
    request = StreamRequest((BOS, 300), settings, 0, prompt_length=2, stops_from=2)
    growth = Growth(request, "sampler", engine.info, engine.vocabulary, Budget(depth=3))
    grown(growth, engine)

    def shares(path: tuple[int, ...]) -> np.ndarray:
        logits = engine.full(path).astype(np.float64)
        order = np.argsort(-logits, kind="stable")[:5]
        weights = np.zeros(len(logits))
        weights[order] = np.exp(logits[order] / 0.7 - logits[order[0]] / 0.7)
        return weights / weights.sum()

    texts = every_text(shares, (BOS, 300), 3, lambda ids: ids[-1] in engine.info.eos_ids)
    assert len(texts) <= 125
    assert {tuple(leaf.tokens()): leaf.mass for leaf in growth.leaves()} == pytest.approx(
        {text.ids: text.mass for text in texts}, abs=1e-9
    )
    assert growth.cut == pytest.approx(mass(texts, is_over=False), abs=1e-9)


def test_the_fake_model_in_full_to_the_second_token() -> None:
    engine = FakeEngine(sharpness=0.4)
    request = StreamRequest((BOS, 301), SamplingSettings(), 0, prompt_length=2, stops_from=2)
    growth = grown(
        Growth(request, "model", engine.info, engine.vocabulary, Budget(depth=2)), engine
    )

    def shares(path: tuple[int, ...]) -> np.ndarray:
        logits = engine.full(path).astype(np.float64)
        return np.exp(logits - np.logaddexp.reduce(logits))

    texts = every_text(shares, (BOS, 301), 2, lambda ids: ids[-1] in engine.info.eos_ids)
    assert len(growth.nodes) > 300
    assert total(growth) == pytest.approx(1, abs=1e-9)
    listed = math.fsum(leaf.mass for leaf in growth.leaves() if leaf.fate == "eos")
    assert growth.covered == pytest.approx(listed, abs=1e-12)
    unlisted = math.fsum(node.mass * node.rest for node in growth.nodes)
    truth = mass(texts, is_over=True)
    assert growth.covered <= truth + 1e-9
    assert truth <= growth.covered + unlisted + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), max_size=60), st.randoms(use_true_random=False))
def test_a_sum_is_that_of_fsum_in_any_order(numbers: list[float], shuffled: random.Random) -> None:
    from tokexplore.models.grow.exact_sum import ExactSum

    one = ExactSum()
    for number in numbers:
        one.add(number)
    assert one.value == math.fsum(numbers)
    shuffled.shuffle(numbers)
    for number in numbers:
        one.add(-number)
    assert one.value == 0
