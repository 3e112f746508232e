"""Tiny random models on disk, whole or broken in one way each."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from support import made_tokenizers
from tokexplore.models.engine.byte_table import vocabulary_of

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


def edit_json(file: Path, **changes: Any) -> None:
    """Change entries of a JSON object; None removes one."""
    value = json.loads(file.read_text()) if file.exists() else {}
    value = {k: v for k, v in (value | changes).items() if v is not None}
    file.write_text(json.dumps(value))


def drop_tensor(file: Path, name: str) -> None:
    """Write a safetensors file again without one of its tensors."""
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})
