"""What is counted of many continuations, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.lab.continuations import (
    LEAST_REPEATS,
    Continuation,
    curve,
    distinct,
    loop,
    summarise,
)


def run(*ids: int, logprob: float = -1.0, ended: str = "length") -> Continuation:
    return Continuation(0, ids, (logprob,) * len(ids), (2.0,) * len(ids), ended)


def test_loops_have_a_period_and_an_onset() -> None:
    assert loop([1, 2, 3, 4, 5]) is None
    assert loop([9, 8, 1, 2, 1, 2, 1, 2]) == (2, 2)
    assert loop([7, 7, 7]) == (1, 0)
    assert loop([1, 2, 1, 2]) is None, "twice is no loop"
    assert loop([5, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]) == (3, 1)


@given(st.lists(st.integers(0, 2), max_size=40))
def test_a_loop_is_what_it_says(ids: list[int]) -> None:
    found = loop(ids)
    if found is None:
        for period in range(1, len(ids) // LEAST_REPEATS + 1):
            tail = ids[-LEAST_REPEATS * period :]
            assert any(tail[i] != tail[i + period] for i in range(len(tail) - period))
    else:
        tail = ids[found.onset :]
        assert len(tail) >= LEAST_REPEATS * found.period
        assert all(tail[i] == tail[i + found.period] for i in range(len(tail) - found.period))


def test_distinct_counts_grams_over_all_texts() -> None:
    assert distinct([[1, 2, 1], [1, 2]], 1) == 2 / 5
    assert distinct([[1, 2, 1], [1, 2]], 2) == 2 / 3
    assert distinct([[1]], 2) is None


def test_a_curve_is_the_mean_of_those_that_got_so_far() -> None:
    assert curve([[1.0, 3.0], [2.0]]) == [1.5, 3.0]
    assert curve([]) == []


def test_the_summary_of_some_runs() -> None:
    runs = [run(1, 2, 3), run(1, 2, 3), run(4, 4, 4, logprob=-2.0, ended="eos")]
    found = summarise(runs)
    assert found.runs == 3
    assert found.unique == pytest.approx(2 / 3)
    assert found.mean_logprob == pytest.approx((-6 - 6) / 9)
    assert found.surprisal_curve == pytest.approx([4 / 3] * 3)
    assert found.entropy_curve == pytest.approx([2.0] * 3)
    assert (found.loops, found.loop_period, found.loop_onset) == (pytest.approx(1 / 3), 1, 0)
    assert found.ended_at_eos == pytest.approx(1 / 3)


def test_entropies_that_are_not_known_make_no_curve() -> None:
    whole, half, none = (
        Continuation(n, (4, 5), (-1.0, -2.0), entropies, "length")
        for n, entropies in enumerate([(2.0, 3.0), (9.0, None), (None, None)])
    )
    assert summarise([whole, half, none]).entropy_curve == (2.0, 3.0)
    assert summarise([half, none]).entropy_curve == ()
    assert summarise([half, none]).surprisal_curve == (1.0, 2.0)


def test_nothing_is_known_of_no_runs() -> None:
    found = summarise([])
    assert (found.unique, found.mean_logprob, found.loops, found.ended_at_eos) == (None,) * 4
    assert not math.isnan(found.runs)
