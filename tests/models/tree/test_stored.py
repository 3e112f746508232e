"""What lies in memory and what in records, and the nodes after a node at one number each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.tree import stored
from tokexplore.models.tree.children import Children
from tokexplore.models.tree.stored import Stored


@given(st.data(), st.lists(st.booleans(), min_size=1, max_size=40))
def test_children_are_those_that_were_added_in_their_order(
    data: st.DataObject, steps: list[bool]
) -> None:
    children, wanted = Children(), [()]
    for chain in steps:
        newest = len(wanted) - 1
        if chain and not wanted[newest] and newest:
            nodes = range(newest + 1, newest + 4)
            children.follow(nodes)
            wanted[newest:] = [*((node,) for node in nodes), ()]
        else:
            parent = data.draw(st.integers(0, newest))
            children.add(newest + 1, parent)
            wanted[parent] += (newest + 1,)
            wanted.append(())
        assert [children[node] for node in range(len(children))] == wanted


def test_a_value_is_let_go_once_so_many_newer_ones_are_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "RECENT", 3)
    values, texts = Stored[str](), [f"{n} of them" for n in range(10)]
    for node, text in enumerate(texts):
        values.add(node, text)
    assert len(values.here) == 10, "what is not stored stays"
    for node in (5, 1, 7, 3, 9):
        values.written(node, texts[node], 100 + node)
    assert [node for node in range(10) if node not in values.here] == [1, 5]
    assert [values.record(node) for node in (5, 3, 2, 99)] == [105, 103, None, None]
    assert values.nodes == set(range(10))


def test_a_value_that_took_another_s_place_is_not_let_go_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "RECENT", 1)
    values, old, new = Stored[str](), "the old value", "the new value"
    values.add(4, old)
    values.written(4, old, 1)
    values.add(4, new)
    values.written(4, old, 2)
    assert values.record(4) is None
    values.add(5, old)
    values.written(5, old, 3)
    assert values.here == {4: new, 5: old}, "the new one is in no record yet"
    values.written(4, new, 6)
    assert values.here == {4: new}
    assert (values.record(4), values.record(5)) == (6, 3)


def test_of_several_records_of_a_node_the_last_counts() -> None:
    values = Stored[str]()
    values.lie_in(np.array([3, 1, 3]), np.array([7, 8, 9]))
    assert [values.record(node) for node in range(5)] == [None, 8, None, 9, None]
    assert values.nodes == {1, 3}
    values.lie_in(np.array([], "i8"), np.array([], "i8"))
