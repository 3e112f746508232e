"""What headers say of weights that are stored as codes."""

from typing import Any

import pytest

from tokexplore.models.codes import method_of, problems_of_codes, weights_in
from tokexplore.models.headers import TensorHeader


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
    "scales",
    [
        "q.weight_scale_inv",
        "q.weight_scale",
        "q.scale",
        "q.scales",
        "q.scale_inv",
        "q.qscale_weight",
    ],
)
def test_scales_are_known_by_their_names(scales: str) -> None:
    assert not problems_of_codes(FP8, {"q.weight": EIGHT, scales: header("F32", 2, 2)})
    assert problems_of_codes(FP8, {"k.weight": EIGHT, scales: header("F32", 2, 2)})


def test_scales_of_experts_in_one_tensor() -> None:
    experts = {"experts.up_proj": header("F8_E4M3", 4, 64, 64)}
    assert problems_of_codes(FP8, experts)
    assert not problems_of_codes(FP8, experts | {"experts.up_proj_scale_inv": header("F32", 4, 2)})


def test_masks_and_counters_are_no_codes() -> None:
    buffers = {
        "h.0.attn.bias": header("U8", 1, 1, 64, 64),
        "position_ids": header("I64", 1, 64),
        "mask": header("BOOL", 64, 64),
        "weight": header("I8", 4),
    }
    assert not problems_of_codes({}, buffers)


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
