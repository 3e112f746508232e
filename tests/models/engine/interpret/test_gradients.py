"""Gradients against torch.autograd on plain passes in f64."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from support import architectures, families, truth
from support.architectures import CONTEXT
from support.plain_passes import plain, slopes, target_of
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

EngineOf = Callable[..., LocalEngine]

FAMILIES = (
    "llama", "gpt2", "qwen2", "qwen3", "qwen3_moe", "mixtral", "olmoe", "deepseek_v3", "gpt_oss",
    "gemma3", "mistral", "roberta", "dbrx", "mamba", "mamba2", "lfm2", "qwen3_next", "falcon_h1",
    "nemotron_h", "rwkv", "recurrent_gemma", "llama_longrope", "llama_dynamic",
)  # fmt: skip
IDS = [1 + (7 * at + at * at // 3) % (families.ROWS - 1) for at in range(45)]
"""Without 0, which pads: RoBERTa gives it no position."""


@cache
def twin_of(family: str) -> PreTrainedModel:
    return plain(families.model(family))


def estimate(
    engine: LocalEngine, tokens: list[int], points: int, ids: list[int] = IDS
) -> Attributions:
    *_, last = engine.interpreter.gradients(ids, tokens, points, Control())
    assert isinstance(last, Attributions)
    return last


def value_of(twin: PreTrainedModel, tokens: list[int], scale: float) -> float:
    with torch.no_grad():
        embeddings = scale * twin.get_input_embeddings()(torch.tensor(IDS))
        return target_of(twin, embeddings, tokens).item()


@pytest.mark.parametrize("tokens", [[7], [50, 93]], ids=["one", "two"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_times_input(family: str, tokens: list[int], engine_of: EngineOf) -> None:
    found = estimate(engine_of(family), tokens, 0)
    twin = twin_of(family)
    wanted = slopes(twin, IDS, tokens, 1.0)

    tolerance = 20 * families.tolerance(family) * wanted.abs().max().item()
    assert found.scores == pytest.approx(wanted.tolist(), abs=tolerance)
    assert found.method == "gradient x input"
    assert found.points == 1
    near = families.tolerance(family)
    assert found.value == pytest.approx(value_of(twin, tokens, 1.0), abs=near)
    assert found.baseline == pytest.approx(value_of(twin, tokens, 0.0), abs=near)
    error = abs(sum(found.scores) - (found.value - found.baseline))
    assert found.completeness_error == pytest.approx(error)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral", "gemma3", "mamba", "gpt_oss"])
def test_integrated_gradients_are_the_rule_of_gauss_and_legendre(
    family: str, engine_of: EngineOf
) -> None:
    found = estimate(engine_of(family), [7], 4)
    # Of degree 4, as tables have it.
    far, near = (3 / 7 + 2 / 7 * (6 / 5) ** 0.5) ** 0.5, (3 / 7 - 2 / 7 * (6 / 5) ** 0.5) ** 0.5
    much, little = (18 + 30**0.5) / 36, (18 - 30**0.5) / 36
    rule = [(-far, little), (-near, much), (near, much), (far, little)]
    wanted = sum(w / 2 * slopes(twin_of(family), IDS, [7], (1 + x) / 2) for x, w in rule)
    assert isinstance(wanted, torch.Tensor)

    assert found.scores == pytest.approx(wanted.tolist(), abs=2e-3 * wanted.abs().max().item())
    assert (found.method, found.points) == ("integrated gradients", 4)


@pytest.mark.parametrize("family", ["gpt2", "roberta"])
def test_integrated_gradients_are_the_integral(family: str, engine_of: EngineOf) -> None:
    """Of models whose target is smooth on the way from zeros, as those with RMSNorm have it not."""
    found = estimate(engine_of(family), [50, 93], 60)
    fine = np.linspace(0, 1, 801)
    steps = torch.stack([slopes(twin_of(family), IDS, [50, 93], float(at)) for at in fine])
    wanted = torch.trapezoid(steps, torch.from_numpy(fine), dim=0)  # [n]

    assert found.scores == pytest.approx(wanted.tolist(), abs=2e-3)
    assert found.completeness_error < 1e-3
    coarse = estimate(engine_of(family), [50, 93], 3)
    assert coarse.completeness_error > 10 * found.completeness_error


def test_it_tells_how_far_it_is_and_stops(engine_of: EngineOf) -> None:
    control = Control()
    events = engine_of().interpreter.gradients(IDS, [7], 5, control)
    assert next(events) == Progress("gradients", 1, 5, "points")
    assert next(events) == Progress("gradients", 2, 5, "points")
    control.cancelled = True
    assert list(events) == []


def test_the_model_and_its_caches_stay_as_they_are(engine_of: EngineOf) -> None:
    engine = engine_of("llama_dynamic")
    before = truth.run(engine, IDS[:20], 4)
    estimate(engine, [7], 2)
    after = truth.run(engine, IDS[:20], 4)
    assert after.ids == before.ids
    assert all(p.grad is None for p in engine.core.forward.model.parameters())
    embedding = engine.core.forward.model.get_input_embeddings()
    assert not embedding._forward_hooks


@pytest.mark.parametrize(
    ("tokens", "points", "word"),
    [
        ([], 0, "0 tokens are no target"),
        ([1, 2, 3], 0, "3 tokens are no target"),
        ([7], -2, "-2 points make no rule"),
        ([96], 0, "token 96 is not in the vocabulary"),
    ],
)
def test_what_cannot_be_estimated_is_refused(
    tokens: list[int], points: int, word: str, engine_of: EngineOf
) -> None:
    with pytest.raises(UsageError, match=word):
        next(engine_of().interpreter.gradients(IDS, tokens, points, Control()))


def test_a_model_that_scales_its_embeddings_in_place_has_gradients_too() -> None:
    engine = LocalEngine(families.loaded(architectures.build("ctrl"), context=CONTEXT))
    twin = plain(engine.core.forward.model)
    wanted = slopes(twin, IDS, [7], 1.0)
    found = estimate(engine, [7], 0)
    assert found.scores == pytest.approx(wanted.tolist(), abs=2e-3 * wanted.abs().max().item())


class _OneWay(torch.autograd.Function):
    """A kernel without a backward pass."""

    @staticmethod
    def forward(_context, states):  # type: ignore[no-untyped-def]
        return states * 1


def test_a_model_without_a_backward_pass_is_refused() -> None:
    model = families.model("llama")
    model.model.norm.register_forward_hook(lambda *given: _OneWay.apply(given[-1]))
    with pytest.raises(UsageError, match="gradients do not get through tiny: "):
        estimate(LocalEngine(families.loaded(model)), [7], 0)


def test_a_model_whose_attention_lets_no_gradient_through_is_refused() -> None:
    model = families.model("llama")
    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(
            lambda _module, _inputs, output: (output[0].detach(), *output[1:])
        )
    with pytest.raises(UsageError, match="token 0 of a path has an effect and no gradient"):
        estimate(LocalEngine(families.loaded(model)), [7], 0)


def test_a_target_that_the_model_cannot_say_is_refused() -> None:
    model = families.model("llama")
    bar = torch.zeros(families.ROWS)
    bar[7] = -torch.inf
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: output + bar)
    engine = LocalEngine(families.loaded(model))
    assert estimate(engine, [8], 0).scores
    with pytest.raises(UsageError, match="no numbers at this path"):
        estimate(engine, [7], 0)
