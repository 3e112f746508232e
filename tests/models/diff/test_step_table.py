"""Compared steps come out of the table as they were put into it."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.diff.step_table import StepTable
from tokexplore.models.diff.steps import Reading, Step

count = st.integers(0, 2**32 - 1)
number = st.floats(allow_nan=False)
maybe = st.none() | number
readings = st.builds(Reading, number, count, count, maybe)
steps = st.builds(
    Step, count, count, readings, readings, maybe, maybe, maybe, maybe, st.tuples(number, number)
)


@given(st.lists(st.tuples(st.integers(0, 30), steps), max_size=20))
def test_it_is_what_a_dict_would_be(told: list[tuple[int, Step]]) -> None:
    table, wanted = StepTable(), dict[int, Step]()
    for node, step in told:
        table[node] = wanted[node] = step
    assert dict(table) == wanted
    assert table == wanted
    assert [*table] == [*wanted]
    assert (len(table), bool(table)) == (len(wanted), bool(wanted))
    assert [node in table for node in range(-2, 32)] == [node in wanted for node in range(-2, 32)]
    assert [table.get(node) for node in range(32)] == [wanted.get(node) for node in range(32)]


def test_it_takes_few_bytes_a_step_and_a_step_that_is_not_there_is_told() -> None:
    table = StepTable()
    reading = Reading(-math.inf, 3, 7, 0.5)
    for node in range(1000):
        table[node] = Step(node - 1, 5, reading, reading, 0.1, 0.2, 0.3, 0.4)
    assert sum(map(sys.getsizeof, vars(table).values())) / 1000 < 180
    with pytest.raises(KeyError):
        table[1000]
    with pytest.raises(KeyError):
        table[-1]
