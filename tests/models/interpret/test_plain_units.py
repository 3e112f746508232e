"""What rounds of hiding begin with where a path is no chat, and what ends them."""

from support import fake_vocabulary
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan, occlusion
from tokexplore.models.interpret.units import Unit, plain


def test_what_a_tokenizer_puts_in_front_is_no_part_of_the_first_sentence() -> None:
    pieces, special = ["<s>", "Once", " more", ".", " Yes"], [True, False, False, False, False]
    assert plain(pieces, special) == [
        Unit("template", 0, 1), Unit("sentence", 1, 4), Unit("sentence", 4, 5),
    ]  # fmt: skip
    assert plain(pieces[1:], special[1:]) == [Unit("sentence", 0, 3), Unit("sentence", 3, 4)]
    assert plain(["<s>"], [True]) == [Unit("template", 0, 1)]
    assert plain([], []) == []


def test_the_first_token_is_hidden_by_itself() -> None:
    engine = FakeEngine()
    ids = engine.encode("Once upon a time")
    assert ids[0] == fake_vocabulary.BOS
    plan, *_ = occlusion(engine, ids, [300], Control(), finest="sentence")
    assert isinstance(plan, OcclusionPlan)
    assert plan.units == (Unit("template", 0, 1), Unit("sentence", 1, len(ids) - 1))


def test_cancelled_before_anything_is_known_it_says_nothing() -> None:
    engine, control = FakeEngine(), Control()
    control.cancelled = True
    assert list(occlusion(engine, engine.encode("Once upon"), [300], control)) == []


def test_cancelled_in_a_round_it_has_said_what_is_done() -> None:
    engine, control = FakeEngine(), Control()
    ids, found = engine.encode("Once upon a time there"), []
    for finding in occlusion(engine, ids, [300], control, everything=True):
        found.append(finding)
        control.cancelled = len(found) == 5
    kinds = [OcclusionPlan, Occluded, Occluded, OcclusionPlan, Occluded]
    assert [type(each) for each in found] == kinds
