"""The sampler against transformers' own processors, and its draws against its probabilities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chains import transformers_chain
from transformers import LogitsProcessorList, MinPLogitsWarper

from tokexplore.models.engine import sampler, sampler_effects
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.sampler import Reshaped
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling import settings as table
from tokexplore.models.sampling.knobs import KNOBS, Knob, with_value
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.randomness import extend_key, seed_key, uniform
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stage import Stage, Turns


def row_of(logits: np.ndarray | list[float]) -> Row:
    return logits_row.summarise(torch.tensor(np.asarray(logits, dtype=np.float32)), "test")


def reshaped(
    logits: np.ndarray | list[float], chosen: SamplingSettings, path: list[int] | None = None
) -> Reshaped:
    return sampler.reshape(row_of(logits), chosen, changes_of(chosen, path or []))


def fates(logits: np.ndarray, chosen: SamplingSettings, path: list[int]) -> np.ndarray:
    """The sampler's logprob of every token by its view alone: f64, shape [V]."""
    changes = changes_of(chosen, path)
    view = sampler.reshape(row_of(logits), chosen, changes).view
    return np.array([view.fate(t, float(x), changes).logprob for t, x in enumerate(logits)])


def transformers_scores(
    logits: np.ndarray, chosen: SamplingSettings, path: list[int]
) -> np.ndarray:
    """What transformers leaves of the logits, in the order of `generate`: f32, shape [V]."""
    chain = LogitsProcessorList(transformers_chain(chosen))
    ids = torch.tensor([path or [0]], dtype=torch.long)
    return chain(ids, torch.from_numpy(logits.copy())[None])[0].numpy()


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


def off_or(values: st.SearchStrategy, off: float) -> st.SearchStrategy:
    return st.just(off) | values


chains = st.builds(
    SamplingSettings,
    temperature=st.floats(0.05, 3) | st.just(1.0) | st.just(100.0),
    top_k=st.integers(0, 60),
    top_p=off_or(st.floats(0.01, 1), 1.0),
    min_p=off_or(st.floats(0, 1), 0.0),
    typical_p=off_or(st.floats(0.01, 0.999), 1.0),
    top_h=off_or(st.floats(0.01, 1), 0.0),
    epsilon_cutoff=off_or(st.floats(1e-6, 0.9), 0.0),
    eta_cutoff=off_or(st.floats(1e-6, 0.9), 0.0),
)
sequences = st.lists(st.integers(0, 1), min_size=1, max_size=3).map(tuple)
looking_back = st.builds(
    SamplingSettings,
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, 60),
    top_p=off_or(st.floats(0.01, 1), 1.0),
    typical_p=off_or(st.floats(0.01, 0.999), 1.0),
    repetition_penalty=off_or(st.floats(0.2, 3), 1.0),
    no_repeat_ngram=st.integers(0, 4),
    bias=st.dictionaries(sequences, st.floats(-5, 5), max_size=4).map(lambda d: tuple(d.items())),
    banned=st.lists(st.tuples(st.integers(0, 1), st.just(1)), max_size=2).map(tuple),
)
paths = st.lists(st.integers(0, 3), min_size=1, max_size=30)


def assert_like_transformers(logits: np.ndarray, chosen: SamplingSettings, path: list[int]) -> None:
    scores = transformers_scores(logits, chosen, path)
    kept = np.isfinite(scores)
    ours = fates(logits, chosen, path)
    assert np.array_equal(np.isfinite(ours), kept)
    expected = torch.from_numpy(scores.astype(np.float64)).log_softmax(dim=-1).numpy()
    # The quotient logit / T is rounded to f32 there: 6e-8 of its size, and is exact here.
    slack = 1e-5 + 2e-7 * float(np.abs(scores[kept]).max())
    assert np.abs(ours[kept] - expected[kept]).max() <= slack


@settings(max_examples=500)
@given(with_holes(), chains)
def test_chains_of_filters_are_those_of_transformers(
    logits: np.ndarray, chosen: SamplingSettings
) -> None:
    assert_like_transformers(logits, chosen, [])
    view = reshaped(logits, chosen).view
    assert view.kept == np.isfinite(transformers_scores(logits, chosen, [])).sum()


@settings(max_examples=400)
@given(with_holes(), looking_back, paths)
def test_what_the_path_changes_is_what_transformers_changes(
    logits: np.ndarray, chosen: SamplingSettings, path: list[int]
) -> None:
    path = [token % len(logits) for token in path]
    if np.isfinite(transformers_scores(logits, chosen, path)).any():
        assert_like_transformers(logits, chosen, path)
    else:
        with pytest.raises(UsageError, match="every token is banned"):
            reshaped(logits, chosen, path)


