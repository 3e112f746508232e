"""Weights that are no numbers are found at load and named; numbers that overflow, in the probe."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_adapters import save_adapter
from support.made_models import save_llama
from support.opening import opened, refusal

from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError

DOWN = "model.layers.1.mlp.down_proj.weight"


def plant(path: Path, value: float, *names: str, at: int = 7) -> Path:
    """Set one number of each of these tensors."""
    [file] = path.glob("*.safetensors")
    tensors = load_file(file)
    for name in names:
        tensors[name].view(-1)[at] = value
    save_file(tensors, file, metadata={"format": "pt"})
    return path


@pytest.mark.parametrize(
    ("value", "word"), [(torch.nan, "NaN"), (torch.inf, "infinity"), (-torch.inf, "infinity")]
)
@pytest.mark.parametrize(
    ("dtype", "stored"), [("auto", torch.bfloat16), ("own", torch.bfloat16), ("own", torch.float32)]
)
def test_a_weight_that_is_no_number_is_named(
    tmp_path: Path, value: float, word: str, dtype: str, stored: torch.dtype
) -> None:
    path = plant(save_llama(tmp_path / "m", dtype=stored), value, DOWN)
    assert refusal(path, dtype=dtype) == (
        f"{DOWN} of m holds {word} (1 of 2,048 numbers): its file is broken, choose another "
        "checkpoint of it."
    )


def test_the_first_of_several_layers_is_named(tmp_path: Path) -> None:
    names = (DOWN, "model.layers.0.self_attn.q_proj.weight", "lm_head.weight")
    path = plant(save_llama(tmp_path / "m"), torch.nan, *names)
    assert "model.layers.0.self_attn.q_proj.weight of m holds NaN (1 of 1,024 numbers, as 2 " in (
        refusal(path)
    )


def test_a_row_that_few_texts_reach_is_looked_at_too(tmp_path: Path) -> None:
    """No pass over other tokens would show it."""
    path = plant(save_llama(tmp_path / "m"), torch.nan, "model.embed_tokens.weight", at=-1)
    assert "model.embed_tokens.weight of m holds NaN" in refusal(path)


def test_an_adapter_that_holds_nan_is_refused(tmp_path: Path) -> None:
    base = save_llama(tmp_path / "m")
    style = save_adapter(tmp_path / "style", base)
    plant(style, torch.nan, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight")
    said = refusal(base, adapters=(Adapter("style", str(style)),))
    assert said.startswith(
        "model.layers.0.self_attn.q_proj.lora_B.style.weight of m+style holds NaN (1 of 128 numbers"
    )


def test_what_half_precision_cannot_hold_is_not_called_broken(tmp_path: Path) -> None:
    path = plant(save_llama(tmp_path / "m"), 1e6, DOWN)
    assert opened(path)
    assert refusal(path, dtype="float16") == (
        f"{DOWN} of m holds infinity (1 of 2,048 numbers): float16 holds nothing above 65,504: "
        "give --dtype float32."
    )


def test_a_pass_that_overflows_is_named_by_its_first_module(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "m")
    file = path / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.1.mlp.up_proj"
    tensors[f"{name}.weight"] *= 6e5
    save_file(tensors, file, metadata={"format": "pt"})
    LocalEngine.open(LoadOptions(str(path)), lambda _: None)
    with pytest.raises(ModelError, match="computes no numbers") as caught:
        LocalEngine.open(LoadOptions(str(path), dtype="float16"), lambda _: None)
    assert f"{name} is the first of its modules that gives NaN or infinity" in str(caught.value)
    assert "float16 is too coarse for it (--dtype float32 is not)" in str(caught.value)
