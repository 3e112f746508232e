"""Checkpoints whose weights are codes: their numbers are the model's, or they are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_models import in_full, llama, save, save_fp8, save_llama, tokenizer
from support.opening import opened, refusal
from support.written_models import edit_json
from transformers import GptOssConfig, GptOssForCausalLM, MambaConfig, MambaForCausalLM
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.codes import held_in_full
from tokexplore.models.catalog.entries import list_models
from tokexplore.models.catalog.footprint import footprint
from tokexplore.models.engine.loading import quantization

BLOCKS = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32]}
IDS = torch.arange(5, 25)[None]


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_fp8(tmp_path_factory.mktemp("models") / "eight", method=BLOCKS)


@pytest.fixture
def model_dir(eight: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(eight, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("dtype", "held", "tolerance"),
    [
        ("auto", torch.float32, 1e-5),
        ("float32", torch.float32, 1e-5),
        ("own", torch.bfloat16, 0.2),
        ("float16", torch.float16, 0.02),
    ],
)
def test_codes_times_scales_are_the_weights_in_every_dtype(
    eight: Path, dtype: str, held: torch.dtype, tolerance: float
) -> None:
    loaded = opened(eight, dtype=dtype)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {held}
    truth = llama(loaded.rows)
    truth.load_state_dict(in_full(eight))
    with torch.inference_mode():
        found, wanted = loaded.model(IDS).logits.float(), truth(IDS).logits
    assert (found - wanted).abs().max() < tolerance * wanted.std()
    assert any("fp8 weights are held in" in notice for notice in loaded.notices)


def test_the_memory_of_codes_is_that_of_the_weights_they_become(eight: Path) -> None:
    checkpoint = read_checkpoint(eight)
    loaded = opened(eight)
    assert footprint(checkpoint, "float32", in_full=True).weight_bytes == loaded.weight_bytes
    assert footprint(checkpoint, "bfloat16", in_full=True).weight_bytes == loaded.weight_bytes // 2
    assert footprint(checkpoint, "auto").weight_bytes < loaded.weight_bytes // 2


def save_mxfp4(path: Path) -> dict[str, torch.Tensor]:
    """A tiny gpt-oss with packed experts; its weights in f32."""
    words = tokenizer()
    config = GptOssConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=8, max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )  # fmt: skip
    torch.manual_seed(0)
    save(path, GptOssForCausalLM(config).to(torch.bfloat16), words)
    tensors = load_file(path / "model.safetensors")
    full = {name: tensor.float() for name, tensor in tensors.items()}
    half = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    values = torch.cat([half, -half])  # [16], of the codes
    for name in [name for name in tensors if name.endswith("_proj") and "experts" in name]:
        experts, rows, columns = tensors.pop(name).shape
        codes = torch.randint(0, 16, (experts, columns, rows // 32, 32))
        scales = torch.randint(120, 127, (experts, columns, rows // 32))
        pairs = codes.view(experts, columns, rows // 32, 16, 2)
        tensors[f"{name}_blocks"] = (pairs[..., 0] + 16 * pairs[..., 1]).to(torch.uint8)
        tensors[f"{name}_scales"] = scales.to(torch.uint8)
        weight = values[codes] * torch.exp2(scales[..., None] - 127.0)
        full[name] = weight.view(experts, columns, rows).transpose(1, 2).contiguous()
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    edit_json(path / "config.json", quantization_config={"quant_method": "mxfp4"})
    return full


def test_packed_experts_are_counted_and_computed_at_full_width(tmp_path: Path) -> None:
    full = save_mxfp4(tmp_path / "oss")
    loaded = opened(tmp_path / "oss")
    truth = GptOssForCausalLM(loaded.model.config).eval()
    truth.load_state_dict(full)
    with torch.inference_mode():
        found, wanted = loaded.model(IDS).logits, truth(IDS).logits
    assert (found - wanted).abs().max() < 1e-5 * wanted.std()
    checkpoint = read_checkpoint(tmp_path / "oss")
    assert footprint(checkpoint, "float32", in_full=True).weight_bytes == loaded.weight_bytes
    assert footprint(checkpoint, "auto").weight_bytes < loaded.weight_bytes / 2


def _without_method(path: Path) -> None:
    edit_json(path / "config.json", quantization_config=None)


def _method(name: str | None, **more: Any) -> Callable[[Path], None]:
    stated = {"quant_method": name, **more} if name else more
    return lambda path: edit_json(path / "config.json", quantization_config=stated)


def _without(end: str) -> Callable[[Path], None]:
    def drop(path: Path) -> None:
        tensors = load_file(path / "model.safetensors")
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(end)}
        save_file(kept, path / "model.safetensors", metadata={"format": "pt"})

    return drop


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no method": (_without_method, "stores 14 weights as F8_E4M3 codes"),
    "a method without a name": (_method(None, bits=8), "stores 14 weights as F8_E4M3 codes"),
    "an unknown method": (_method("modelopt"), "is quantised by 'modelopt', which transformers"),
    "no scales": (_without("_scale_inv"), "lacks the scales of 14 of its F8_E4M3 weights"),
    "no scales of one kind": (_without("up_proj.weight_scale_inv"), "lacks the scales of 2 of its"),
    "blocks that do not divide": (
        _method("fp8", weight_block_size=[24, 32]),
        "has FP8 weights that its blocks of 24x32 do not divide (model.layers.0.",
    ),
    "a GPU's method": (_method("fbgemm_fp8"), "fbgemm_fp8, which runs on GPUs only"),
    "packages": (_method("gptq", bits=4), "are not installed: pip install optimum gptqmodel."),
    "AWQ": (_method("awq", bits=4), "are not installed: pip install gptqmodel."),
    "bitsandbytes of old": (_method(None, load_in_8bit=True), "pip install bitsandbytes."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_codes_that_cannot_become_weights_are_refused_unread(
    model_dir: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("the weights were read")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", read)
    monkeypatch.setattr(quantization, "find_spec", lambda _name: None)
    spoil, expected = REFUSED[case]
    spoil(model_dir)
    assert expected in refusal(model_dir)


@pytest.mark.parametrize(
    ("beside", "unused"),
    [
        ("model.layers.0.self_attn.q_proj.weight_scale", True),
        ("model.layers.0.self_attn.q_proj.scales", True),
        ("model.layers.0.mlp.up_proj.qzeros", True),
        ("model.layers.1.mlp.up_proj.g_idx", True),
        ("model.layers.1.mlp.down_proj.SCB", True),
        ("model.layers.1.mlp.down_proj.weight.absmax", True),
        ("model.layers.1.mlp.down_proj.weight.quant_state.bitsandbytes__nf4", True),
        ("model.layers.0.self_attn.q_proj.bias", True),
        ("model.layers.0.self_attn.o_proj.lora_A.weight", True),
        ("base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight", True),
        ("model.layers.0.self_attn.q_proj.input_scale", False),
        ("model.layers.0.self_attn.k_proj.k_scale", False),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", False),
        ("model.layers.0.self_attn.extra", False),
        ("visual.blocks.0.q_proj.weight_scale", False),
    ],
)
def test_an_unused_tensor_that_belongs_to_a_weight_is_refused(
    tmp_path: Path, beside: str, unused: bool
) -> None:
    path = save_llama(tmp_path / "copy")
    file = path / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, beside: torch.full((4,), 0.5)}, file, metadata={"format": "pt"})
    if unused:
        assert f"not used ({beside}): without them its numbers" in refusal(path)
    else:
        opened(path)
    zeros = {**tensors, beside: torch.zeros(4)}
    if beside.endswith(".bias"):
        save_file(zeros, file, metadata={"format": "pt"})
        opened(path)


def pickled(path: Path) -> Path:
    """The same weights as torch's own file."""
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()
    return path