@settings(max_examples=200)
@given(with_holes(), looking_back, paths)
def test_greedy_is_the_argmax_of_what_the_path_leaves(
    logits: np.ndarray, chosen: SamplingSettings, path: list[int]
) -> None:
    path = [token % len(logits) for token in path]
    greedy = SamplingSettings(
        repetition_penalty=chosen.repetition_penalty,
        no_repeat_ngram=chosen.no_repeat_ngram,
        bias=chosen.bias,
        banned=chosen.banned,
        top_p=0.5,
    )
    scores = transformers_scores(logits, greedy, path)
    if np.isfinite(scores).any():
        found = reshaped(logits, greedy, path)
        assert sampler.draw(found, np.array([0.7])) == [int(scores.argmax())]
        assert [cut.stage for cut in found.view.cuts if cut.stage == "top-p"] == []


@pytest.mark.parametrize("size", [2, 5_000, 151_936])
def test_at_temperature_100_the_tail_is_everything(size: int) -> None:
    logits = np.random.default_rng(3).standard_normal(size).astype(np.float32) * 4
    chosen = SamplingSettings(temperature=100.0, top_p=0.9)
    found = reshaped(logits, chosen)
    scores = transformers_scores(logits, chosen, [])
    assert np.array_equal(found.kept, np.isfinite(scores))
    if size > 2:
        assert 0.88 < found.view.kept / size < 0.91


def test_presence_and_frequency_follow_openais_formula() -> None:
    """mu[j] - c[j] * frequency - (c[j] > 0) * presence, over what was generated."""
    logits = np.array([2.0, 1.0, 0.5, 0.0], np.float32)
    chosen = SamplingSettings(temperature=1.0, presence_penalty=0.4, frequency_penalty=0.3)
    changes = changes_of(chosen, [3, 3, 0, 1, 1, 1], prompt_length=2)
    expected = [2.0 - 0.3 - 0.4, 1.0 - 3 * 0.3 - 0.4, 0.5, 0.0]
    assert sampler.reshape(row_of(logits), chosen, changes).changed == pytest.approx(expected)
    assert changes.of(1) == (("presence penalty", 0.4), ("frequency penalty", 0.3))
    assert changes.of(3) == ()


def test_a_dynamic_temperature_follows_the_entropy() -> None:
    chosen = SamplingSettings(temperature=1.0, dynamic_range=0.5)
    flat = reshaped([1.0] * 8, chosen).view
    sharp = reshaped([100.0, 0.0, 0.0], chosen).view
    assert flat.temperature == pytest.approx(1.5)
    assert sharp.temperature == pytest.approx(0.5)
    logits = np.array([2.0, 1.0, 0.0], np.float32)
    view = reshaped(logits, chosen).view
    p = np.exp(logits) / np.exp(logits).sum()
    by_hand = 0.5 + float(-(p * np.log(p)).sum()) / math.log(3)
    assert view.temperature == pytest.approx(by_hand, abs=1e-6)
    total = math.fsum(math.exp(view.fate(t, float(x)).logprob) for t, x in enumerate(logits))
    assert total == pytest.approx(1)


def test_top_k_keeps_all_that_tie_with_the_last() -> None:
    view = reshaped([0, 2, 1, 2, 1, 1, -3], SamplingSettings(temperature=1.0, top_k=3)).view

    assert view.kept == 5
    assert [(cut.stage, cut.kept, cut.tie) for cut in view.cuts] == [("top-k", 5, False)]


def test_a_nucleus_that_ends_inside_a_tie_is_marked_and_cut_as_transformers_cuts_it() -> None:
    logits, chosen = np.zeros(10, np.float32), SamplingSettings(temperature=1.0, top_p=0.35)

    found = reshaped(logits, chosen)

    assert found.view.kept == 4
    assert found.view.cuts[0].tie
    assert found.view.cuts[0].mass == pytest.approx(0.6)
    theirs = np.flatnonzero(np.isfinite(transformers_scores(logits, chosen, []))).tolist()
    assert sorted(set(sampler.draw(found, np.linspace(0, 0.999, 50)))) == theirs
    assert list(found.view.cuts[0].kept_tied) == theirs


def test_the_token_that_crosses_the_border_stays_in_the_nucleus() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    for value, kept in ((0.5, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.96, 4)):
        view = reshaped(logits, SamplingSettings(temperature=1.0, top_p=value)).view
        assert view.kept == kept


def test_each_cut_names_the_mass_that_entered_its_stage() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))

    view = reshaped(logits, SamplingSettings(temperature=1.0, top_k=3, top_p=0.7)).view

    assert [cut.stage for cut in view.cuts] == ["top-k", "top-p"]
    assert [cut.kept for cut in view.cuts] == [3, 2]
    assert view.cuts[0].mass == pytest.approx(0.1, abs=1e-6)
    assert view.cuts[1].mass == pytest.approx(0.2 / 0.9, abs=1e-6)
    assert view.cuts[1].words() == "top-p 0.7: reached at rank 2"


