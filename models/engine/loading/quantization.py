"""Can a quantised checkpoint run here, and how are its weights held? Answered before they are read.

transformers says itself what a method needs; we ask it early, name all packages at once, and keep
what its own loading would get wrong from being shown.
"""

from collections.abc import Iterator
from importlib.util import find_spec

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import __version__ as transformers_version
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.codes import held_in_full, method_of, stated_in
from tokexplore.models.engine.loading.device import Placement
from tokexplore.models.errors import ModelError

_PACKAGES = {
    "aqlm": {"aqlm": "aqlm[cpu,gpu]"},
    "auto-round": {"auto_round": "auto-round"},
    "awq": {"gptqmodel": "gptqmodel"},
    "bitsandbytes": {"bitsandbytes": "bitsandbytes"},
    "compressed-tensors": {"compressed_tensors": "compressed-tensors"},
    "gptq": {"optimum": "optimum", "gptqmodel": "gptqmodel"},
    "hqq": {"hqq": "hqq"},
    "quanto": {"optimum": "optimum-quanto"},
    "quark": {"quark": "amd-quark"},
    "sinq": {"sinq": "sinq"},
    "torchao": {"torchao": "torchao"},
}
"""Packages that a method needs on any device: module → what to install."""
PACKAGED = frozenset(["bitsandbytes", "compressed-tensors", "torchao"])
"""Methods that are called as the package that computes with their codes."""
_GPU_ONLY = frozenset(["eetq", "fbgemm_fp8", "fp_quant", "higgs", "spqr", "vptq"])
_BLOCKWISE = ("fp8", "mxfp8")


def check_quantization(
    name: str, checkpoint: Checkpoint, config: PreTrainedConfig, placement: Placement
) -> bool:
    """Whether the weights of a quantised checkpoint will be held at full width there.

    On a CPU the config is told so where transformers, seeing a GPU beside it, would not.

    Raises:
        ModelError: for a method that transformers does not know, that needs a package or a GPU,
            and for codes that it would give wrong values.
    """
    if not stated_in(checkpoint.config):
        return False
    method = method_of(checkpoint.config)
    supported = f"{method}_4bit" in AUTO_QUANTIZER_MAPPING or method in AUTO_QUANTIZER_MAPPING
    if not supported:
        what = f"by {method!r}" if method else "and its config.json does not say how"
        raise ModelError(
            f"{name} is quantised {what}, which transformers {transformers_version} does not "
            "know: choose a checkpoint that is not quantised."
        )
    wanted = {m: p for m, p in _PACKAGES.get(method, {}).items() if not find_spec(m)}
    if wanted:
        raise ModelError(
            f"{name} is quantised by {method}, which needs packages that are not installed: "
            f"pip install {' '.join(wanted.values())}."
        )
    cpu = placement.kind == "cpu"
    if cpu and method in _GPU_ONLY:
        raise ModelError(
            f"{name} is quantised by {method}, which runs on GPUs only: give --device cuda, or "
            "choose a checkpoint that is not quantised."
        )
    own = getattr(config, "quantization_config", None)
    stated = own or config.get_text_config().quantization_config
    if cpu and held_in_full(method, cpu=True) and method != "compressed-tensors":
        stated["dequantize"] = True
    quantizer = AutoHfQuantizer.from_config(dict(stated), pre_quantized=True)
    quantizer.validate_environment(device_map=placement.device_map, weights_only=True)
    full = bool(getattr(quantizer.quantization_config, "dequantize", False))
    if full and method in _BLOCKWISE:
        _check_blocks(name, checkpoint, stated.get("weight_block_size"))
    return full or held_in_full(method, cpu=cpu)


def settle_dtype(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Give all weights of a dequantised model its dtype, but those that its class keeps in f32.

    transformers casts only those that were codes; the others keep the checkpoint's.
    """
    names = _kept_in_f32(model, dtype)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not any(part in name for part in names):
            parameter.data = parameter.data.to(dtype)


def _kept_in_f32(model: PreTrainedModel, dtype: torch.dtype) -> list[str]:
    names = list(model._keep_in_fp32_modules_strict or ())
    return names + list(model._keep_in_fp32_modules or ()) if dtype == torch.float16 else names


def _check_blocks(name: str, checkpoint: Checkpoint, block: object) -> None:
    """Refuse weights that their blocks do not divide.

    transformers 5.23 takes the size of a block from the number of blocks: with a last block that is
    smaller it fails, or spreads the scales over other weights than they belong to.
    """
    if not isinstance(block, list | tuple):
        return
    for weight, scales in _scaled_pairs(checkpoint):
        shape, grid = (checkpoint.tensors[n].shape[-2:] for n in (weight, scales))
        if len(shape) < 2 or len(grid) < 2:
            continue
        if any(g > 1 and g * b != n for n, g, b in zip(shape, grid, block, strict=False)):
            raise ModelError(
                f"{name} has FP8 weights that its blocks of {block[0]}x{block[1]} do not divide "
                f"({weight} is {shape[0]}x{shape[1]}), which transformers {transformers_version} "
                "reads on a GPU with FP8 only: choose a checkpoint that is not quantised."
            )


def _scaled_pairs(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    for name, header in checkpoint.tensors.items():
        scales = f"{name}_scale_inv"
        if header.dtype.startswith("F8") and scales in checkpoint.tensors:
            yield name, scales
