"""Rounds of hidden stretches: the coarse ones first, then what is inside those that mattered."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from support.fake_engine import FakeEngine
from support.fake_interpreter import FakeInterpreter

from tokexplore.models.api.engine import Control
from tokexplore.models.interpret.occlusion import (
    LEAST,
    SHARE,
    Occluded,
    OcclusionPlan,
    cost,
    occlusion,
    target,
)
from tokexplore.models.interpret.units import Unit, UnitKind

TEXT = "the king was old. he had a daughter. she was beautiful. she"


class _Inside(FakeInterpreter):
    """An inside in which hidden tokens take from the first token's logprob what is planted."""

    def __init__(self, engine: FakeEngine, takes: Callable[[int], float]) -> None:
        super().__init__(engine)
        self._takes = takes

    def occlude(
        self, ids: Sequence[int], hidden: Sequence[range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        del ids
        for at in reversed(range(len(hidden))):  # in an order of its own
            if control.cancelled:
                return
            self.hidden.append(hidden[at])
            lost = sum(map(self._takes, hidden[at]))
            yield at, (-1.0 - lost, *[-2.0] * (len(tokens) - 1))


def engine_in_which(takes: Callable[[int], float]) -> tuple[FakeEngine, list[int], list[str]]:
    engine = FakeEngine()
    engine.interpreter = _Inside(engine, takes)
    ids = engine.encode(TEXT)
    ids = [token for token in ids if token not in engine.vocabulary.special]
    return engine, ids, engine.vocabulary.pieces(ids)


def told(
    takes: Callable[[int], float], tokens: Sequence[int] = (9,), **more: object
) -> tuple[list[OcclusionPlan], list[Occluded], list[str]]:
    engine, ids, pieces = engine_in_which(takes)
    events = list(occlusion(engine, ids, tokens, Control(), **more))  # type: ignore[arg-type]
    plans = [each for each in events if isinstance(each, OcclusionPlan)]
    return plans, [each for each in events if isinstance(each, Occluded)], pieces


def kinds(plans: Sequence[OcclusionPlan]) -> list[set[UnitKind]]:
    return [{unit.kind for unit in plan.units} for plan in plans]


def place_of(word: str) -> int:
    _, _, pieces = engine_in_which(lambda _: 0.0)
    return pieces.index(word)


def test_it_goes_into_what_mattered_and_nowhere_else() -> None:
    place = place_of(" daughter")
    plans, found, pieces = told(lambda at: 2.0 if at == place else 0.0)
    assert kinds(plans) == [{"sentence"}, {"word"}, {"token"}]
    named = {each.unit.kind: each for each in found if each.effect}
    assert {kind: "".join(pieces[e.unit.start : e.unit.end]) for kind, e in named.items()} == {
        "sentence": " he had a daughter.", "word": " daughter.", "token": " daughter",
    }  # fmt: skip
    assert all(each.effect == pytest.approx(2.0) for each in named.values())
    assert all(each.logprobs == (-3.0,) for each in named.values())
    sentence = named["sentence"].unit
    assert all(set(unit.tokens) <= set(sentence.tokens) for unit in plans[1].units)
    assert [unit.tokens for unit in plans[2].units] == [
        range(place, place + 1), range(place + 1, place + 2),
    ]  # fmt: skip


def test_each_unit_is_told_once_with_its_own_effect() -> None:
    plans, found, _ = told(lambda at: 1.0 + at, everything=True)
    assert sorted(str(each.unit) for each in found) == sorted(
        str(unit) for plan in plans for unit in plan.units
    )
    for each in found:
        assert each.effect == pytest.approx(sum(1.0 + at for at in each.unit.tokens))


def test_what_pushed_against_counts_as_much() -> None:
    place = place_of(" daughter")
    _, found, _ = told(lambda at: -2.0 if at == place else 0.0)
    assert [each.effect for each in found if each.unit.kind == "token" and each.effect] == [-2.0]


def test_little_effects_are_left_out_and_small_shares_too() -> None:
    plans, _, _ = told(lambda _: LEAST / 50)
    assert kinds(plans) == [{"sentence"}]
    king, daughter = place_of(" king"), place_of(" daughter")
    effects = {king: 0.99 * SHARE, daughter: 1.0}
    plans, _, _ = told(lambda at: effects.get(at, 0.0))
    assert all(unit.start > king for unit in plans[1].units)
    effects[king] = 1.01 * SHARE
    plans, _, _ = told(lambda at: effects.get(at, 0.0))
    assert any(king in unit.tokens for unit in plans[1].units)


def test_everything_is_looked_into_where_that_is_asked_for() -> None:
    plans, _, pieces = told(lambda _: 0.0, everything=True)
    tokens = [at for unit in plans[0].units for at in unit.tokens]
    assert tokens == list(range(len(pieces) - 1)), "all but the last one"
    assert kinds(plans) == [{"sentence"}, {"word"}, {"token"}]


@pytest.mark.parametrize("finest", ["sentence", "word", "token"])
def test_it_goes_no_finer_than_it_is_asked(finest: UnitKind) -> None:
    plans, _, _ = told(lambda _: 1.0, finest=finest)
    assert [kind for found in kinds(plans) for kind in found][-1] == finest
    assert len(plans) == ["sentence", "word", "token"].index(finest) + 1


def test_it_begins_with_the_blocks_that_are_named_and_leaves_the_last_token() -> None:
    blocks = [Unit("template", 0, 2), Unit("turn", 2, 8, "user"), Unit("turn", 8, 99, "assistant")]
    plans, _, pieces = told(lambda _: 1.0, blocks=blocks)
    end = len(pieces) - 1
    assert [(u.kind, u.start, u.end, u.role) for u in plans[0].units] == [
        ("template", 0, 2, ""), ("turn", 2, 8, "user"), ("turn", 8, end, "assistant"),
    ]  # fmt: skip
    assert {unit.role for unit in plans[1].units} == {"", "user", "assistant"}


def test_the_target_is_a_logprob_or_a_difference() -> None:
    assert target((-1.5,)) == -1.5
    assert target((-1.5, -4.0)) == 2.5
    plans, found, _ = told(lambda at: float(at == 1), tokens=(9, 8), finest="sentence")
    assert plans[0].logprobs == (-1.0, -2.0)
    assert max(found, key=lambda each: each.effect).effect == pytest.approx(1.0)


def test_the_cost_is_what_comes_after_each_unit() -> None:
    units = [Unit("word", 0, 3), Unit("token", 5, 6), Unit("token", 9, 10)]
    assert cost(12, units) == (9 + 6 + 2) / 12
    plans, _, pieces = told(lambda _: 0.0)
    wanted = sum(len(pieces) - unit.end for unit in plans[0].units) / len(pieces)
    assert plans[0].cost == pytest.approx(wanted)


def test_it_stops_with_what_is_known() -> None:
    engine, ids, _ = engine_in_which(lambda _: 1.0)
    control = Control()
    events = occlusion(engine, ids, [9], control)
    assert isinstance(next(events), OcclusionPlan)
    first = next(events)
    assert isinstance(first, Occluded)
    control.cancelled = True
    assert list(events) == []
