"""Weights in eight bits, quantised here or before: torchao's, compressed-tensors' own numbers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.made_adapters import save_adapter
from support.made_models import save, save_fp8, tokenizer
from support.made_quantised import bare, save_compressed, save_torchao, save_wide
from support.opening import opened, refusal
from support.written_gguf import random_model, write_gguf
from torch import nn
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    quantize_,
)
from transformers import BitsAndBytesConfig, GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.footprint import footprint
from tokexplore.models.engine.loading import quantize
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings

IDS = torch.arange(5, 25)[None]
KINDS: dict[str, tuple[Any, str]] = {
    "int8": (Int8WeightOnlyConfig, "int8"),
    "int8, activations too": (Int8DynamicActivationInt8WeightConfig, "int8"),
    "float8": (Float8WeightOnlyConfig, "float8_e4m3"),
}
COMPRESSED: dict[str, dict[str, Any]] = {
    "int-quantized": {"num_bits": 8, "type": "int", "strategy": "channel"},
    "pack-quantized": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32},
    "float-quantized": {"num_bits": 8, "type": "float", "strategy": "channel"},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wide(tmp_path_factory.mktemp("models") / "base")


@torch.inference_mode()
def logits(model: nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(IDS).logits
    return found


def by_torchao(base: Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """torchao's own model: all linear layers but the head."""
    model = bare(base, dtype=dtype)
    quantize_(model, Int8WeightOnlyConfig(), _inner)
    return model


def _inner(module: nn.Module, name: str) -> bool:
    return isinstance(module, nn.Linear) and name != "lm_head"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_int8_is_torchaos_own_model(base: Path, dtype: str) -> None:
    loaded = opened(base, quantize="int8", dtype=dtype)
    assert torch.equal(logits(loaded.model), logits(by_torchao(base, getattr(torch, dtype))))
    apart = (logits(loaded.model).float() - logits(bare(base))).abs().max()
    assert 0 < apart < 0.2 * logits(bare(base)).std()
    assert loaded.held == (
        "int8",
        f"int8 weights in 14 linear layers; embeddings, norms, head {dtype}",
    )


def test_a_gguf_file_is_quantised_as_its_weights(tmp_path: Path) -> None:
    model = random_model(LlamaForCausalLM)
    file = write_gguf(tmp_path / "m.gguf", model, "llama", kind="Q8_0")
    truth = opened(file).model
    quantize_(truth, Int8WeightOnlyConfig(), _inner)
    loaded = opened(file, quantize="int8")
    assert torch.equal(logits(loaded.model), logits(truth))
    assert loaded.held.format == "int8"
    assert any("are read as float32" in notice for notice in loaded.notices)


def test_weights_are_counted_as_they_are_held(base: Path) -> None:
    full, small = opened(base), opened(base, quantize="int8")
    rest = sum(
        p.numel() * 4
        for name, p in bare(base).named_parameters()
        if "proj" not in name or name == "lm_head.weight"
    )
    codes = (full.weight_bytes - rest) // 4
    assert small.parameters == full.parameters
    assert rest + codes < small.weight_bytes < rest + 1.1 * codes


def test_what_is_needed_is_known_before(base: Path) -> None:
    checkpoint = read_checkpoint(base)
    full = footprint(checkpoint, "float32")
    assert quantize.quantised_need("", checkpoint, "float32", full) == full
    need = quantize.quantised_need("int8", checkpoint, "float32", full)
    held = opened(base, quantize="int8").weight_bytes
    assert need.weight_bytes <= held < 1.1 * need.weight_bytes
    assert need.kv_bytes_per_token == full.kv_bytes_per_token


def test_streams_on_a_cache_are_torchaos_passes(base: Path) -> None:
    engine = LocalEngine.open(LoadOptions(str(base), quantize="int8"), lambda _: None)
    info = engine.info
    assert (info.weight_format, info.precision) == ("int8", "int8 weights, float32")
    assert info.provenance.weights == info.weights
    assert "torchao" in info.versions
    prompt = tuple(IDS[0].tolist())
    request = StreamRequest(prompt, SamplingSettings(), 8, ignore_eos=True)
    drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
    path = torch.tensor([[*prompt, *(event.standing.token for event in drawn)]])
    with torch.inference_mode():
        rows = by_torchao(base)(path).logits[0]
    for event in drawn:
        lse = rows[event.position - 1].double().logsumexp(0).item()
        assert event.distribution.lse == pytest.approx(lse, abs=1e-4)
    plain = LocalEngine.open(LoadOptions(str(base)), lambda _: None).info.provenance
    assert plain.differences(info.provenance) == [f"weights in full, now {info.weights}"]


