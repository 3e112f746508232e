"""The config of a GGUF model, as transformers reads it, and what that leaves out."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFValueType, GGUFWriter
from transformers import AutoConfig, PreTrainedConfig
from transformers import __version__ as transformers_version

from tokexplore.models.catalog.gguf_header import GgufHeader, Value
from tokexplore.models.errors import ModelError
from tokexplore.models.untrusted import brief

_SLIM = "header.gguf"
_TOKENS = "tokenizer.ggml.tokens"
_WRITTEN_ANYWAY = frozenset(["general.architecture", _TOKENS])
_KINDS = {
    bool: GGUFValueType.BOOL,
    int: GGUFValueType.INT64,
    float: GGUFValueType.FLOAT64,
    str: GGUFValueType.STRING,
}
_OTHER_SCALE = {"gemma2": 46, "gemma3": 62}
"""Layers of the sizes of Gemma whose queries are scaled by hidden size over heads."""
_SCALING = "rope.scaling."
_STRETCHES = frozenset(["linear", "yarn"])
_READ = frozenset(
    ["block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"]
)
"""What every family's config has."""
_NO_NUMBERS = re.compile(
    r"rope\.(scaling\.(type|factor|original_context_length|finetuned)|dimension_count|freq_base)"
    r"|attention\.(head_count(_kv)?|key_length|value_length|layer_norm(_rms)?_epsilon)"
    r"|expert_(count|used_count|feed_forward_length|shared_feed_forward_length|weights_norm)"
    r"|attention\.(sliding_window|causal)|use_parallel_residual|tensor_data_layout|pooling_type"
    r"|(attn|final)_logit_softcapping|expert_weights_scale|expert_gating_func"
)
"""What is in the config, or is of no weight in a pass."""


def gguf_config(name: str, header: GgufHeader, **settings: Any) -> PreTrainedConfig:
    """The config of a GGUF model.

    transformers looks at each entry of a file's lists: it is handed the header without the
    vocabulary, and tensors of the same names with nothing in them.

    Raises:
        ModelError: its positions are stretched in a way that is not read here.
    """
    with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
        _write_slim(Path(folder, _SLIM), header)
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, gguf_file=_SLIM, local_files_only=True, **settings
        )
        config.name_or_path = ""
    embeddings = header.tensors.get("token_embd.weight")
    if embeddings is not None:  # which may have rows beyond the vocabulary
        config.vocab_size = embeddings.shape[0]
    _set_heads(config, header)
    _stretch(name, config, header)
    return config


def _set_heads(config: PreTrainedConfig, header: GgufHeader) -> None:
    """Set the size of heads, and the scale that hangs on it, which transformers leaves at the
    defaults of some families."""
    family = header.text("general.architecture")
    if (size := header.whole(f"{family}.attention.key_length")) is None:
        return
    if hasattr(config, "head_dim"):
        config.head_dim = size
    if hasattr(config, "query_pre_attn_scalar"):
        # No file has it: llama.cpp knows the one size of Gemma that takes another by its layers.
        hidden = (config.hidden_size, config.num_attention_heads)
        whole = _OTHER_SCALE.get(family) == config.num_hidden_layers
        config.query_pre_attn_scalar = hidden[0] // hidden[1] if whole else size


def notices_of(header: GgufHeader) -> Iterator[str]:
    """What a file says of its passes that no config has a place for."""
    family = header.text("general.architecture")
    said = (n.removeprefix(f"{family}.") for n in header.values if n.startswith(f"{family}."))
    if left := [n for n in said if n not in _READ and not _NO_NUMBERS.fullmatch(n)]:
        named = ", ".join(brief(each) for each in left[:4])
        yield f"{named} of the GGUF file are not read: where they matter, numbers are not its own"


def ends_of(header: GgufHeader) -> dict[str, list[int]]:
    """The tokens that end a text or a turn, as a generation_config.json has them."""
    ids = (header.whole(f"tokenizer.ggml.{end}_token_id") for end in ("eos", "eot", "eom"))
    return {"eos_token_id": [token for token in ids if token is not None]}


def _write_slim(file: Path, header: GgufHeader) -> None:
    writer = GGUFWriter(file, header.text("general.architecture"))
    writer.add_array(_TOKENS, [""])
    for name, value in header.values.items():
        if name not in _WRITTEN_ANYWAY and (kinds := _kinds(value)):
            writer.add_key_value(name, value, *kinds)
    for name in header.tensors:
        writer.add_tensor(name, np.zeros(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kinds(value: Value) -> tuple[GGUFValueType, ...]:
    """The kind of a value as it is written, of a list also that of its entries; none for one whose
    entries are not read."""
    if isinstance(value, range):
        return ()
    if isinstance(value, list):
        return (GGUFValueType.ARRAY, _KINDS[type(value[0])]) if value else ()
    return (_KINDS[type(value)],)


def _stretch(name: str, config: PreTrainedConfig, header: GgufHeader) -> None:
    """Stretch positions as the file says, which transformers leaves out."""
    prefix = f"{header.text('general.architecture')}.{_SCALING}"
    kind, factor = header.text(f"{prefix}type"), header.values.get(f"{prefix}factor")
    if kind in ("", "none") or not isinstance(factor, float | int) or factor in (0, 1):
        return
    rope = dict(getattr(config, "rope_parameters", None) or {})
    stated = dict(rope.get("full_attention", rope))  # Gemma 3 stretches those layers alone
    if kind not in _STRETCHES or "rope_theta" not in stated:
        raise ModelError(
            f"{name} stretches its positions by {brief(kind)!r}, which transformers "
            f"{transformers_version} does not read from GGUF files: choose the checkpoint that it "
            "was made from."
        )
    stated |= {"rope_type": kind, "factor": float(factor)}
    if original := header.whole(f"{prefix}original_context_length"):
        stated["original_max_position_embeddings"] = original
    config.rope_parameters = (
        rope | {"full_attention": stated} if "full_attention" in rope else stated
    )
