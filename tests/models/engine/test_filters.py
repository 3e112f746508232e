"""The sampler against transformers' own processors, and its draws against its probabilities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tokexplore.models.engine import filters, summary
from tokexplore.models.engine.summary import Row
from tokexplore.models.randomness import extend_key, seed_key, uniform
from tokexplore.models.sampling import SamplingSettings

IDS = torch.zeros(1, 1, dtype=torch.long)


def row_of(logits: np.ndarray | list[float]) -> Row:
    return summary.summarise(torch.tensor(np.asarray(logits, dtype=np.float32)), "test")


def transformers_scores(logits: np.ndarray, chosen: SamplingSettings) -> np.ndarray:
    """What transformers leaves of the logits, in the order of `generate`: f32, shape [V]."""
    chain = LogitsProcessorList()
    if chosen.temperature != 1:
        chain.append(TemperatureLogitsWarper(chosen.temperature))
    if chosen.top_k:
        chain.append(TopKLogitsWarper(chosen.top_k))
    if chosen.top_p < 1:
        chain.append(TopPLogitsWarper(chosen.top_p))
    if chosen.min_p:
        chain.append(MinPLogitsWarper(chosen.min_p))
    return chain(IDS, torch.from_numpy(logits.copy())[None])[0].numpy()


def ordered(logits: np.ndarray) -> np.ndarray:
    """Ids in candidate order."""
    return np.lexsort((np.arange(len(logits)), -logits))


smooth = st.builds(
    lambda seed, size, spread: (
        np.random.default_rng(seed).standard_normal(size).astype(np.float32) * np.float32(spread)
    ),
    st.integers(0, 2**32 - 1),
    st.integers(2, 700),
    st.floats(0.05, 12),
)
gridded = smooth.map(lambda x: (np.round(x * 4) / 4).astype(np.float32))
"""As a low precision leaves them: full of ties."""


@st.composite
def with_holes(draw: st.DrawFn) -> np.ndarray:
    logits = draw(smooth | gridded).copy()
    for place in draw(st.lists(st.integers(1, len(logits) - 1), max_size=5)):
        logits[place] = -np.inf
    return logits


chains = st.builds(
    SamplingSettings,
    temperature=st.floats(0.05, 3) | st.just(1.0),
    top_k=st.integers(0, 60),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1) | st.just(0.0),
)


@settings(max_examples=400, deadline=None)
@given(with_holes(), chains)
def test_the_kept_set_is_that_of_transformers(logits: np.ndarray, chosen: SamplingSettings) -> None:
    view = filters.reshape(row_of(logits), chosen)

    scores = transformers_scores(logits, chosen)
    kept = np.flatnonzero(np.isfinite(scores))
    ours = ordered(logits)[: view.kept]
    assert view.kept == len(kept)
    if any(cut.tie for cut in view.cuts):
        assert sorted(logits[ours]) == sorted(logits[kept])
    else:
        assert set(ours) == set(kept)


@settings(max_examples=150, deadline=None)
@given(with_holes(), chains)
def test_the_sampler_probabilities_are_those_of_transformers(
    logits: np.ndarray, chosen: SamplingSettings
) -> None:
    view = filters.reshape(row_of(logits), chosen)

    scores = transformers_scores(logits, chosen).astype(np.float64)
    expected = np.sort(np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum())[::-1]
    falling = np.sort(logits)[::-1]
    ours = [math.exp(view.logprob(i, float(falling[i]))) for i in range(view.kept)]
    assert ours == pytest.approx(expected[: view.kept], rel=1e-4, abs=1e-9)
    assert math.fsum(ours) == pytest.approx(1, abs=1e-9)


def test_top_k_keeps_all_that_tie_with_the_last() -> None:
    view = filters.reshape(
        row_of([0, 2, 1, 2, 1, 1, -3]), SamplingSettings(temperature=1.0, top_k=3)
    )

    assert view.kept == 5
    assert [(cut.stage, cut.kept, cut.tie) for cut in view.cuts] == [("top-k", 5, False)]


def test_a_nucleus_that_ends_inside_a_tie_is_marked_and_cut_in_candidate_order() -> None:
    row = row_of([0.0] * 10)

    view = filters.reshape(row, SamplingSettings(temperature=1.0, top_p=0.35))

    assert view.kept == 4
    assert view.cuts[0].tie
    assert view.cuts[0].mass == pytest.approx(0.6)
    drawn = {filters.draw(row, view, number)[1] for number in np.linspace(0, 0.999, 50)}
    assert drawn == {0, 1, 2, 3}


def test_each_cut_names_the_mass_that_entered_its_stage() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))

    view = filters.reshape(row_of(logits), SamplingSettings(temperature=1.0, top_k=3, top_p=0.7))

    assert [cut.stage for cut in view.cuts] == ["top-k", "top-p"]
    assert [cut.kept for cut in view.cuts] == [3, 2]
    assert view.cuts[0].mass == pytest.approx(0.1, abs=1e-6)
    assert view.cuts[1].mass == pytest.approx(0.2 / 0.9, abs=1e-6)


def test_greedy_takes_the_lowest_id_of_a_tie() -> None:
    row = row_of([1, 3, 0, 3])
    view = filters.reshape(row, SamplingSettings())

    assert filters.draw(row, view, 0.9) == (0, 1)
    assert view.kept == 1


@settings(max_examples=150, deadline=None)
@given(with_holes(), chains, st.floats(0, 1, exclude_max=True))
def test_a_draw_is_the_inverse_of_the_cumulative_sum(
    logits: np.ndarray, chosen: SamplingSettings, number: float
) -> None:
    row = row_of(logits)
    view = filters.reshape(row, chosen)

    index, token = filters.draw(row, view, number)

    order = ordered(logits)
    probabilities = [math.exp(view.logprob(i, float(logits[order[i]]))) for i in range(index + 1)]
    assert token == order[index]
    assert index < view.kept
    assert math.fsum(probabilities[:-1]) <= number + 1e-9
    assert index == view.kept - 1 or math.fsum(probabilities) > number - 1e-9


def test_draws_follow_the_sampler_probabilities() -> None:
    """Chi-square over 20,000 draws with numbers of a fixed seed."""
    logits = np.random.default_rng(5).standard_normal(300).astype(np.float32) * 2
    row = row_of(logits)
    view = filters.reshape(row, SamplingSettings(temperature=0.8, top_p=0.9, top_k=40))
    key, counts = seed_key(11), np.zeros(view.kept)
    for turn in range(20_000):
        key = extend_key(key, turn)
        counts[filters.draw(row, view, uniform(key))[0]] += 1

    falling = np.sort(logits)[::-1]
    expected = np.array([math.exp(view.logprob(i, float(falling[i]))) for i in range(view.kept)])
    expected *= counts.sum()
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = view.kept - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)
