"""Two engines on one path, whatever chunks they compute in and whatever they tell."""

import math

import numpy as np
import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates

from tokexplore.models.api.engine import Control
from tokexplore.models.diff.along import along, readings
from tokexplore.models.diff.steps import Step, most_different, totals
from tokexplore.models.diff.vocabularies import shared_tokens
from tokexplore.models.errors import UsageError

TEXT = "Once upon a time\nthere was a king who had a great castle by the sea"
PLANTED = {tuple(FakeEngine().encode(TEXT)[:6]): {300: 40.0}}


def steps(
    first: FakeEngine | FirstCandidates, second: FakeEngine | FirstCandidates, start: int = 1
) -> list[Step]:
    ids = first.encode(TEXT)
    shared = shared_tokens(first, second)
    assert shared is not None
    return list(along(first, second, ids, start, shared, Control()))


def test_each_step_is_that_of_both_models_own_rows() -> None:
    first, second = FakeEngine(chunk=5), FakeEngine(chunk=3, planted=PLANTED)
    ids = first.encode(TEXT)
    found = steps(first, second)
    assert [s.position for s in found] == list(range(1, len(ids)))
    assert [s.token for s in found] == ids[1:]
    for s in found:
        for reading, engine in ((s.first, first), (s.second, second)):
            row = engine.full(ids[: s.position]).astype(float)
            lse = math.log(np.exp(row - row.max()).sum()) + row.max()
            assert reading.logprob == pytest.approx(row[s.token] - lse, abs=1e-9)
            assert reading.greedy == int(row.argmax())
    assert [s.position for s in found if s.parts] == [6], "where another token was planted"
    assert max(s.js or 0.0 for s in found if not s.parts) < 1e-15
    assert most_different(found, 1)[0].position == 6


def test_a_path_is_compared_from_where_it_is_wanted() -> None:
    found = steps(FakeEngine(chunk=4), FakeEngine(chunk=9), 5)
    assert found[0].position == 5
    assert found == steps(FakeEngine(), FakeEngine())[4:]


def test_of_first_candidates_nothing_is_told_that_needs_all() -> None:
    first = FirstCandidates(abilities={"prompt_scores": True})
    second = FakeEngine(planted=PLANTED)
    whole = steps(FakeEngine(), second)
    found = steps(first, second)
    assert len(found) == len(whole)
    for told, known in zip(found, whole, strict=True):
        assert (told.kl, told.kl_back, told.js, told.acceptance) == (None,) * 4
        assert told.delta == pytest.approx(known.delta, abs=1e-6)
        assert (told.first.greedy, told.second) == (known.first.greedy, known.second)
        assert told.first.rank in (0, known.first.rank)
        assert told.first.margin == pytest.approx(known.first.margin, abs=1e-5)
    told = totals(found)
    assert (told.kl, told.kl_back, told.js, told.acceptance, told.largest_kl) == (None,) * 5
    assert told.agreement == totals(whole).agreement
    assert most_different(found, 1)[0].position == 6, "by the token's logprob"


@pytest.mark.parametrize(("scores", "whole"), [(False, False), (False, True), (True, True)])
def test_rows_that_are_given_when_asked_for_are_asked_for(scores: bool, whole: bool) -> None:
    second = FakeEngine(planted=PLANTED)
    server = FirstCandidates(abilities={"prompt_scores": scores, "on_demand": True})
    ids, shared = server.encode(TEXT), shared_tokens(server, second)
    assert shared is not None
    found = list(along(server, second, ids, 1, shared, Control(), whole=whole))
    assert found == steps(FakeEngine(), second)
    said = list(readings(server, ids, 1, Control()))
    assert [r.logprob for r in said] == pytest.approx([s.first.logprob for s in found], abs=1e-6)


def test_totals_are_means_of_the_steps() -> None:
    found = steps(FakeEngine(), FakeEngine(planted=PLANTED))
    told = totals(found)
    known = [(s.kl, s.js, s.acceptance) for s in found]
    for mean, values in zip(
        (told.kl, told.js, told.acceptance), zip(*known, strict=True), strict=True
    ):
        assert mean == pytest.approx(math.fsum(v or 0.0 for v in values) / len(found))
    assert told.largest_kl == max(s.kl or 0.0 for s in found)
    assert told.agreement == 1 - 1 / len(found)
    nats = -math.fsum(s.second.logprob for s in found) / len(found)
    assert told.perplexities[1] == pytest.approx(math.exp(nats))


def test_a_cancelled_comparison_ends_with_what_is_done() -> None:
    first, second, control = FakeEngine(chunk=4), FakeEngine(chunk=4), Control()
    shared = shared_tokens(first, second)
    assert shared is not None
    found = []
    for one in along(first, second, first.encode(TEXT), 1, shared, control):
        found.append(one)
        control.cancelled = True
    assert [s.position for s in found] == [1, 2, 3, 4]


def test_an_engine_that_scores_no_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="no logprobs of tokens that it is given"):
        steps(FakeEngine(), FirstCandidates())
