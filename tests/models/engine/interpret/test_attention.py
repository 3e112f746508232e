"""Attention weights against those that a full eager pass gives."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from support import families, truth
from support.families import BORDER
from support.made_attention import PLACES, induction_model, marker_model
from support.plain_passes import plain
from transformers import PreTrainedModel

from tokexplore.models.api.interpreter import AttentionWeights
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

EngineOf = Callable[..., LocalEngine]

FAMILIES = {
    "llama": (1, 2), "gpt2": (1, 2), "qwen2": (1, 2), "qwen3": (1, 2), "qwen3_moe": (1, 2),
    "mixtral": (1, 2), "olmoe": (1, 2), "deepseek_v3": (1, 2), "gpt_oss": (1, 2),
    "gemma3": (1, 2, 3), "mistral": (1, 2), "roberta": (1, 2), "dbrx": (1, 2), "qwen3_next": (2,),
    "lfm2": (2,), "falcon_h1": (1, 2), "nemotron_h": (2,), "llama_longrope": (1, 2),
    "llama_dynamic": (1, 2),
}  # fmt: skip
IDS = [1 + (7 * at + at * at // 3) % (families.ROWS - 1) for at in range(45)]


@cache
def twin_of(family: str) -> PreTrainedModel:
    return plain(families.model(family))


def array_of(found: AttentionWeights) -> np.ndarray:
    """[layers, heads, n]."""
    flat = np.frombuffer(found.weights, np.float32)
    return flat.reshape(len(found.layers), found.heads, found.tokens)


@torch.no_grad()
def wanted_of(family: str, ids: list[int]) -> np.ndarray:
    given = torch.tensor([ids])
    told = twin_of(family)(input_ids=given, use_cache=False, output_attentions=True).attentions
    rows = [layer[0, :, -1] for layer in told if layer is not None]  # [heads, n]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_weights_are_those_of_a_full_eager_pass(family: str, engine_of: EngineOf) -> None:
    engine = engine_of(family)
    for length in (45, 1, 2, BORDER, BORDER + 1, 9):  # now on a cache, now without
        found = engine.interpreter.attention(IDS[:length])
        assert (found.layers, found.tokens) == (FAMILIES[family], length)
        wanted = wanted_of(family, IDS[:length])
        assert np.abs(array_of(found) - wanted).max() < families.tolerance(family)
        sums = array_of(found).sum(-1)
        assert (sums < 0.999).any() if family == "gpt_oss" else np.allclose(sums, 1, atol=1e-5)
    assert found.kernel == "eager"
    assert found.own_kernel is (family == "gpt_oss")


def test_a_window_shows_nothing_before_it(engine_of: EngineOf) -> None:
    weights = array_of(engine_of("gemma3").interpreter.attention(IDS))
    assert (weights[:2, :, : -families.WINDOW] == 0).all()
    assert (weights[:2, :, -families.WINDOW :] > 0).all()
    assert (weights[2] > 0).all()


def test_streams_know_nothing_of_it(engine_of: EngineOf) -> None:
    untouched = truth.run(engine_of("llama"), IDS, 8)
    engine = engine_of("llama")
    own = engine.core.forward.model.config._attn_implementation
    truth.run(engine, IDS, 2)
    engine.interpreter.attention(IDS)
    assert engine.core.forward.model.config._attn_implementation == own
    assert not any(module._forward_hooks for module in engine.core.forward.model.modules())
    again = truth.run(engine, IDS, 8)
    assert again.ids == untouched.ids
    for mine, theirs in zip(again.said, untouched.said, strict=True):
        ours, others = (list(each.distribution.logit_view) for each in (mine, theirs))
        assert ours == pytest.approx(others, abs=1e-5)


def test_nothing_of_the_other_kernel_stays_in_the_caches(engine_of: EngineOf) -> None:
    engine = engine_of("llama")
    engine.row(IDS)
    (leaf,) = engine.core.leaves
    del leaf.ids[-1]
    leaf.cache = kv.fork(leaf.cache, len(IDS) - 1)  # as of a stream that stands right before it
    keys = [layer.keys.clone() for layer in leaf.cache.layers]
    engine.interpreter.attention(IDS)
    assert [len(held) for held in engine.core.leaves] == [len(IDS) - 1]
    for layer, before in zip(leaf.cache.layers, keys, strict=True):
        assert torch.equal(layer.keys, before)


def test_heads_that_are_made_to_look_somewhere_are_seen_to() -> None:
    engine = LocalEngine(families.loaded(marker_model({10: 33}), context=PLACES))
    ids = [70, 71, 10, 72, 73, 74]
    assert array_of(engine.interpreter.attention(ids))[0, 0].argmax() == 2
    assert array_of(engine.interpreter.attention(ids))[0, 0, 2] > 0.999
    engine = LocalEngine(families.loaded(induction_model(), context=PLACES))
    ids = [5, 6, 7, 8, 9, 7]
    weights = array_of(engine.interpreter.attention(ids))
    assert weights[0, 0].argmax() == 4, "the token before"
    assert weights[1, 0].argmax() == 3, "what came after the last token"


@pytest.mark.parametrize("family", ["mamba", "mamba2", "rwkv"])
def test_a_model_without_attention_is_refused(family: str, engine_of: EngineOf) -> None:
    with pytest.raises(UsageError, match=r"^tiny gives no attention weights"):
        engine_of(family).interpreter.attention(IDS)


def test_a_kernel_that_computes_something_else_is_refused() -> None:
    model = families.model("llama")
    own = model.config._attn_implementation
    model.lm_head.register_forward_hook(
        lambda _module, _inputs, output: (
            output * 1.01 if model.config._attn_implementation == "eager" else output
        )
    )
    with pytest.raises(UsageError, match="other logits with the kernel that tells its weights"):
        LocalEngine(families.loaded(model)).interpreter.attention(IDS)
    assert model.config._attn_implementation == own


def test_what_no_attention_gives_is_not_taken_for_weights() -> None:
    """A pair of a block whose second member has the shape of weights and is none."""
    model = families.model("llama")
    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(
            lambda _module, _inputs, output: (
                output[0],
                None if output[1] is None else output[1] + 0.5,
            )
        )
    with pytest.raises(UsageError, match="gives no attention weights"):
        LocalEngine(families.loaded(model)).interpreter.attention(IDS)
