"""What is said without the whole vocabulary holds with it."""

import math
from array import array

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.bounds import bounded_view, entropy_bounds
from tokexplore.models.sampling.settings import SamplingSettings

VOCABULARY = 200


def distribution(logits: np.ndarray, stored: int) -> Distribution:
    falling = np.sort(logits.astype("f4"))[::-1]
    top = falling[:stored]
    lse = float(np.logaddexp.reduce(falling.astype("f8")))
    ids = np.arange(stored, dtype="u4")
    return Distribution(ids.tobytes(), top.tobytes(), len(logits), lse, 1.0)


def exact(logits: np.ndarray, chosen: SamplingSettings) -> tuple[int, np.ndarray]:
    """How many the whole chain keeps, and the sampler's probabilities, in f64."""
    falling = np.sort(logits.astype("f4"))[::-1].astype("f8")
    weights = np.exp((falling - falling[0]) / chosen.temperature)
    if chosen.top_k:
        weights[weights < weights[min(chosen.top_k, len(weights)) - 1]] = 0.0
    if chosen.top_p < 1:
        before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        weights[before >= chosen.top_p * weights.sum()] = 0.0
    if chosen.min_p:
        weights[weights < chosen.min_p * weights[0]] = 0.0
    return int((weights > 0).sum()), weights / weights.sum()


@settings(max_examples=300)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.5, 2.0, 6.0]),
    stored=st.sampled_from([1, 8, 64, VOCABULARY]),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 1.3, 5.0, 100.0]),
    top_k=st.sampled_from([0, 1, 5, 64, 100]),
    top_p=st.sampled_from([1.0, 0.99, 0.9, 0.5, 0.01]),
    min_p=st.sampled_from([0.0, 0.001, 0.1]),
)
def test_the_truth_lies_within_the_bounds(
    seed: int,
    spread: float,
    stored: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, VOCABULARY)
    chosen = SamplingSettings(temperature, top_k, top_p, min_p)
    kept, shares = exact(logits, chosen)
    assume(kept > 0)
    view = bounded_view(distribution(logits, stored), chosen)
    assert view.kept.low <= kept <= view.kept.high
    for index in range(stored):
        low, high = view.share(index)
        assert low * (1 - 1e-6) <= shares[index] <= high * (1 + 1e-6) + 1e-12
        if view.cut_by(index):
            assert shares[index] == 0.0


@settings(max_examples=300)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.5, 2.0, 6.0]),
    listed=st.sampled_from([1, 5, 20, VOCABULARY - 1]),
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 1.3, 5.0, 100.0]),
    top_k=st.sampled_from([0, 1, 5, 64]),
    top_p=st.sampled_from([1.0, 0.99, 0.5]),
    min_p=st.sampled_from([0.0, 0.001, 0.1]),
    off=st.sampled_from([-3e-4, 0.0, 3e-4]),
)
def test_the_truth_lies_within_the_bounds_of_first_candidates(
    seed: int,
    spread: float,
    listed: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    off: float,
) -> None:
    """A server's logprobs are rounded, and all of them `off`, which no ratio among them shows."""
    logits = np.random.default_rng(seed).normal(0, spread, VOCABULARY)
    chosen = SamplingSettings(temperature, top_k, top_p, min_p)
    whole = distribution(logits, VOCABULARY)
    told = Distribution(
        whole.ids[: 4 * listed],
        array("f", [round(whole.logprob(i) + off, 4) for i in range(listed)]).tobytes(),
        VOCABULARY, 0.0, None,
    )  # fmt: skip
    view = bounded_view(told, chosen)
    assert view is not None
    if chosen.greedy:
        assert view.kept == (1, 1)
        return
    kept, shares = exact(logits, chosen)
    assume(kept > 0)
    assert view.kept.low <= kept <= view.kept.high
    slack = 1e-6 + 2e-4 / temperature
    for index in range(listed):
        low, high = view.share(index)
        assert low * (1 - slack) <= shares[index] <= high * (1 + slack) + 1e-12
        if view.cut_by(index):
            assert shares[index] == 0.0
    figures = view.figures(told)
    if figures is not None:
        assert figures.kept == kept
        assert kept <= listed, "never exact where others count"


def test_first_candidates_that_round_to_everything_leave_room_for_the_others() -> None:
    logprobs = array("f", [-0.2, -1.7077])
    told = Distribution(bytes(range(8)), logprobs.tobytes(), VOCABULARY, 0.0, None)
    assert told.tail_mass() == 0.0
    view = bounded_view(told, SamplingSettings(100.0))
    assert view is not None
    assert not view.total.exact
    assert view.share(0).low < 2 / VOCABULARY < 0.4 < view.share(0).high
    assert view.figures(told) is None