def test_pickled_codes_with_scales_are_the_same_weights(eight: Path, model_dir: Path) -> None:
    found, wanted = opened(pickled(model_dir)), opened(eight)
    with torch.inference_mode():
        assert torch.equal(found.model(IDS).logits, wanted.model(IDS).logits)


@pytest.mark.parametrize(
    ("method", "text"),
    [(None, "as F8_E4M3 codes"), (BLOCKS, "lacks the scales of 14 of its F8_E4M3 weights")],
)
def test_pickled_codes_without_scales_are_refused(
    tmp_path: Path, method: dict[str, Any] | None, text: str
) -> None:
    assert text in refusal(pickled(save_fp8(tmp_path / "bare", method=method, scales="")))


def stored_as(path: Path, name: str, dtype: str) -> Path:
    """A Llama of which one tensor is stored as codes without scales."""
    file = save_llama(path) / "model.safetensors"
    tensors = load_file(file)
    tensors[name] = tensors[name].to(getattr(torch, dtype))
    save_file(tensors, file, metadata={"format": "pt"})
    return path


@pytest.mark.parametrize(
    ("dtype", "named"),
    [("int8", "I8"), ("int64", "I64"), ("bool", "BOOL"), ("float8_e8m0fnu", "F8_E8M0")],
)
@pytest.mark.parametrize("name", ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"])
def test_codes_without_a_method_are_no_weights(
    tmp_path: Path, name: str, dtype: str, named: str
) -> None:
    path = stored_as(tmp_path / "copy", name, dtype)
    assert f"stores 1 weights as {named} codes ({name})" in refusal(path)
    assert refusal(path).removeprefix("copy ").removesuffix(".") in list_models([path])[-1].problems


def test_codes_for_what_a_model_has_as_floating_point_numbers(tmp_path: Path) -> None:
    """No header tells that these are parameters: the model does."""
    words = tokenizer()
    config = MambaConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, state_size=4, conv_kernel=2
    )
    path = save(tmp_path / "mamba", MambaForCausalLM(config), words)
    tensors = load_file(path / "model.safetensors")
    name = next(name for name in tensors if name.endswith("mixer.D"))
    codes = {**tensors, name: tensors[name].to(torch.int8)}
    save_file(codes, path / "model.safetensors", metadata={"format": "pt"})
    assert f"stores 1 weights as I8 codes ({name})" in refusal(path)


