"""The sizes that a config.json names: are they numbers, and can the weights have them?"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tokexplore.models.untrusted import brief

_LAYERS = re.compile(r"(num_hidden_layers|n_layers?|num_layers)$")
_SIZES = re.compile(
    r"layers$|(^|_)n(um)?_layer$|(hidden|intermediate|vocab|ffn_hidden)_size$|n_embd$|d_model$|n_inner$"
    r"|d_ff$|ffn_dim$|heads?$|head_dim$|experts(_per_tok(en)?)?$|labels$"
)
"""Names of numbers and sizes of things that have weights; labels have none here, and a single layer
(`vision_feature_layer`) is a place, which may be counted from the end."""
_LENGTHS = re.compile(r"(max_position_embeddings|n_positions|n_ctx|max_seq(uence)?_len(gth)?)$")
"""Names of lengths, which weights do not bound; below one they stand for none."""
_WHOLE = re.compile(
    r"num_(hidden_layers|layers|attention_heads|key_value_heads|heads)|n_(layers?|heads?|embd|inner)"
    r"|(hidden|intermediate|vocab)_size|d_(model|ff)|ffn_dim|head_dim"
)
"""What every family has as a whole number, or as several of them, or leaves open."""
_NEEDED = re.compile(
    r"(text_config\.)?(num_hidden_layers|n_layers?|num_layers|hidden_size|n_embd|d_model"
    r"|num_attention_heads|n_heads?|vocab_size)"
)
"""What no language model has none of."""
_ADVICE = "put the model's own number there, or choose another checkpoint of it"


def size_problem(config: dict[str, Any], tensors: int, weight_bytes: int) -> str:
    """What a config asks for that its weights, of which each takes a bit or more, cannot have.

    Args:
        tensors: number of tensors in the weights; 0 where no header tells.
        weight_bytes: 0 where not all of them are here.

    Returns:
        The first such size and why it is not possible, to be read after the model's name; empty
        where all are.
    """
    for name, size in _named(config):
        if wrong := _wrong(name, size, tensors, weight_bytes):
            return f"has a config.json whose {name} is {wrong}: {_ADVICE}"
    return ""


def _named(config: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of a config and of the configs in it, those as `text_config.hidden_size`."""
    for name, value in config.items():
        if isinstance(value, dict) and name.endswith("_config") and name != "quantization_config":
            yield from _named(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _wrong(path: str, size: Any, tensors: int, weight_bytes: int) -> str:
    """What a size is that it cannot be; empty where it can, and for what is no size."""
    name = path.rpartition(".")[2]
    if isinstance(size, bool | str | float):
        return f"{brief(json.dumps(size))}, no whole number" if _WHOLE.fullmatch(name) else ""
    if not isinstance(size, int) or not (_SIZES.search(name) or _LENGTHS.match(name)):
        return ""
    if abs(size) >= 2**63:
        return "beyond 64 bits"
    if _LENGTHS.match(name):
        return ""
    if size < 0 or (size == 0 and _NEEDED.fullmatch(path)):
        return str(size)
    layered = tensors and _LAYERS.match(name)
    if weight_bytes and size > (tensors if layered else 8 * weight_bytes):
        held = f"{tensors:,} tensors" if layered else f"{weight_bytes:,} bytes"
        return f"{size:,}, for weights of {held}"
    return ""
