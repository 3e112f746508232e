"""Rank correlations whose values are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.interpret.rank_correlation import spearman


@pytest.mark.parametrize(
    ("first", "second", "rho"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 400], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([-0.5, 7], [2, 3], 1.0),
        # Without ties it is 1 - 6 * sum(d^2) / (n (n^2 - 1)): here d^2 adds up to 8.
        ([1, 2, 3, 4, 5], [2, 1, 4, 5, 3], 1 - 6 * 8 / 120),
        # IQ and hours of television: the table of many a textbook.
        (
            [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
            [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
            -29 / 165,
        ),
        # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4.
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / (4.5 * 5) ** 0.5),
    ],
)
def test_known_values(first: list[float], second: list[float], rho: float) -> None:
    assert spearman(first, second) == pytest.approx(rho)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [2]), ([1, 1], [1, 2])])
def test_what_has_no_order_has_no_correlation(first: list[float], second: list[float]) -> None:
    assert spearman(first, second) is None


def test_lists_of_two_lengths_have_none() -> None:
    with pytest.raises(ValueError, match="shorter"):
        spearman([1, 2, 3], [1, 2])


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12))
def test_it_is_the_correlation_of_the_mean_ranks(pairs: list[tuple[int, int]]) -> None:
    def ranks(values: list[int]) -> list[float]:
        return [
            sum(other < value for other in values) + (sum(o == value for o in values) + 1) / 2
            for value in values
        ]

    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    found = spearman(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        wanted = np.corrcoef(ranks(one), ranks(other))[0, 1]
        assert found == pytest.approx(wanted, abs=1e-12)
