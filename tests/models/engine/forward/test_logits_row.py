"""Rows of logits as distributions, standings, pages and searches."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.models.tokens import Vocabulary


def row_of(logits: np.ndarray | list[float]) -> Row:
    return logits_row.summarise(torch.tensor(np.asarray(logits, dtype=np.float32)), "test")


def ordered(logits: np.ndarray) -> np.ndarray:
    return np.lexsort((np.arange(len(logits)), -logits))


tied = st.builds(
    lambda seed, size, levels: (
        np.random.default_rng(seed).integers(-levels, levels, size).astype(np.float32) / 2
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 900),
    st.integers(1, 400),
)


@settings(max_examples=200)
@given(tied, st.integers(1, 300))
def test_candidates_come_by_falling_logit_then_rising_id(logits: np.ndarray, top: int) -> None:
    distribution = logits_row.distribution(row_of(logits), top)

    expected = ordered(logits)[:top]
    assert list(distribution.id_view) == list(expected)
    assert list(distribution.logit_view) == list(logits[expected])


@settings(max_examples=100)
@given(tied, st.data())
def test_a_standing_counts_larger_logits_and_orders_equal_ones(
    logits: np.ndarray, data: st.DataObject
) -> None:
    token = data.draw(st.integers(0, len(logits) - 1))

    standing = logits_row.standing(row_of(logits), token)

    assert standing.rank == 1 + (logits > logits[token]).sum()
    assert standing.index == list(ordered(logits)).index(token)
    assert standing.tied == ((logits == logits[token]).sum() > 1)


def test_sums_are_exact_over_a_large_vocabulary() -> None:
    logits = np.random.default_rng(1).standard_normal(151_936).astype(np.float32) * 3
    logits[::7] = -np.inf

    row = row_of(logits)

    exact = logits.astype(np.float64)
    lse = np.logaddexp.reduce(exact)
    p = np.exp(exact - lse)
    finite = p > 0
    assert row.lse == pytest.approx(lse, abs=1e-6)
    assert row.entropy == pytest.approx(-(p[finite] * (exact - lse)[finite]).sum(), abs=1e-6)


def test_candidates_without_probability_are_not_listed() -> None:
    assert list(logits_row.distribution(row_of([-math.inf, 2.0, 1.0]), 10).id_view) == [1, 2]
    distribution = logits_row.distribution(row_of([-math.inf, 1.0, -math.inf, 1.0]), 10)

    assert list(distribution.id_view) == [1, 3]
    assert distribution.entropy == pytest.approx(math.log(2))
    assert distribution.vocabulary == 4


@pytest.mark.parametrize("bad", [[1.0, math.nan], [math.inf, 0.0], [-math.inf, -math.inf]])
def test_logits_that_are_no_distribution_are_refused(bad: list[float]) -> None:
    with pytest.raises(TokexploreError, match="NaN or infinite"):
        row_of(bad)


def test_a_certain_token_has_no_entropy() -> None:
    assert row_of([1000.0, 0.0, -1000.0]).entropy == 0


def test_pages_together_are_the_whole_order() -> None:
    logits = np.random.default_rng(2).integers(0, 9, 250).astype(np.float32)
    row = row_of(logits)

    pages = [logits_row.page(row, start, 100, "stored") for start in (0, 100, 200, 300)]

    ids = np.concatenate([np.frombuffer(page.ids, np.uint32) for page in pages])
    ranks = np.concatenate([np.frombuffer(page.ranks, np.uint32) for page in pages])
    places = np.concatenate([np.frombuffer(page.indices, np.uint32) for page in pages])
    assert [len(page) for page in pages] == [100, 100, 50, 0]
    assert list(ids) == list(ordered(logits))
    assert list(places) == list(range(250))
    assert list(ranks) == [1 + (logits > logits[token]).sum() for token in ids]
    assert {page.total for page in pages} == {250}


def test_a_token_outside_the_vocabulary_is_named() -> None:
    with pytest.raises(UsageError, match="token 3 is not in the vocabulary of 3"):
        logits_row.standing(row_of([1.0, 2.0, 3.0]), 3)


WORDS = [b" King", b"king", b"ring", b" viking", b"\n", b"\xe6", b"", b" ", "é".encode()]
VOCABULARY = Vocabulary.pack(WORDS, (), len(WORDS) + 1)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("king", [0, 1, 3]),
        ("KING", [0, 1, 3]),
        (" king", [0, 1]),
        ("␣king", [0]),
        ("ing", [0, 1, 2, 3]),
        ("⏎", [4]),
        ("\n", [4]),
        ("<e6>", [5]),
        ("<id 9>", [9]),
        (" ", [0, 3, 7]),
        ("É", [8]),
        ("queen", []),
    ],
)
def test_a_search_finds_shown_and_own_text(text: str, tokens: list[int]) -> None:
    found = logits_row.Searcher(VOCABULARY).tokens(text)

    assert [token for token in found if VOCABULARY.bytes_of(token) or token >= 9] == tokens


def test_hits_come_in_candidate_order_with_true_ranks() -> None:
    row = row_of([0.5, 3, 2, 2, 1])

    hits = logits_row.found(row, [4, 3, 2], 2, "stored")

    assert list(np.frombuffer(hits.ids, np.uint32)) == [2, 3]
    assert list(np.frombuffer(hits.indices, np.uint32)) == [1, 2]
    assert list(np.frombuffer(hits.ranks, np.uint32)) == [2, 2]
    assert hits.total == 3
