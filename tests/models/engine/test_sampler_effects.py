"""The figures of the lens against plain sums over the whole vocabulary."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import families
from support.chains import transformers_chain
from transformers import LogitsProcessorList

from tokexplore.models.engine import sampler, sampler_effects
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.effects import SHOWN
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.randomness import path_key, uniform
from tokexplore.models.sampling.settings import SamplingSettings

PATH = [3, 1, 2, 1]


def row_of(logits: np.ndarray | list[float]) -> Row:
    return logits_row.summarise(torch.tensor(np.asarray(logits, dtype=np.float32)), "test")


def random_row(size: int, spread: float = 3.0) -> Row:
    random = np.random.default_rng(size)
    return row_of(random.standard_normal(size).astype(np.float32) * spread)


chains = st.builds(
    SamplingSettings,
    temperature=st.floats(0.1, 5) | st.just(1.0) | st.just(0.0),
    top_k=st.integers(0, 30),
    top_p=st.just(1.0) | st.floats(0.05, 1),
    min_p=st.just(0.0) | st.floats(0, 0.5),
    typical_p=st.just(1.0) | st.floats(0.05, 0.99),
    repetition_penalty=st.just(1.0) | st.floats(0.5, 2),
    banned=st.just(()) | st.just(((0,), (2,))),
)


@settings(max_examples=150)
@example(SamplingSettings(temperature=0.1), 239)
@given(chains, st.integers(5, 400))
def test_the_figures_are_those_of_plain_sums(chosen: SamplingSettings, size: int) -> None:
    row, changes = random_row(size), changes_of(chosen, PATH)

    told = sampler_effects.effect(row, chosen, changes)

    chain = LogitsProcessorList(transformers_chain(chosen))
    scores = chain(torch.tensor([PATH]), torch.from_numpy(row.logits.copy())[None])[0].double()
    if chosen.greedy:
        q = torch.zeros(size, dtype=torch.float64)
        q[scores.argmax()] = 1.0
    else:
        q = scores.softmax(dim=-1)
    p = torch.from_numpy(row.logits).double().softmax(dim=-1)
    kept = q > 0
    # The chain divides by the temperature in float32: so far its scores may be off.
    off = 2.0**-24 * float(scores[scores.isfinite()].abs().max())
    entropy = float(-(q[kept] * q[kept].log()).sum())
    assert told.entropy == pytest.approx(entropy, abs=1e-5 + 10 * off)
    kl = float((q[kept] * (q[kept] / p[kept]).log()).sum())
    assert told.kl == pytest.approx(kl, abs=1e-5 + 10 * off)
    assert told.removed == pytest.approx(float(p[~kept].sum()), abs=1e-6)
    assert told.view.kept == int(kept.sum())
    falling = torch.sort(q, descending=True, stable=True)
    count = min(SHOWN, told.view.kept)
    likely = falling.values[:count].tolist()
    assert list(told.probability_view) == pytest.approx(likely, abs=1e-6 + 2 * off)
    if told.stages:
        assert told.stages[-1].entropy == pytest.approx(told.entropy, abs=1e-9)
        assert told.stages[-1].kept == told.view.kept


def test_every_stage_says_what_it_moved() -> None:
    chosen = SamplingSettings(temperature=2.0, top_k=3, top_p=0.99, min_p=0.9)
    logits = np.log(np.array([0.5, 0.25, 0.15, 0.1]))

    told = sampler_effects.effect(row_of(logits), chosen)

    warm = np.sqrt([0.5, 0.25, 0.15, 0.1])
    warm /= warm.sum()
    names = [(stage.stage, stage.kept, stage.removed) for stage in told.stages]
    assert names == [("temperature", 4, 0), ("top-k", 3, 1), ("top-p", 3, 0), ("min-p", 1, 2)]
    by_hand = [np.abs(warm - [0.5, 0.25, 0.15, 0.1]).sum() / 2, warm[3], 0.0]
    assert [s.moved for s in told.stages[:3]] == pytest.approx(by_hand, abs=1e-6)
    assert told.stages[3].moved == pytest.approx(1 - warm[0] / warm[:3].sum(), abs=1e-6)


def test_the_teacher_s_numbers() -> None:
    words = [-49.82, -46.40, -45.25, -47.30, -48.32]
    plain = sampler_effects.effect(row_of(words), SamplingSettings(temperature=1.0))
    hot = sampler_effects.effect(row_of(words), SamplingSettings(temperature=100.0))
    assert plain.id_view[0] == hot.id_view[0] == 2
    assert plain.probability_view[0] == pytest.approx(0.66571, abs=1e-5)
    assert hot.probability_view[0] == pytest.approx(0.20436, abs=1e-5)
    three = sampler_effects.effect(row_of([2, 4, 3]), SamplingSettings(temperature=1.0))
    by_id = dict(zip(three.id_view, three.probability_view, strict=True))
    assert [by_id[i] for i in range(3)] == pytest.approx([0.0900, 0.6652, 0.2447], abs=5e-5)


def test_many_draws_are_those_that_drawing_again_gives() -> None:
    row, chosen = random_row(50), SamplingSettings(temperature=1.5, top_p=0.9, seed=4)
    found = sampler.reshape(row, chosen)
    told = sampler_effects.draws(row, chosen, PATH, 200)
    one_by_one = [
        sampler.draw(found, np.array([uniform(path_key(4, PATH), n)]))[0] for n in range(200)
    ]
    assert told.count == 200
    assert all(told.of(token) == one_by_one.count(token) for token in range(50))
    assert told.of(one_by_one[0]) > 0


def test_turning_knobs_at_a_step_runs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine(families.loaded(families.model("llama")))
    engine.describe(PATH)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr(type(engine.core.forward), "__call__", refuse)
    turned = [SamplingSettings(t, top_p=p) for t in (0.0, 0.5, 2.0) for p in (0.5, 1.0)]
    assert len(engine.effects(PATH, turned)) == 6
    assert engine.draws(PATH, turned[-1], 1000).count == 1000
    with pytest.raises(AssertionError, match="a forward pass"):
        engine.effects([*PATH, 5], turned)


def test_draws_follow_the_probabilities() -> None:
    row, chosen = random_row(40, 1.5), SamplingSettings(temperature=1.0, seed=2)
    told, count = sampler_effects.draws(row, chosen, PATH, 10_000), 10_000
    p = np.exp(row.logits.astype(np.float64) - row.lse)
    counts = np.array([told.of(token) for token in range(40)])
    chi_square = ((counts - count * p) ** 2 / (count * p)).sum()
    assert chi_square < 39 + 4 * math.sqrt(2 * 39)
