"""Quantise the weights of linear layers while they are loaded, through torchao."""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from tokexplore.models.api.options import Quantize
from tokexplore.models.catalog.checkpoint import DTYPE_BYTES, Checkpoint
from tokexplore.models.catalog.footprint import Footprint
from tokexplore.models.engine.loading.device import Placement
from tokexplore.models.engine.loading.held import Held
from tokexplore.models.errors import ModelError, UsageError

_GROUP = 128
"""Weights of one row that share a scale, in four bits."""
_BYTES = {"int8": 1.0, "int4": 0.5}
_KEPT = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "lm_head.weight")


def check_quantize(
    name: str, asked: Quantize, checkpoint: Checkpoint, placement: Placement, device_map: str
) -> None:
    """Refuse what cannot be quantised here, before any weight is read.

    Raises:
        UsageError: of a checkpoint that is quantised already, and on a device without kernels.
        ModelError: where torchao is not installed.
    """
    if not asked:
        return
    if checkpoint.quantization:
        raise UsageError(
            f"{name} is quantised by {checkpoint.quantization} already: leave --quantize {asked} "
            "out, or choose the checkpoint that it was made from."
        )
    if not find_spec("torchao"):
        raise ModelError(
            f"--quantize {asked} needs a package that is not installed: pip install torchao (the "
            "extra tokexplore[quantize])."
        )
    if device_map:
        raise UsageError(
            f"--quantize {asked} and --device-map {device_map} exclude each other: give only one."
        )
    if asked == "int4" and placement.kind != "cuda":
        raise UsageError(
            f"--quantize int4 needs a CUDA GPU: torchao {version('torchao')} has no four-bit "
            f"weights on {placement.label}: give --quantize int8, or --device cuda."
        )
    if placement.kind == "mps":
        raise UsageError(f"--quantize {asked} runs on a CPU and on CUDA GPUs: give --device cpu.")


def check_dtype(asked: Quantize, dtype: str) -> None:
    """Refuse a dtype that the kernels do not compute in.

    Raises:
        UsageError: it is so.
    """
    if asked == "int4" and dtype != "bfloat16":
        raise UsageError(
            f"--quantize int4 computes in bfloat16, and this model would be held in {dtype}: give "
            "--dtype bfloat16."
        )


def check_quantised(name: str, asked: Quantize, held: Held) -> None:
    """Refuse a model of which nothing became codes though it was asked for.

    Raises:
        ModelError: it is so.
    """
    if asked and not held.format:
        raise ModelError(
            f"{name} has no linear layer that torchao quantises: leave --quantize {asked} out."
        )


def quantization_config(asked: Quantize) -> dict[str, Any]:
    """The argument of `from_pretrained` that has it done, tensor by tensor; none where not asked.

    Linear layers but the output embedding. int8: each row of a matrix by its largest absolute
    value; int4: each 128 weights of a row by least and largest.
    """
    if not asked:
        return {}
    from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    if asked == "int8":
        return {"quantization_config": TorchAoConfig(Int8WeightOnlyConfig())}
    tiles = Int4WeightOnlyConfig(group_size=_GROUP, int4_packing_format="tile_packed_to_4d")
    return {"quantization_config": TorchAoConfig(tiles)}


def quantised_need(asked: Quantize, checkpoint: Checkpoint, dtype: str, full: Footprint
) -> Footprint:  # fmt: skip
    """What a model takes once it is quantised, where the names of its tensors tell; else `full`."""
    experts = any(".experts." in key for key in checkpoint.tensors)
    if not asked or checkpoint.gguf or experts:
        return full
    width = DTYPE_BYTES.get(dtype, 2)
    total = 0.0
    for key, header in checkpoint.tensors.items():
        linear = len(header.shape) == 2 and not key.endswith(_KEPT)
        total += header.elements * (_BYTES[asked] if linear else width)
    return Footprint(int(total), full.kv_bytes_per_token)