def test_rows_of_one_pass_are_torchaos_passes(base: Path) -> None:
    engine = LocalEngine.open(LoadOptions(str(base), quantize="int8"), lambda _: None)
    prompt = tuple(IDS[0].tolist())
    paths = [(*prompt, token) for token in range(8)]
    for path, row in zip(paths, engine.rows_of(paths), strict=True):
        assert row.source == "step of 8 rows"
        with torch.inference_mode():
            expected = by_torchao(base)(torch.tensor([path])).logits[0, -1]
        assert torch.allclose(torch.from_numpy(row.logits), expected, atol=1e-4)


def test_sums_of_codes_are_not_split(base: Path) -> None:
    engine = LocalEngine.open(LoadOptions(str(base), quantize="int8"), lambda _: None)
    with pytest.raises(UsageError, match="holds its weights as codes"):
        list(engine.bench.split([5, 6, 7], [2]))


def test_an_adapter_adds_to_the_quantised_base(base: Path, tmp_path: Path) -> None:
    style = save_adapter(tmp_path / "style", base)
    on = (Adapter("style", str(style)),)
    loaded = opened(base, quantize="int8", adapters=on)
    truth = by_torchao(base)
    for key, a in load_file(style / "adapter_model.safetensors").items():
        if key.endswith("lora_A.weight"):
            path = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = load_file(style / "adapter_model.safetensors")[key.replace("lora_A", "lora_B")]
            _add(truth.get_submodule(path), b @ a * 2)  # lora_alpha / r = 8 / 4
    assert (logits(loaded.model) - logits(truth)).abs().max() < 1e-4
    assert loaded.held.format == "int8"


def _add(module: nn.Module, weights: torch.Tensor) -> None:
    """Add to what a linear layer gives."""
    module.register_forward_hook(lambda _m, inputs, output: output + inputs[0] @ weights.T)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "four bits on a CPU": (
        {"quantize": "int4", "device": "cpu"},
        "--quantize int4 needs a CUDA GPU: torchao 0.18.0 has no four-bit weights on cpu: give "
        "--quantize int8, or --device cuda.",
    ),
    "several devices": (
        {"quantize": "int8", "device_map": "auto"},
        "--quantize int8 and --device-map auto exclude each other: give only one.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(base: Path, case: str) -> None:
    options, sentence = REFUSED[case]
    assert refusal(base, UsageError, **options) == sentence


def test_without_torchao_the_extra_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "find_spec", lambda _name: None)
    assert refusal(base, quantize="int8") == (
        "--quantize int8 needs a package that is not installed: pip install torchao (the extra "
        "tokexplore[quantize])."
    )


def test_codes_are_not_quantised_again(tmp_path: Path) -> None:
    method = {
        "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32]
    }  # fmt: skip
    path = save_fp8(tmp_path / "eight", method=method)
    said = refusal(path, UsageError, quantize="int8")
    assert said.startswith("eight is quantised by fp8 already: leave --quantize int8 out")


