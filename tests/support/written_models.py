"""Model directories written by hand, without torch."""

import json
import math
import struct
from pathlib import Path
from typing import Any

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
WIDTHS = {"F32": 4, "BF16": 2, "F16": 2, "I32": 4, "F8_E4M3": 1}
TENSORS = {
    "model.embed_tokens.weight": ("BF16", [100, 8]),
    "model.layers.0.mlp.weight": ("BF16", [8, 16]),
    "model.norm.weight": ("F32", [8]),
    "lm_head.weight": ("BF16", [100, 8]),
}


def write_safetensors(file: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """Zeros of the given dtypes and shapes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + math.prod(shape) * WIDTHS[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    packed = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(packed)) + packed + bytes(end))


def make(path: Path, tensors: Any = TENSORS, **config: Any) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG | config))
    (path / "tokenizer.json").write_text("{}")
    write_safetensors(path / "model.safetensors", tensors)
    return path


def make_adapter(path: Path, base: str, **config: Any) -> Path:
    """LoRA of rank 2 on the queries of one layer."""
    path.mkdir(parents=True)
    stated = {"peft_type": "LORA", "r": 2, "base_model_name_or_path": base}
    (path / "adapter_config.json").write_text(json.dumps(stated | config))
    place = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    tensors = {f"{place}A.weight": ("F32", [2, 8]), f"{place}B.weight": ("F32", [8, 2])}
    write_safetensors(path / "adapter_model.safetensors", tensors)
    return path


def make_sharded(path: Path) -> Path:
    make(path)
    (path / "model.safetensors").unlink()
    names = list(TENSORS)
    shards = {"model-00001-of-00002.safetensors": names[:2]}
    shards["model-00002-of-00002.safetensors"] = names[2:]
    for shard, members in shards.items():
        write_safetensors(path / shard, {name: TENSORS[name] for name in members})
    places = {name: shard for shard, members in shards.items() for name in members}
    index = {"weight_map": places, "metadata": {}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def edit_json(file: Path, **changes: Any) -> None:
    """Change entries of a JSON object; None removes one."""
    value = json.loads(file.read_text()) if file.exists() else {}
    value = {k: v for k, v in (value | changes).items() if v is not None}
    file.write_text(json.dumps(value))
