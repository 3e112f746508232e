"""Several live streams of one engine, an event of each in turn: the tokens that each has alone.

Numbers too: to the noise of float32 where rows share passes, to the bit elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import zip_longest

import numpy as np
import pytest

from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import Distribution
from tokexplore.models.engine.forward.kv_store import Leaf
from tokexplore.models.engine.loading import opening
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.timeless import timeless

MakeEngine = Callable[[], LocalEngine]
DrawsAlone = Callable[[Sequence[int]], list[list[StreamEvent]]]
STORY, OTHER = "Once upon a time there was a king who had a", "The wolf said to the"
PROMPT = (3, 1, 4, 1, 5, 9, 2, 6, 53, 58, 9, 79)
GREEDY = SamplingSettings()
CACHES = ("llama", "gemma3", "lfm2", "mamba2", "recurrent_gemma", "qwen3_next", "llama_longrope")
"""Attention, windows, convolutions, recurrent states, and several of these in one."""


@pytest.fixture(scope="module")
def embedded() -> MakeEngine:
    """Makes new engines on the embedded model."""
    options = LoadOptions(device="cpu", dtype="float32", threads=1)
    return partial(LocalEngine, opening.load(options, lambda _: None))


@pytest.fixture(scope="module")
def draws_alone(embedded: MakeEngine) -> DrawsAlone:
    """The events of draws of the story by their seeds, each on an engine without another."""
    ids = embedded().encode(STORY)
    draw = cache(lambda seed: alone(embedded, [request(ids, sampled(seed))])[0])
    return lambda seeds: [draw(seed) for seed in seeds]


def sampled(seed: int) -> SamplingSettings:
    return SamplingSettings(temperature=0.9, top_p=0.95, seed=seed)


def request(ids: Sequence[int], settings: SamplingSettings, count: int = 40) -> StreamRequest:
    return StreamRequest(tuple(ids), settings, count, ignore_eos=True, describe_end=True)


def streams(
    make: MakeEngine, asked: Sequence[StreamRequest]
) -> tuple[LocalEngine, list[Iterator[StreamEvent]]]:
    """The streams of a new engine that has read their prompts, each as a path of its own."""
    engine = make()
    for ids in sorted({each.ids for each in asked}, key=len):
        engine.describe(ids)
    return engine, [engine.stream(each, Control()) for each in asked]


def alone(make: MakeEngine, asked: Sequence[StreamRequest]) -> list[list[StreamEvent]]:
    """The events of each, on an engine on which the others never begin."""
    return [list(map(timeless, streams(make, asked)[1][number])) for number in range(len(asked))]


def in_turn(events: Sequence[Iterator[StreamEvent]]) -> list[list[StreamEvent]]:
    """The events of each, an event of each in turn."""
    columns = zip(*zip_longest(*events), strict=True)
    return [[timeless(event) for event in column if event is not None] for column in columns]


def assert_alike(told: list[list[StreamEvent]], alone: list[list[StreamEvent]]) -> None:
    """The same tokens drawn by the same numbers, and the same logprobs to 1e-4."""
    for events, expected in zip(told, alone, strict=True):
        for event, other in zip(events, expected, strict=True):
            match event, other:
                case DrawnToken(), DrawnToken():
                    assert facts(event) == facts(other)
                    assert event.sampler_logprob == pytest.approx(other.sampler_logprob, abs=1e-4)
                    assert_close(event.distribution, other.distribution)
                case Described(), Described():
                    assert_close(event.distribution, other.distribution)
                case _:
                    assert event == other


def facts(event: DrawnToken) -> tuple[object, ...]:
    """What noise has no part in."""
    return (event.position, event.standing.token, event.settings, event.draw, event.uniform)


def assert_close(one: Distribution, other: Distribution) -> None:
    assert one.lse == pytest.approx(other.lse, abs=1e-4)
    assert one.entropy == pytest.approx(other.entropy, abs=1e-4)
    first, second = (
        dict(zip(np.frombuffer(d.ids, np.uint32), d.logit_view, strict=True)) for d in (one, other)
    )
    common = first.keys() & second.keys()
    assert len(common) > len(first) - 3  # at the border noise may choose
    assert max(abs(first[token] - second[token]) for token in common) <= 1e-4


@pytest.mark.parametrize("count", [2, 3])
def test_draws_of_one_prompt(embedded: MakeEngine, draws_alone: DrawsAlone, count: int) -> None:
    ids = embedded().encode(STORY)
    asked = [request(ids, sampled(seed)) for seed in range(count)]
    expected = draws_alone(range(count))
    assert len({tuple(e.standing.token for e in each[:-2]) for each in expected}) == count  # type: ignore[union-attr]
    assert_alike(in_turn(streams(embedded, asked)[1]), expected)


@pytest.mark.parametrize("count", [2, 3])
def test_paths_that_differ_in_length_and_part_anywhere(embedded: MakeEngine, count: int) -> None:
    engine = embedded()
    story, other = engine.encode(STORY), engine.encode(OTHER)
    asked = [
        request(story, GREEDY, 70),
        request([*story, 300, 301], sampled(4), 40),
        request(other, sampled(5), 25),
    ][:count]
    assert_alike(in_turn(streams(embedded, asked)[1]), alone(embedded, asked))


@pytest.mark.parametrize("family", CACHES)
def test_every_kind_of_cache(family: str, engine_of: Callable[..., LocalEngine]) -> None:
    asked = [request(PROMPT, sampled(seed), 50) for seed in (1, 2, 3)]
    make = partial(engine_of, family)
    engine, events = streams(make, asked)
    told, expected = in_turn(events), alone(make, asked)
    assert_alike(told, expected)
    assert engine.core.probed.shares or told == expected


def test_questions_and_a_score_between_two_tokens_change_nothing(
    embedded: MakeEngine, draws_alone: DrawsAlone
) -> None:
    story = embedded().encode(STORY)
    asked = [request(story, sampled(seed)) for seed in (1, 2)]
    expected = draws_alone((1, 2))
    engine, running = streams(embedded, asked)
    score = engine.score([*story, *range(300, 330)], 1, Control())
    events: list[list[StreamEvent]] = [[], []]
    scored = 0
    for number, event in enumerate(zip_longest(*running)):
        for own, one in zip(events, event, strict=True):
            own += [timeless(one)] if one is not None else []
        engine.describe([*story, 300 + number])
        scored += isinstance(next(score, None), ScoredToken)
    assert_alike(events, expected)
    assert scored > 20


def test_streams_without_room_for_their_caches_go_on(
    embedded: MakeEngine, draws_alone: DrawsAlone
) -> None:
    """What a stream extends is let go only when it ends: that would free nothing before."""
    ids = embedded().encode(STORY)
    asked = [request(ids, sampled(seed)) for seed in (1, 2, 3)]
    expected = draws_alone((1, 2, 3))
    engine, running = streams(embedded, asked)
    engine.core.leaves.limit = 1
    busy: list[list[Leaf]] = []

    def watched() -> Iterator[StreamEvent]:
        for event in running[0]:
            engine.describe([*ids, 300 + len(busy)])
            busy.append([leaf for leaf in engine.core.leaves if leaf.busy])
            yield event

    assert_alike(in_turn([watched(), *running[1:]]), expected)
    assert {len(leaves) for leaves in busy[1:40]} == {3}
    assert len(engine.core.leaves) == 1