def test_what_is_decided_by_stored_candidates_is_exact() -> None:
    logits = np.random.default_rng(1).normal(0, 4, VOCABULARY)
    chosen = SamplingSettings(0.7, top_k=20, top_p=0.8)
    kept, shares = exact(logits, chosen)
    view = bounded_view(distribution(logits, 64), chosen)
    assert view.kept == (kept, kept)
    for index in range(64):
        assert math.isclose(view.share(index).low, shares[index], abs_tol=1e-12)
        assert view.share(index).exact


def test_at_temperature_1_the_rest_is_known_by_its_mass() -> None:
    logits = np.random.default_rng(2).normal(0, 4, VOCABULARY)
    view = bounded_view(distribution(logits, 8), SamplingSettings(1.0))
    low, high = view.share(0)
    assert math.isclose(low, high, rel_tol=1e-6)


def test_what_leaves_no_bounds_is_said_so() -> None:
    told = distribution(np.arange(10.0), 4)
    for more in (
        {"typical_p": 0.9}, {"top_h": 0.5}, {"epsilon_cutoff": 0.1}, {"eta_cutoff": 0.1},
        {"dynamic_range": 0.2}, {"repetition_penalty": 1.2}, {"banned": ((3,),)},
    ):  # fmt: skip
        assert bounded_view(told, SamplingSettings(1.0, **more)) is None
    assert bounded_view(told, SamplingSettings(no_repeat_ngram=2)) is None


class MadeUp(SamplingSettings, frozen=True):
    """Settings with a stage that nobody has told the bounds of."""

    made_up: float = 0.0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_stage_that_the_bounds_do_not_know_leaves_none(temperature: float) -> None:
    told = distribution(np.arange(10.0), 10)

    assert bounded_view(told, MadeUp(temperature)) is not None
    assert bounded_view(told, MadeUp(temperature, made_up=0.5)) is None


def test_greedy_takes_the_first() -> None:
    view = bounded_view(distribution(np.arange(10.0), 4), SamplingSettings())
    assert view.share(0) == (1.0, 1.0)
    assert view.share(1) == (0.0, 0.0)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.5, 6.0]),
    stored=st.sampled_from([1, 8, VOCABULARY]),
    temperature=st.sampled_from([0.0, 0.7, 1.0, 5.0]),
    top_k=st.sampled_from([0, 1, 5]),
    top_p=st.sampled_from([1.0, 0.9, 0.01]),
)
def test_figures_are_exact_or_not_given(
    seed: int, spread: float, stored: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, VOCABULARY)
    told = distribution(logits, stored)
    chosen = SamplingSettings(temperature, top_k, top_p)
    view = bounded_view(told, chosen)
    assert view is not None
    figures = view.figures(told)
    if temperature == 0:
        assert figures is not None
        first = told.logprob(0)
        assert figures[:3] == (1, 0.0, -first)
        assert math.isclose(figures.removed, 1 - math.exp(first), abs_tol=1e-12)
    if figures is None or temperature == 0:
        return
    kept, q = exact(logits, chosen)
    falling = np.sort(logits.astype("f4"))[::-1].astype("f8")
    p = falling - told.lse
    q = q[:kept]
    assert figures.kept == kept
    assert math.isclose(figures.entropy, -(q * np.log(q)).sum(), abs_tol=1e-9)
    assert math.isclose(figures.kl, (q * (np.log(q) - p[:kept])).sum(), abs_tol=1e-9)
    assert math.isclose(figures.removed, 1 - np.exp(p[:kept]).sum(), abs_tol=1e-6)


def _entropy(probabilities: np.ndarray) -> float:
    there = probabilities[probabilities > 0]
    return float(-(there * np.log(there)).sum())


def _told(probabilities: np.ndarray, count: int) -> Distribution:
    """The first `count` of probabilities that fall, as a server lists them."""
    logprobs = np.log(probabilities[:count]).astype(np.float32)
    ids = np.arange(count, dtype=np.uint32)
    return Distribution(ids.tobytes(), logprobs.tobytes(), len(probabilities), 0.0, None, "server")


@pytest.mark.parametrize("count", [1, 2, 20, 299, 300])
@pytest.mark.parametrize("seed", range(6))
def test_the_entropy_lies_between_its_bounds(seed: int, count: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 1 + seed, 300)
    probabilities = np.sort(np.exp(logits) / np.exp(logits).sum())[::-1]
    low, high = entropy_bounds(_told(probabilities, count))
    assert low - 1e-5 <= _entropy(probabilities) <= high + 1e-5
    if count == 300:
        assert low == pytest.approx(high, abs=1e-4)


def test_the_bounds_of_an_entropy_are_reached() -> None:
    flat = np.array([0.4, 0.2, *[0.4 / 50] * 50])
    low, high = entropy_bounds(_told(flat, 2))
    assert high == pytest.approx(_entropy(flat), abs=1e-6)
    packed = np.array([0.4, 0.2, 0.2, 0.2, *[0.0] * 48])
    assert low == pytest.approx(_entropy(packed), abs=1e-6)
    whole = msgspec.structs.replace(_told(flat, 2), entropy=1.25)
    assert entropy_bounds(whole) == (1.25, 1.25)
