"""How a model's weights are held in memory: which are codes, of what, and what all others are."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from tokexplore.models.display import counted

_CODES = {
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.int32: "packed",
    torch.float8_e4m3fn: "float8_e4m3",
    torch.float8_e5m2: "float8_e5m2",
}
_ATTRIBUTES = ("weight", "weight_packed", "qweight")
"""Where linear layers of the quantisers have their codes."""


class Held(NamedTuple):
    """What is told of weights that are held as codes; both empty where none are."""

    format: str
    """`int8`, `nf4`, `int4`: for the header."""
    words: str
    """`int8 weights in 14 linear layers; embeddings, norms, head float32`."""


PLAIN = Held("", "")


def plain(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """A tensor, or those that one of torchao's is made of: its codes, scales, zero points."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        if (part := getattr(tensor, name)) is not None:
            yield from plain(part)


def weight_bytes(model: PreTrainedModel) -> int:
    """Memory of the parameters."""
    parts = (part for parameter in model.parameters() for part in plain(parameter.data))
    return sum(part.numel() * part.element_size() for part in parts)


def held_as(model: PreTrainedModel, method: str = "") -> Held:
    """How the weights are held.

    Args:
        method: how they are quantised, where nothing tells of what the codes are.
    """
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    codes: Counter[str] = Counter()
    others: dict[str, Counter[str]] = {
        name: Counter() for name in ("embeddings", "norms", "other weights", "head")
    }
    for module in model.modules():
        if kind := _codes(module, method):
            codes[kind] += 1
            continue
        for parameter in module.parameters(recurse=False):
            if not parameter.is_floating_point():
                continue
            if module is embeddings:
                place = "embeddings"
            elif module is head:
                place = "head"
            else:
                place = "norms" if parameter.dim() == 1 else "other weights"
            others[place][str(parameter.dtype).removeprefix("torch.")] += 1
    if not codes:
        return PLAIN
    layers = ", ".join(
        f"{kind} weights in {counted(count, 'linear layer')}"
        for kind, count in sorted(codes.items())
    )
    return Held("+".join(sorted(codes)), f"{layers}; {_rest(others)}")


def _rest(others: dict[str, Counter[str]]) -> str:
    """`embeddings, norms float32, head bfloat16`: those of one dtype together."""
    by_dtype: dict[str, list[str]] = {}
    for place, dtypes in others.items():
        if dtypes:
            by_dtype.setdefault(" and ".join(sorted(dtypes)), []).append(place)
    return ", ".join(f"{', '.join(places)} {dtype}" for dtype, places in by_dtype.items())


def _codes(module: nn.Module, method: str) -> str:
    """What the codes of a linear layer are; empty where it has none."""
    weights = (getattr(module, name, None) for name in _ATTRIBUTES)
    weight = next((w for w in weights if isinstance(w, torch.Tensor)), None)
    if weight is None:
        return ""
    if kind := getattr(weight, "quant_type", ""):  # of bitsandbytes' four bits
        return str(kind)
    parts = list(plain(weight.data))
    if "Int4" in type(weight.data).__name__:
        return "int4"
    found = next((part for part in parts if part.dtype in _CODES), None)
    if found is None:
        return ""
    return (
        _CODES[found.dtype]
        if found.dtype.itemsize == 1 and found.dtype != torch.uint8
        else (method or _CODES[found.dtype])
    )