def test_a_banned_token_is_named_with_what_bans_it() -> None:
    chosen = SamplingSettings(temperature=1.0, no_repeat_ngram=2, banned=((3,),))
    path = [0, 1, 0]
    changes = changes_of(chosen, path)
    view = reshaped([1.0, 1.0, 1.0, 1.0], chosen, path).view
    cuts = [view.fate(token, 1.0, changes).cut for token in range(4)]
    assert [cut.stage if cut else None for cut in cuts] == [None, "no-repeat-ngram", None, "banned"]
    assert [cut.mass for cut in view.cuts] == pytest.approx([1 / 4, 1 / 3])


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_every_knob_that_is_on_changes_something(knob: Knob) -> None:
    path = [49, 48, 49, 48, 49]  # the most probable ones were there before
    plain = SamplingSettings(temperature=1.0)
    on = with_value(plain, knob, 2 if knob.whole else 0.5)
    logits = np.linspace(0, 6, 50)

    before, after = reshaped(logits, plain, path), reshaped(logits, on, path)

    same = np.array_equal(before.changed, after.changed) and np.array_equal(before.kept, after.kept)
    same = same and before.view.temperature == after.view.temperature
    assert same == (knob.field == "seed")


def test_every_filter_has_its_formula() -> None:
    filters = {stage.field for stage in table.STAGES if stage.kind == "filter"}

    assert set(sampler.FILTERS) == filters


class MadeUp(SamplingSettings, frozen=True):
    """Settings with one stage more."""

    made_up: float = 0.0


def test_a_new_stage_is_a_row_and_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Stage(field="made_up", name="made-up", short="mu", rules=(), turns=Turns(0.1, 0.5, 0, 1))
    monkeypatch.setattr(table, "STAGES", (*table.STAGES, row))
    monkeypatch.setitem(table.OFF, "made_up", 0.0)
    on = MadeUp(temperature=1.0, top_k=4, made_up=0.5)
    with pytest.raises(KeyError, match="made_up"):
        reshaped([4.0, 3.9, 3.0, 2.0, 1.0], on)
    monkeypatch.setitem(sampler.FILTERS, "made_up", MinPLogitsWarper)

    found = reshaped([4.0, 3.9, 3.0, 2.0, 1.0], on)
    effect = sampler_effects.effect(row_of([4.0, 3.9, 3.0, 2.0, 1.0]), on)

    assert found.kept.tolist() == [True, True, False, False, False]
    assert [(cut.stage, cut.value, cut.kept) for cut in found.view.cuts] == [
        ("top-k", 4, 4), ("made-up", 0.5, 2),
    ]  # fmt: skip
    assert [stage.stage for stage in effect.stages] == ["top-k", "made-up"]


def test_greedy_takes_the_lowest_id_of_a_tie() -> None:
    found = reshaped([1, 3, 0, 3], SamplingSettings())

    assert sampler.draw(found, np.array([0.9])) == [1]
    assert found.view.kept == 1


@settings(max_examples=150)
@given(with_holes(), looking_back, paths, st.floats(0, 1, exclude_max=True))
def test_a_draw_is_the_inverse_of_the_cumulative_sum(
    logits: np.ndarray, chosen: SamplingSettings, path: list[int], number: float
) -> None:
    path = [token % len(logits) for token in path]
    try:
        found = reshaped(logits, chosen, path)
    except UsageError:
        return

    (token,) = sampler.draw(found, np.array([number]))

    logprobs = fates(logits, chosen, path)
    order = np.lexsort((np.arange(len(logits)), -logprobs))
    place = int(np.flatnonzero(order == token)[0])
    probabilities = np.exp(logprobs[order])
    assert np.isfinite(logprobs[token])
    # Equal probabilities of unequal logits may stand in another order here.
    ties = probabilities[token == order].sum() * 2 if place else 0.0
    assert probabilities[:place].sum() <= number + 1e-9 + ties
    last = place == found.view.kept - 1
    assert last or probabilities[: place + 1].sum() > number - 1e-9 - ties


def test_draws_follow_the_sampler_probabilities() -> None:
    """Chi-square over 20,000 draws with numbers of a fixed seed."""
    logits = np.random.default_rng(5).standard_normal(300).astype(np.float32) * 2
    chosen = SamplingSettings(
        temperature=0.8, top_p=0.9, top_k=40, repetition_penalty=1.3, typical_p=0.95
    )
    path = [int(logits.argmax()), 7, 8]
    found = reshaped(logits, chosen, path)
    key, numbers = seed_key(11), []
    for turn in range(20_000):
        key = extend_key(key, turn)
        numbers.append(uniform(key))
    counts = np.bincount(sampler.draw(found, np.array(numbers)), minlength=300)

    expected = np.exp(fates(logits, chosen, path)) * len(numbers)
    assert not counts[expected == 0].any()
    counts, expected = counts[expected > 0], expected[expected > 0]
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = found.view.kept - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)
