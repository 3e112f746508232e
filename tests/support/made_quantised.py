"""Tiny quantised checkpoints, each made by the library whose method it is."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, TorchAoConfig

from support.made_models import save, save_llama, tokenizer

WIDE = {"hidden_size": 128, "intermediate_size": 256}
"""As wide as the groups of four-bit weights are long."""


def save_wide(path: Path, **options: Any) -> Path:
    return save_llama(path, **WIDE, **options)


def bare(path: Path, **options: Any) -> PreTrainedModel:
    """A model by transformers alone."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, **options)
    return model.eval()


def save_torchao(path: Path, base: Path, kind: Any) -> Path:
    """By torchao, through transformers: `kind` is one of torchao's own configs."""
    model = bare(base, quantization_config=TorchAoConfig(kind))
    return save(path, model, tokenizer())


def save_compressed(path: Path, base: Path, name: str, **weights: Any) -> tuple[Path, torch.Tensor]:
    """By compressed-tensors, and the logits of its own model after ids 5 to 24: f32, [1, 20, V].

    Args:
        name: of the format, such as int-quantized.
        weights: of `QuantizationArgs`.
    """
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        QuantizationStatus,
        apply_quantization_config,
    )
    from compressed_tensors.quantization.utils import calculate_qparams

    model, how = bare(base), QuantizationArgs(symmetric=True, **weights)
    scheme = QuantizationScheme(targets=["Linear"], weights=how)
    config = QuantizationConfig(config_groups={"one": scheme}, ignore=["lm_head"], format=name)
    apply_quantization_config(model, config)
    for module in model.modules():
        if getattr(module, "quantization_scheme", None) is None:
            continue
        groups = module.weight.data.unflatten(-1, (-1, how.group_size or module.weight.shape[-1]))
        scale, _ = calculate_qparams(groups.amin(-1), groups.amax(-1), how)  # [out, groups]
        module.weight_scale.data.copy_(scale.reshape(module.weight_scale.shape))
        module.quantization_status = QuantizationStatus.FROZEN
    with torch.inference_mode():
        logits = model(torch.arange(5, 25)[None]).logits.clone()
    compressor = ModelCompressor.from_pretrained_model(model, name)
    compressor.compress_model(model)
    save(path, model, tokenizer())
    compressor.update_config(str(path))
    return path, logits
