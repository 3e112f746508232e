"""Spans on a path: of those that overlap the one that ends last counts."""

import pytest

from tokexplore.models.diff.spans import Side, Span
from tokexplore.models.tree.spanned import Placed, span_over, spans_along

NODES = [11, 12, 13, 14, 15, 16, 17]


def span(count: int) -> Span:
    return Span(0, 1, Side(tuple(range(count)), -1.0), Side((0,), -2.0))


SPANS = {12: span(1), 14: span(2), 16: span(1), 99: span(3)}


def test_spans_of_a_path_come_in_its_order_with_where_they_begin() -> None:
    found = spans_along(SPANS, NODES)
    assert [(placed.start, placed.stop) for placed in found] == [(1, 2), (2, 4), (5, 6)]
    assert spans_along(SPANS, NODES, 3) == found[1:], "the first may begin before what is wanted"
    assert spans_along(SPANS, NODES, 4) == found[2:]
    assert spans_along({}, NODES) == []
    assert spans_along(SPANS, NODES[:3]) == found[:1]


def test_one_that_a_later_one_overlaps_counts_no_more() -> None:
    """The text ended within a token of the second, and went on."""
    spans = {**SPANS, 15: span(2)}
    assert [(p.start, p.stop) for p in spans_along(spans, NODES)] == [(1, 2), (3, 5), (5, 6)]


@pytest.mark.parametrize("spans", [SPANS, {**SPANS, 15: span(2)}, {}])
def test_the_span_over_a_token_is_that_of_the_path(spans: dict[int, Span]) -> None:
    over: dict[int, Placed] = {}
    for placed in spans_along(spans, NODES):
        over |= dict.fromkeys(range(placed.start, placed.stop), placed)
    for index in range(len(NODES)):
        if index != 2 or 15 not in spans:  # what only the one that counts no more was over
            assert span_over(spans, NODES, index) == over.get(index)
