"""An engine says in one sentence what it cannot do."""

from typing import get_args

import msgspec
import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import LISTED, FirstCandidates

from tokexplore.models.api.capabilities import Capabilities, Need
from tokexplore.models.api.engine import Control, ScoredToken, StreamRequest
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings

NEEDS = get_args(Need)
LEAST = Capabilities(
    listed=LISTED,
    prompt_scores=False,
    plain_prompts=False,
    prefill=False,
    forced_tokens=False,
    instruments=False,
    own_ids=False,
)


def test_an_engine_that_can_do_everything_has_no_limits() -> None:
    assert Capabilities().limits == ()
    assert Capabilities().why_not("the lab", *NEEDS) == ""


def test_the_first_thing_that_is_missing_is_named() -> None:
    # What lacks whole rows lists the first candidates, and what has no instruments and is no server
    # repeats nothing: each two say the same.
    assert len(LEAST.limits) == len(NEEDS) - 2
    assert len({LEAST.why_not("this", need) for need in NEEDS}) == len(NEEDS) - 2
    told = LEAST.why_not("the lab", "lists_all", "instruments")
    assert told == (
        "This engine lists the first 20 candidates of a step: the lab needs the whole vocabulary."
    )
    listing = msgspec.structs.replace(LEAST, listed=0)
    told = listing.why_not("the lab", "lists_all", "instruments")
    assert told == "This engine computes a path in one way only: the lab needs others."


def test_one_that_gives_the_others_when_asked_says_so() -> None:
    giving = Capabilities(listed=LISTED, on_demand=True)
    assert giving.limits == (
        "This engine lists the first 20 candidates of a step, the others when asked.",
    )
    assert giving.why_not("a search", "whole_rows") == ""
    assert "the lab needs the whole vocabulary" in giving.why_not("the lab", "lists_all")


def test_the_engine_of_the_tests_does_what_it_says() -> None:
    engine, control = FirstCandidates(), Control()
    ids = engine.encode("Once upon")
    hot = SamplingSettings(temperature=1.0)
    request = StreamRequest(tuple(ids), hot, 3, score_prompt=True)
    for ask in (
        lambda: list(engine.stream(request, control)),
        lambda: list(engine.score(ids, 1, control)),
        lambda: engine.rows(ids, 0, 30),
        lambda: engine.search(ids, "a", 5),
        lambda: engine.standings(ids, [5]),
        lambda: engine.reshape(ids, hot),
        lambda: engine.effects(ids, [hot]),
        lambda: engine.draws(ids, hot, 10),
        lambda: engine.bench,
        lambda: engine.continuations(request, [1, 2], control),
    ):
        with pytest.raises(UsageError, match=r"^This engine [^\n]*\.$"):
            ask()
    assert len(engine.asked) == 10
    told, whole = engine.describe(ids), FakeEngine().describe(ids)
    assert not told.complete
    assert told.ids == whole.ids[: 4 * LISTED]
    assert [told.logprob(at) for at in range(LISTED)] == pytest.approx(
        [whole.logprob(at) for at in range(LISTED)], abs=1e-5
    )
    scoring = FirstCandidates(abilities={"prompt_scores": True})
    scored = [e for e in scoring.score(ids, 1, control) if isinstance(e, ScoredToken)]
    assert len(scored) == len(ids) - 1
