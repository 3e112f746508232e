"""Tiny random models on disk, whole or broken in one way each."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from support import made_tokenizers
from support.written_models import edit_json
from tokexplore.models.engine.text.byte_table import vocabulary_of

TOKENIZER_ONLY_ROWS = 10_000
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level tokenizer with BOS and EOS."""
    return made_tokenizers.wrapped(made_tokenizers.byte_level())


def loaded_with(words: PreTrainedTokenizerBase, rows: int = TOKENIZER_ONLY_ROWS) -> Any:
    """As much of a `Loaded` as text and chat need: a tokenizer without a model."""
    return SimpleNamespace(
        tokenizer=words,
        vocabulary=vocabulary_of(words, rows),
        name="made",
        rows=rows,
        bos_id=words.bos_token_id,
        eos_ids=() if words.eos_token_id is None else (words.eos_token_id,),
        chat_template=bool(words.chat_template),
        turn_ids=(),
    )


def llama(rows: int, **changes: Any) -> LlamaForCausalLM:
    """A random Llama of a few thousand parameters."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=rows, **(SMALL | changes)))


def save_llama(path: Path, *, shards: str = "5GB", dtype: Any = None, **changes: Any) -> Path:
    """A whole model directory: config, safetensors, tokenizer."""
    words = tokenizer()
    changes = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id} | changes
    model = llama(len(words), **changes)
    return save(path, model.to(dtype) if dtype else model, words, shards=shards)


def save(
    path: Path, model: PreTrainedModel, words: PreTrainedTokenizerBase, *, shards: str = "5GB"
) -> Path:
    """A model and its tokenizer as a directory."""
    model.save_pretrained(path, max_shard_size=shards)
    words.save_pretrained(path)
    return path


def drop_tensor(file: Path, name: str) -> None:
    """Write a safetensors file again without one of its tensors."""
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})


def save_fp8(
    path: Path, *, method: dict[str, Any] | None, scales: str = "weight_scale_inv"
) -> Path:
    """A Llama whose projections are stored as eight-bit floats with one scale a 32x32 block."""
    torch.manual_seed(1)
    save_llama(path, dtype=torch.bfloat16)
    tensors = load_file(path / "model.safetensors")
    for name in [name for name in tensors if name.endswith("proj.weight")]:
        weight = torch.randn_like(tensors[name], dtype=torch.float32) * 0.25
        rows, columns = (size // 32 or 1 for size in weight.shape)
        blocks = weight.reshape(rows, -1, columns, weight.shape[1] // columns)
        scale = blocks.abs().amax((1, 3)) / 448 * (1 + torch.rand(rows, columns))  # [rows, columns]
        codes = (blocks / scale[:, None, :, None]).reshape(weight.shape)
        tensors[name] = codes.to(torch.float8_e4m3fn)
        if scales:
            tensors[f"{name.removesuffix('.weight')}.{scales}"] = scale
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    edit_json(path / "config.json", quantization_config=method, dtype="bfloat16")
    return path


def in_full(path: Path) -> dict[str, torch.Tensor]:
    """The weights of such a model in f32: each code times its block's scale."""
    tensors = load_file(path / "model.safetensors")
    scales = {n: tensors.pop(n) for n in [*tensors] if n.endswith("_scale_inv")}
    full = {name: tensor.float() for name, tensor in tensors.items()}
    for name, scale in scales.items():
        weight = full[name.removesuffix("_scale_inv")]
        blocks = weight.view(len(scale), -1, scale.shape[1], weight.shape[1] // scale.shape[1])
        blocks *= scale[:, None, :, None]
    return full
