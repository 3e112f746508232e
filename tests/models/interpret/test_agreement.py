"""Effects of hidden stretches in reading order, and estimates held against them."""

import pytest

from tokexplore.models.interpret.agreement import Agreement, agreements, nested, total
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.models.interpret.units import Unit, UnitKind


def hidden(kind: UnitKind, start: int, end: int, effect: float = 0.0) -> Occluded:
    return Occluded(Unit(kind, start, end), (-1.0,), effect)


def test_stretches_are_in_reading_order_before_those_within() -> None:
    rounds = [
        hidden("template", 0, 1), hidden("sentence", 1, 6), hidden("sentence", 6, 8),
        hidden("word", 1, 4), hidden("word", 4, 6), hidden("token", 1, 2), hidden("token", 2, 4),
    ]  # fmt: skip
    found = nested(rounds)
    assert [(n.occluded.unit.start, n.occluded.unit.end, n.depth, n.finest) for n in found] == [
        (0, 1, 0, True), (1, 6, 0, False), (1, 4, 1, False), (1, 2, 2, True), (2, 4, 2, True),
        (4, 6, 1, True), (6, 8, 0, True),
    ]  # fmt: skip
    assert nested([]) == []


def test_an_estimate_of_a_stretch_is_the_sum_over_its_tokens() -> None:
    scores = [0.5, 0.25, -1.0, 4.0]
    assert total(Unit("word", 1, 3), scores) == -0.75


def test_agreement_is_told_by_kind_where_there_are_several() -> None:
    rounds = [
        hidden("turn", 0, 2, 1.0), hidden("template", 2, 3, 2.0),
        hidden("word", 0, 1, 3.0), hidden("word", 1, 2, -1.0), hidden("word", 2, 3, 0.0),
        hidden("token", 2, 3, 9.0),
    ]  # fmt: skip
    scores = [2.0, -3.0, -4.0]
    assert agreements(rounds, scores) == [
        Agreement("turn", 2, pytest.approx(-1.0)),  # 1 and 2 against -1 and -4
        Agreement("word", 3, pytest.approx(0.5)),  # ranks 3, 1, 2 against 3, 2, 1
    ]


def test_where_all_are_equal_there_is_no_correlation() -> None:
    rounds = [hidden("word", 0, 1, 1.0), hidden("word", 1, 2, 1.0)]
    assert agreements(rounds, [1.0, 2.0]) == [Agreement("word", 2, None)]
