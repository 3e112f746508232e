"""What a GGUF model holds, by the headers of its files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.gguf_header import FLOATS, GgufHeader, gguf_header
from tokexplore.models.catalog.gguf_names import parts_of
from tokexplore.models.catalog.headers import TensorHeader
from tokexplore.models.errors import reason_of
from tokexplore.models.untrusted import brief

_SIZES = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
}
"""By the names that a config.json has for them."""
ROPE_FACTORS = "rope_freqs.weight"
"""By how much each frequency of the positions is divided; no weight of the model."""


def gguf_checkpoint(file: Path) -> Checkpoint:
    """Look at a GGUF model, given its first file; what is wrong with it is told, never raised."""
    files, problems = [file.with_name(name) for name in parts_of(file.name)], list[str]()
    if absent := [part.name for part in files if not part.is_file()]:
        problems.append(f"lacks {len(absent)} of its {len(files)} files ({brief(absent[0])})")
    headers = _headers([part for part in files if part.is_file()], problems)
    header = GgufHeader(
        headers[0].values if headers else {},
        {name: tensor for each in headers for name, tensor in each.tensors.items()},
    )
    if headers and not problems:
        problems += _problems(header)
    size = sum(part.stat().st_size for part in files if part.is_file())
    return Checkpoint(
        path=file,
        config=_config(header) if headers else {},
        tensors={
            name: TensorHeader(t.kind.name, list(t.shape), (t.start, t.start + t.size))
            for name, t in header.tensors.items()
        },
        elements=_elements(header),
        weight_files=tuple(files),
        weight_bytes=sum(tensor.size for tensor in header.tensors.values()),
        disk_bytes=size,
        problems=tuple(problems),
        chat_template=bool(header.text("tokenizer.chat_template")),
        gguf=header,
    )


def _headers(files: Iterable[Path], problems: list[str]) -> list[GgufHeader]:
    headers = []
    for part in files:
        try:
            headers.append(gguf_header(part))
        except ValueError as error:
            problems.append(f"has a {brief(part.name)} that {error}")
        except OSError as error:
            reason = reason_of(error)
            problems.append(f"has a {brief(part.name)} that cannot be read ({reason})")
    return headers


def _problems(header: GgufHeader) -> list[str]:
    """What is wrong with a model whose files are all there."""
    claimed = header.whole("split.tensors.count")
    if claimed is not None and claimed != len(header.tensors):
        return [f"holds {len(header.tensors):,} of {claimed:,} tensors: its files are mixed"]
    if not header.tensors:
        return ["has no tensors: it holds a vocabulary only"]
    if not header.text("general.architecture"):
        return ["names no architecture (general.architecture)"]
    if header.whole("tokenizer.ggml.tokens") is None:
        return ["has no vocabulary (tokenizer.ggml.tokens)"]
    return []


def _config(header: GgufHeader) -> dict[str, Any]:
    """As much of a config.json as a file tells by names that are the same for all families."""
    family = header.text("general.architecture")
    sizes = {ours: header.whole(f"{family}.{theirs}") for ours, theirs in _SIZES.items()}
    known = {name: size for name, size in sizes.items() if size is not None}
    return {"model_type": brief(family), **known}


def _elements(header: GgufHeader) -> dict[str, int]:
    """Elements of the weights by how they are stored."""
    counts: Counter[str] = Counter()
    for name, tensor in header.tensors.items():
        if name != ROPE_FACTORS:
            counts[FLOATS.get(tensor.kind.name, tensor.kind.name)] += tensor.elements
    return dict(counts)
