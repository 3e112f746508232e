"""GGUF files written from models of transformers, as llama.cpp's converter lays them out.

What is written is held against llama.cpp's own reading of it (test_gguf_truth).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import (
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFValueType,
    GGUFWriter,
    get_tensor_name_map,
    quantize,
)
from transformers import PreTrainedModel

from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY

KINDS = {bool: GGUFValueType.BOOL, int: GGUFValueType.UINT32, float: GGUFValueType.FLOAT32}
_CONTROL, _NORMAL = 3, 1
_OFFSET_NORMS = ("gemma2", "gemma3")
"""Families whose norms llama.cpp stores as 1 + the weight."""


def write_gguf(
    file: Path,
    model: PreTrainedModel,
    family: str,
    *,
    tokenizer: Path = EMBEDDED_DIRECTORY,
    kind: str = "F32",
    parts: int = 1,
    factors: np.ndarray | None = None,
    **values: Any,
) -> Path:
    """Write a model with a byte-level tokenizer.

    Args:
        file: where, or the name from which those of several parts are made.
        kind: how matrices are stored, as far as their rows are of whole blocks.
        factors: of the positions' frequencies.
        values: more for the header, `.` written as `__`; None takes one out.
    """
    tensors = _tensors(model, family)
    if factors is not None:
        tensors["rope_freqs.weight"] = factors.astype(np.float32)
    header = _header(model, family) | _vocabulary(tokenizer)
    header |= {name.replace("__", "."): value for name, value in values.items()}
    names = list(tensors)
    for part in range(parts):
        here = file if parts == 1 else file.with_name(
            f"{file.stem}-{part + 1:05}-of-{parts:05}.gguf"
        )  # fmt: skip
        split = {"split.no": part, "split.count": parts, "split.tensors.count": len(names)}
        said = (header if part == 0 else {}) | (split if parts > 1 else {})
        _write(here, family, said, {n: tensors[n] for n in names[part::parts]}, kind)
    return file if parts == 1 else file.with_name(f"{file.stem}-00001-of-{parts:05}.gguf")


def _write(
    file: Path, family: str, header: Mapping[str, Any], tensors: Mapping[str, Any], kind: str
) -> None:
    writer = GGUFWriter(file, family)
    for name, value in header.items():
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif value is not None:
            writer.add_key_value(name, value, KINDS[type(value)])
    for name, numbers in tensors.items():
        chosen = GGMLQuantizationType[kind]
        if numbers.ndim < 2 or kind == "F32" or numbers.shape[-1] % 32:
            writer.add_tensor(name, numbers)
        else:
            writer.add_tensor(name, quantize(numbers, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: PreTrainedModel, family: str) -> dict[str, np.ndarray]:
    arch = next(number for number, name in MODEL_ARCH_NAMES.items() if name == family)
    config = model.config
    names = get_tensor_name_map(arch, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    made: dict[str, np.ndarray] = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        stem, _, end = name.rpartition(".")
        numbers = tensor.float().numpy()
        if family == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if "q_proj" in stem else config.num_key_value_heads
            numbers = _interleaved(numbers, heads)
        if family in _OFFSET_NORMS and stem.endswith("norm"):
            numbers = numbers + 1
        stored = names.get_name(stem)
        assert stored, name
        made[f"{stored}.{end}"] = np.ascontiguousarray(numbers)
    return made


def _interleaved(numbers: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a head in pairs that are rotated together, instead of halves."""
    halves = numbers.reshape(heads, 2, numbers.shape[0] // heads // 2, *numbers.shape[1:])
    return halves.swapaxes(1, 2).reshape(numbers.shape)


def _header(model: PreTrainedModel, family: str) -> dict[str, Any]:
    config = model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    theta = rope.get("rope_theta") or rope["full_attention"]["rope_theta"]
    said: dict[str, Any] = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(theta),
    }
    if family == "llama":
        said["rope.dimension_count"] = head
    if window := getattr(config, "sliding_window", None):
        said["attention.sliding_window"] = window
    return {f"{family}.{name}": value for name, value in said.items()}


def _vocabulary(tokenizer: Path) -> dict[str, Any]:
    read = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    ids = read["model"]["vocab"]
    special = {added["id"] for added in read["added_tokens"] if added["special"]}
    ids |= {added["content"]: added["id"] for added in read["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_CONTROL if ids[t] in special else _NORMAL for t in tokens],
        "tokenizer.ggml.merges": [
            merge if isinstance(merge, str) else " ".join(merge)
            for merge in read["model"]["merges"]
        ],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
    }


def random_model(kind: type[Any], **config: Any) -> PreTrainedModel:
    """A small model whose logits differ: matrices of standard deviation 0.25."""
    torch.manual_seed(5)
    sizes = {
        "vocab_size": 4096, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 512, "tie_word_embeddings": True,
    }  # fmt: skip
    made: PreTrainedModel = kind(kind.config_class(**(sizes | config))).requires_grad_(False)
    for name, weight in made.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.25)
        elif "norm" in name:
            torch.nn.init.normal_(weight, mean=float(weight.mean()), std=0.1)
        else:
            torch.nn.init.normal_(weight, std=0.1)
    return made.eval()