def test_numbers_of_places_are_no_codes(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "copy")
    file = path / "model.safetensors"
    more = {
        "model.position_ids": torch.arange(8)[None],
        "model.num_batches_tracked": torch.tensor(3),
    }
    save_file({**load_file(file), **more}, file, metadata={"format": "pt"})
    assert opened(path).layers == 2


@pytest.mark.parametrize("scales", ["weight_scale", "scales", "scale_inv", "weight_scale_2", ""])
@pytest.mark.parametrize("written", ["safetensors", "pickled"])
def test_the_list_calls_bad_what_is_refused(tmp_path: Path, scales: str, written: str) -> None:
    path = save_fp8(tmp_path / "misnamed", method=BLOCKS, scales=scales)
    said = refusal(path if written == "safetensors" else pickled(path))
    assert "lacks the scales of 14 of its F8_E4M3 weights" in said
    (problem,) = list_models([path])[-1].problems
    assert said == f"misnamed {problem}."


@pytest.mark.parametrize("scales", ["scale", "qscale_weight"])
def test_scales_under_other_names_that_are_taken_are_scales(tmp_path: Path, scales: str) -> None:
    path = save_fp8(tmp_path / "other", method=BLOCKS, scales=scales)
    wanted = save_fp8(tmp_path / "usual", method=BLOCKS)
    assert list_models([path])[-1].complete
    with torch.inference_mode():
        found = opened(path).model(IDS).logits
        assert torch.equal(found, opened(wanted).model(IDS).logits)


def test_an_mlx_checkpoint_is_named(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "copy")
    for key in ("quantization", "quantization_config"):
        edit_json(path / "config.json", **{key: {"group_size": 64, "bits": 4}})
        assert "is quantised for MLX (4 bits in groups of 64), which only MLX reads" in refusal(
            path
        )


def test_methods_that_are_held_in_full_are_methods() -> None:
    assert all(method in AUTO_QUANTIZER_MAPPING for method in ("fp8", "mxfp8", "mxfp4", "metal"))
    assert held_in_full("mxfp4", cpu=True)
    assert held_in_full("compressed-tensors", cpu=False)
    assert not held_in_full("gptq", cpu=True)
    assert not held_in_full("", cpu=True)
