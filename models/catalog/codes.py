"""Weights that are stored as codes, by their headers: do they have what gives them their values?

A code (an eight-bit float, a packed integer) is a weight only together with its scales. Without
them, or without a method that says how to use them, it would load as if it were the weight itself.
"""

import re
from collections.abc import Container, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from tokexplore.models.catalog.headers import TensorHeader

_PLAIN = ("F64", "F32", "F16", "BF16")
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL")
_WEIGHT = re.compile(r"(weight|weight_packed|_blocks|_qdata)$")
_VECTOR = re.compile(r"(weight|bias|gamma|beta)$")
"""What a model may have one number a channel of; a `bias` of more dimensions may be a mask."""
_SCALE = re.compile(r"scale|absmax|zero|g_idx|weight_shape|SCB|quant_")
_CODES_OF = re.compile(r"(\.weight(_packed)?)?(\._(weight_q|q)?data)?$")
"""The end of the name of a tensor of codes; before it stands the name of what they are of."""
_SCALES_OF = (
    re.compile(r"(\.weight)?[._]+(weight_)?q?scale(s|_inv|_weight)?$"),
    re.compile(r"_scale(_inv)?$"),  # of `experts.w13_weight`
    re.compile(r"(\.weight)?\._weight_\w*scale\w*$"),  # of torchao, some with zero points
    re.compile(r"\.weight\.absmax$|\.SCB$"),  # of bitsandbytes
)
"""The same of a tensor of scales."""
_BLOCK_SCALES = re.compile(
    r"_scale_inv$|\.scale$|\.qscale_weight$|(embed\w*\.|experts\.w\d+_)weight_scale$"
)
_SCALES_BY_METHOD = {"fp8": _BLOCK_SCALES, "mxfp8": _BLOCK_SCALES}
"""The names of scales that transformers takes, where it takes some of them only."""
_ALL_SCALED = frozenset(["bitsandbytes", "torchao", "compressed-tensors"])
"""Methods whose codes all have scales beside them, under names that are known here."""
_ON_CPU = frozenset(["fp8", "mxfp8", "mxfp4", "metal", "compressed-tensors"])
"""Methods whose weights transformers gives their full width back where no GPU runs on the codes."""


def stated_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of its quantisation; multimodal models may say it of their text model."""
    for place in (config, config.get("text_config")):
        stated = place.get("quantization_config") if isinstance(place, Mapping) else None
        if isinstance(stated, dict):
            return stated
    return {}


def method_of(config: Mapping[str, Any]) -> str:
    """Quantisation method that a config names, such as `gptq`; empty where it names none."""
    stated = stated_in(config)
    method = stated.get("quant_method")
    if not method and (stated.get("load_in_4bit") or stated.get("load_in_8bit")):
        return "bitsandbytes"  # which old versions of it leave out
    return method if isinstance(method, str) else ""


def problems_of_codes(
    config: Mapping[str, Any],
    tensors: Mapping[str, TensorHeader],
    floating: Container[str] = (),
) -> list[str]:
    """What keeps codes from being weights, each to be read after the model's name.

    Args:
        floating: names of what the model has as floating-point numbers, where the model is known;
            else the usual names tell.
    """
    if mlx := _mlx(config):
        return [mlx]
    codes = {n: h.dtype for n, h in tensors.items() if _is_code(n, h, floating)}
    if not codes:
        return []
    name, dtype = next(iter(codes.items()))
    method = method_of(config)
    if not method:
        return [
            f"stores {len(codes)} weights as {dtype} codes ({name}) and its config.json names no "
            "quantisation method that turns them into weights: choose another checkpoint of it"
        ]
    scaled = _scaled(tensors, method)
    alone = [
        n
        for n in codes
        if method in _ALL_SCALED or codes[n].startswith("F8") or len(tensors[n].shape) < 2
    ]
    if bare := [n for n in alone if _CODES_OF.sub("", n, count=1) not in scaled]:
        return [
            f"lacks the scales of {len(bare)} of its {codes[bare[0]]} weights ({bare[0]}) under "
            f"the names that {method} gives them: choose another checkpoint of it"
        ]
    return []


def _scaled(tensors: Iterable[str], method: str) -> set[str]:
    """The names of what has scales that a method takes."""
    taken = _SCALES_BY_METHOD.get(method)
    scales = [name for name in tensors if not taken or taken.search(name)]
    return {end.sub("", name) for name in scales for end in _SCALES_OF if end.search(name)}


def held_in_full(method: str, *, cpu: bool) -> bool:
    """Whether weights of a method are held at full width rather than as codes.

    By what transformers does with it on a device of the kind; on a GPU its age decides as well.
    """
    if cpu or method == "compressed-tensors":  # decompressed by its first pass, everywhere
        return method in _ON_CPU
    return method == "mxfp4" and not (find_spec("kernels") and find_spec("triton"))


def weights_in(config: Mapping[str, Any], tensors: Mapping[str, TensorHeader]) -> int:
    """Number of weights that the tensors stand for: packed codes counted singly, scales not."""
    method = method_of(config)
    return sum(
        header.elements * _codes_each(name, header.dtype, method)
        for name, header in tensors.items()
        if not _SCALE.search(name.rpartition(".")[2])
    )


def _codes_each(name: str, dtype: str, method: str) -> int:
    """Codes in one element: four-bit ones are stored several together."""
    if dtype in ("I32", "U32"):
        return 8
    pair = name.endswith("_blocks") or (dtype == "U8" and name.endswith("weight_packed"))
    # DeepSeek-V4 packs its experts so, with the method of its other weights.
    return 2 if pair or (dtype == "I8" and method == "fp8") else 1


def _is_code(name: str, header: TensorHeader, floating: Container[str]) -> bool:
    if header.dtype in _PLAIN or _SCALE.search(name.rpartition(".")[2]):
        return False
    if header.dtype not in _INTEGERS:
        return True
    usual = _WEIGHT if len(header.shape) > 1 else _VECTOR
    return name in floating or bool(usual.search(name))


def _mlx(config: Mapping[str, Any]) -> str:
    """The sentence for a checkpoint that MLX quantised, which it writes down without a method."""
    for key in ("quantization", "quantization_config"):
        stated = config.get(key)
        if isinstance(stated, dict) and {"group_size", "bits"} <= stated.keys():
            if "quant_method" in stated:
                continue
            return (
                f"is quantised for MLX ({stated['bits']} bits in groups of "
                f"{stated['group_size']}), which only MLX reads: choose the checkpoint that it "
                "was made from"
            )
    return ""