def test_a_model_without_linear_layers_is_refused(tmp_path: Path) -> None:
    """GPT-2 has its matrices in layers of its own kind."""
    words = tokenizer()
    config = GPT2Config(vocab_size=len(words), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    path = save(tmp_path / "gpt2", GPT2LMHeadModel(config), words)
    assert "gpt2 has no linear layer that torchao quantises" in refusal(path, quantize="int8")


@pytest.mark.parametrize("name", KINDS)
def test_a_torchao_checkpoint_is_torchaos_own_model(base: Path, tmp_path: Path, name: str) -> None:
    kind, word = KINDS[name]
    path = save_torchao(tmp_path / "m", base, kind())
    loaded = opened(path)
    assert torch.equal(logits(loaded.model), logits(bare(path)))
    assert loaded.held.words == (
        f"{word} weights in 14 linear layers; embeddings, norms, head float32"
    )
    assert not torch.equal(logits(loaded.model), logits(bare(base)))


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_tensors_are_its_own_model(base: Path, tmp_path: Path, name: str) -> None:
    path, wanted = save_compressed(tmp_path / "m", base, name, **COMPRESSED[name])
    loaded = opened(path)
    assert (logits(loaded.model) - wanted).abs().max() < 1e-5
    assert loaded.held == ("", "")
    assert any("compressed-tensors weights are held in float32" in n for n in loaded.notices)


BITS: dict[str, tuple[dict[str, Any], str]] = {
    "eight": ({"load_in_8bit": True}, "int8"),
    "nf4": ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
    "fp4": ({"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, "fp4"),
    "nf4 with scales as codes": (
        {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
        },
        "nf4",
    ),
}


def save_bits(path: Path, base: Path, **kind: Any) -> Path:
    """By bitsandbytes, through transformers."""
    config = BitsAndBytesConfig(**kind, bnb_4bit_compute_dtype=torch.float32)
    return save(path, bare(base, quantization_config=config), tokenizer())


@pytest.mark.parametrize("name", BITS)
def test_a_bitsandbytes_checkpoint_is_its_own_model(base: Path, tmp_path: Path, name: str) -> None:
    kind, word = BITS[name]
    path = save_bits(tmp_path / "m", base, **kind)
    loaded = opened(path)
    assert loaded.codes_by == "bitsandbytes"
    assert torch.equal(logits(loaded.model), logits(bare(path)))
    assert not torch.equal(logits(loaded.model), logits(bare(base)))
    assert loaded.held.words == (
        f"{word} weights in 14 linear layers; embeddings, norms, head float32"
    )


@pytest.mark.parametrize(("name", "end"), [("eight", "SCB"), ("nf4", "absmax"), ("fp4", "absmax")])
def test_bitsandbytes_codes_without_scales_are_refused(
    base: Path, tmp_path: Path, name: str, end: str
) -> None:
    said = refusal(without(save_bits(tmp_path / "m", base, **BITS[name][0]), end))
    assert said.startswith("m lacks the scales of 7 of its ")
    state = without(save_bits(tmp_path / "n", base, **BITS["nf4"][0]), "quant_map")
    assert "what belongs to their codes" in refusal(state)


def without(path: Path, end: str) -> Path:
    """Leave out what ends so in the first layer."""
    file = path / "model.safetensors"
    with safe_open(file, "pt") as opened_file:
        metadata = opened_file.metadata()
    kept = {k: t for k, t in load_file(file).items() if "layers.0" not in k or not k.endswith(end)}
    save_file(kept, file, metadata=metadata)
    return path


@pytest.mark.parametrize("name", [*KINDS, *COMPRESSED])
def test_codes_without_scales_are_refused(base: Path, tmp_path: Path, name: str) -> None:
    if name in KINDS:
        path = save_torchao(tmp_path / "m", base, KINDS[name][0]())
    else:
        path, _ = save_compressed(tmp_path / "m", base, name, **COMPRESSED[name])
    said = refusal(without(path, "scale"))
    assert said.startswith("m lacks the scales of 7 of its ")
    assert "choose another checkpoint of it" in said


def test_a_zero_point_that_is_missing_is_told(base: Path, tmp_path: Path) -> None:
    path = save_torchao(tmp_path / "m", base, Int8WeightOnlyConfig())
    assert "what belongs to their codes" in refusal(without(path, "zero_point"))


def test_scales_that_are_no_numbers_are_named(base: Path, tmp_path: Path) -> None:
    path = save_torchao(tmp_path / "m", base, Int8WeightOnlyConfig())
    file = path / "model.safetensors"
    with safe_open(file, "pt") as opened_file:
        metadata = opened_file.metadata()
    tensors = load_file(file)
    name = next(key for key in tensors if "layers.1.mlp.up_proj" in key and key.endswith("scale"))
    tensors[name].view(-1)[3] = torch.nan
    save_file(tensors, file, metadata=metadata)
    said = refusal(Path(shutil.copytree(path, tmp_path / "copy")))
    assert said.startswith("model.layers.1.mlp.up_proj.weight of copy holds NaN (1 of 256 numbers)")
