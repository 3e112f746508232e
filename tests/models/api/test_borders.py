"""Which lengths share their rules."""

import pytest

from tokexplore.models.api.borders import Borders


@pytest.mark.parametrize(
    ("borders", "since", "ends"),
    [
        (Borders(), [1] * 8, [8]),
        (Borders((4,)), [1, 1, 1, 1, 5, 5, 5, 5], [4, 8]),
        (Borders((2, 4)), [1, 1, 3, 3, 5, 5, 5, 5], [2, 4, 8]),
        (Borders((), 5), [1, 1, 1, 1, 1, 6, 7, 8], [5, 6, 7, 8]),
        (Borders((3,), 6), [1, 1, 1, 4, 4, 4, 7, 8], [3, 6, 7, 8]),
    ],
)
def test_lengths_between_two_borders_share_their_rules(
    borders: Borders, since: list[int], ends: list[int]
) -> None:
    assert [borders.since(n) for n in range(1, 9)] == since
    assert list(borders.ends(1, 8)) == ends
    assert [borders.alone(n) for n in range(1, 9)] == [0 < borders.every < n for n in range(1, 9)]
    for first in range(1, 9):
        told = list(borders.ends(first, 8))
        assert told == [last for last in ends if last >= first]
        assert not borders.between(first, told[0])
    assert bool(borders.words()) == bool(borders.lengths)
