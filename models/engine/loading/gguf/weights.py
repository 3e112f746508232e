"""The weights of a GGUF model by transformers' names, each dequantised when it is asked for.

How llama.cpp names and lays out tensors is told by transformers' own reader, which holds all of
them at once.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, dequantize
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import __version__ as transformers_version
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from tokexplore.models.catalog.gguf_checkpoint import ROPE_FACTORS
from tokexplore.models.catalog.gguf_header import GgufHeader, GgufTensor
from tokexplore.models.errors import ModelError
from tokexplore.models.untrusted import brief

_SHOWN = 3
_AT_ONCE = 1 << 18
"""Numbers that are dequantised together: on the way they take several times their memory."""


class DequantisedTensor:
    """A weight that is read, dequantised and laid out when it is indexed, as transformers' loader
    takes a slice of a safetensors file."""

    def __init__(
        self, name: str, parts: Iterable[tuple[str, GgufTensor]], layout: TensorProcessor,
        names: dict[str, str],
    ) -> None:  # fmt: skip
        self._name, self._parts, self._layout, self._names = name, list(parts), layout, names

    def __getitem__(self, _: object) -> torch.Tensor:
        """All of it, float32."""
        made: dict[str, torch.Tensor] = {}
        for name, tensor in self._parts:
            laid_out = self._layout.process(
                weights=_numbers(tensor), name=name, tensor_key_mapping=self._names,
                parsed_parameters={"tensors": made},
            )  # fmt: skip
            if laid_out.name in self._names:  # else it was put into `made`
                numbers = np.ascontiguousarray(laid_out.weights)
                made[self._names[laid_out.name]] = torch.from_numpy(numbers)
        return made[self._name]


def _numbers(tensor: GgufTensor) -> np.ndarray[Any, Any]:
    """A tensor's numbers, float32, in the shape that torch has."""
    columns, kind = tensor.shape[-1], GGMLQuantizationType[tensor.kind.name]
    stored = np.memmap(tensor.file, np.uint8, "r", tensor.start, (tensor.size,))
    blocks = stored.reshape(-1, columns // tensor.kind.elements * tensor.kind.size)
    numbers = np.empty((len(blocks), columns), np.float32)
    step = max(1, _AT_ONCE // columns)
    for first in range(0, len(blocks), step):
        rows = slice(first, first + step)
        numbers[rows] = dequantize(np.ascontiguousarray(blocks[rows]), kind)
    return numbers.reshape(tensor.shape)


def gguf_weights(
    name: str, header: GgufHeader, config: PreTrainedConfig, skeleton: PreTrainedModel
) -> dict[str, DequantisedTensor]:
    """The weights of a GGUF model by the names that the model has for them.

    Args:
        skeleton: the model without memory.

    Raises:
        ModelError: it is of a family that transformers does not know how to lay out, or has tensors
            that the model has no place for.
    """
    family = header.text("general.architecture")
    layout = TENSOR_PROCESSORS.get(family, TensorProcessor)(config=config.to_dict())
    try:
        names: dict[str, str] = get_gguf_hf_weights_map(skeleton, layout)
    except NotImplementedError:
        raise ModelError(
            f"{name} is of the family {brief(family)}, whose GGUF tensors transformers "
            f"{transformers_version} cannot name: choose the checkpoint that it was made from."
        ) from None
    if strange := [t for t in header.tensors if t not in names and t != ROPE_FACTORS]:
        more = ", ..." if len(strange) > _SHOWN else ""
        raise ModelError(
            f"{name} has {len(strange)} tensors that transformers {transformers_version} has no "
            f"place for ({', '.join(map(brief, strange[:_SHOWN]))}{more}): without them its "
            "numbers would not be the model's."
        )
    parts = defaultdict[str, list[tuple[str, GgufTensor]]](list)
    for stored, tensor in header.tensors.items():
        if stored != ROPE_FACTORS:
            parts[names[stored]].append((stored, tensor))
    return {
        weight: DequantisedTensor(weight, stored, layout, names) for weight, stored in parts.items()
    }


def stretch_positions(name: str, header: GgufHeader, model: PreTrainedModel) -> str:
    """Divide the frequencies of positions by the factors that a file has for them, which
    transformers does not read; a notice.

    Llama 3.1 and later store their long context so.

    Raises:
        ModelError: the model has no such frequencies.
    """
    stored = header.tensors.get(ROPE_FACTORS)
    if stored is None:
        return ""
    factors = torch.from_numpy(_numbers(stored))
    found = [m for m in model.modules() if getattr(m, "inv_freq", None) is not None]
    if not found or any(m.inv_freq.shape != factors.shape for m in found):
        raise ModelError(
            f"{name} has {ROPE_FACTORS} of {factors.numel()} factors, which are not as many as "
            "the model has frequencies: the files do not belong together."
        )
    held = [getattr(m, n, None) for m in found for n in ("inv_freq", "original_inv_freq")]
    for frequencies in {id(each): each for each in held if each is not None}.values():
        frequencies.div_(factors.to(frequencies.device, frequencies.dtype))
    return f"positions are stretched by the file's {ROPE_FACTORS}"
