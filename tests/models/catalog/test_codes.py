"""What headers say of weights that are stored as codes."""

from typing import Any

import pytest

from tokexplore.models.catalog.codes import method_of, problems_of_codes, weights_in
from tokexplore.models.catalog.headers import TensorHeader


def header(dtype: str, *shape: int) -> TensorHeader:
    return TensorHeader(dtype, list(shape), (0, 0))


FP8 = {"quantization_config": {"quant_method": "fp8"}}
MXFP4 = {"quantization_config": {"quant_method": "mxfp4"}}
PACKED = {"quantization_config": {"quant_method": "compressed-tensors"}}
EIGHT = header("F8_E4M3", 64, 64)


@pytest.mark.parametrize(
    ("config", "tensors", "count"),
    [
        (FP8, {"q.weight": EIGHT, "q.weight_scale_inv": header("F32", 2, 2)}, 4096),
        (FP8, {"norm.weight": header("BF16", 64)}, 64),
        (
            MXFP4,
            {
                "experts.down_proj_blocks": header("U8", 4, 64, 2, 16),
                "experts.down_proj_scales": header("U8", 4, 64, 2),
                "experts.down_proj_bias": header("BF16", 4, 64),
            },
            4 * 64 * 64 + 4 * 64,
        ),
        (
            PACKED,
            {
                "q.weight_packed": header("I32", 64, 8),
                "q.weight_shape": header("I64", 2),
                "q.weight_scale": header("BF16", 64, 1),
                "q.weight_zero_point": header("I32", 64, 1),
            },
            4096,
        ),
        (PACKED, {"q.weight_packed": header("U8", 64, 32)}, 4096),
        (FP8, {"w1.weight": header("I8", 64, 32), "w1.scale": header("F8_E8M0", 64, 2)}, 4096),
    ],
)
def test_packed_codes_are_counted_singly_and_scales_not(
    config: dict[str, Any], tensors: dict[str, Any], count: int
) -> None:
    assert weights_in(config, tensors) == count


@pytest.mark.parametrize(
    ("scales", "methods"),
    [
        ("q.weight_scale_inv", "fp8 mxfp8 other"),
        ("q.scale", "fp8 mxfp8 other"),
        ("q.qscale_weight", "fp8 mxfp8 other"),
        ("q.weight_scale", "other"),
        ("q.scales", "other"),
        ("q.scale_inv", "other"),
        ("q.weight._scale", "other"),
        ("q.weight_scale_2", ""),
        ("q.weight", ""),
    ],
)
@pytest.mark.parametrize("method", ["fp8", "mxfp8", "other"])
def test_scales_are_known_by_the_names_that_a_method_gives_them(
    scales: str, methods: str, method: str
) -> None:
    config = {"quantization_config": {"quant_method": method}}
    found = problems_of_codes(config, {"q.weight": EIGHT} | {scales: header("F32", 2, 2)})
    lacks = [] if scales == "q.weight" else ["lacks the scales of 1 of its F8_E4M3 weights"]
    expected = [] if method in methods.split() else lacks
    assert [text.partition(" (")[0] for text in found] == expected
    assert problems_of_codes(config, {"k.weight": EIGHT, scales: header("F32", 2, 2)})


@pytest.mark.parametrize(
    ("codes", "scales", "method"),
    [
        ("embed_tokens.weight", "embed_tokens.weight_scale", "fp8"),
        ("mlp.experts.w13_weight", "mlp.experts.w13_weight_scale", "fp8"),
        ("q.weight._data", "q.weight._scale", "quanto"),
        ("q._weight_qdata", "q._weight_scale", "torchao"),
    ],
)
def test_scales_stand_beside_their_codes_under_the_names_of_a_library(
    codes: str, scales: str, method: str
) -> None:
    config = {"quantization_config": {"quant_method": method}}
    assert problems_of_codes(config, {codes: EIGHT})
    assert not problems_of_codes(config, {codes: EIGHT, scales: header("F32", 2, 2)})


def test_scales_of_experts_in_one_tensor() -> None:
    experts = {"experts.up_proj": header("F8_E4M3", 4, 64, 64)}
    assert problems_of_codes(FP8, experts)
    assert not problems_of_codes(FP8, experts | {"experts.up_proj_scale_inv": header("F32", 4, 2)})


def test_masks_and_counters_are_no_codes() -> None:
    buffers = {
        "h.0.attn.bias": header("U8", 1, 1, 64, 64),
        "position_ids": header("I64", 1, 64),
        "embeddings.token_type_ids": header("I64", 64),
        "norm.num_batches_tracked": header("I64"),
        "mask": header("BOOL", 64, 64),
        "counts": header("I32", 64),
    }
    assert not problems_of_codes({}, buffers)
    assert not problems_of_codes(FP8, buffers)


@pytest.mark.parametrize(
    "dtype", ["I8", "U8", "I64", "BOOL", "U16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "C64"]
)
@pytest.mark.parametrize("name", ["model.norm.weight", "q.bias", "LayerNorm.gamma"])
def test_codes_of_one_dimension_are_codes(name: str, dtype: str) -> None:
    tensors = {name: header(dtype, 8)}
    (said,) = problems_of_codes({}, tensors)
    assert said.startswith(f"stores 1 weights as {dtype} codes ({name}) and its config.json names")
    (said,) = problems_of_codes({"quantization_config": {"quant_method": "bitsandbytes"}}, tensors)
    assert said.startswith(f"lacks the scales of 1 of its {dtype} weights ({name})")


def test_codes_are_no_floating_point_numbers_whatever_they_are_called() -> None:
    tensors = {
        "layers.0.A_log": header("I32", 8),
        "experts.gate_up_proj": header("I8", 4, 8, 8),
        "position_ids": header("I64", 1, 64),
    }
    assert not problems_of_codes({}, tensors)
    (said,) = problems_of_codes({}, tensors, {"layers.0.A_log", "experts.gate_up_proj"})
    assert said.startswith("stores 2 weights as I32 codes (layers.0.A_log)")
    (said,) = problems_of_codes(MXFP4, tensors, {"layers.0.A_log", "experts.gate_up_proj"})
    assert said.startswith("lacks the scales of 1 of its I32 weights (layers.0.A_log)")


@pytest.mark.parametrize(
    ("stated", "method"),
    [
        ({"quant_method": "gptq"}, "gptq"),
        ({"load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": 3}, ""),
        ({}, ""),
        (None, ""),
        ("gptq", ""),
        (["gptq"], ""),
    ],
)
def test_the_method_is_what_the_config_states(stated: Any, method: str) -> None:
    assert method_of({"quantization_config": stated}) == method
    assert method_of({"text_config": {"quantization_config": stated}}) == method
