"""What a model directory holds, read without torch: its config, and its weights' headers.

Only headers of safetensors files are read, so a checkpoint of any size takes milliseconds.
"""

import json
import math
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")
"""Weights as transformers looks for them, the first found wins; each may be an index of shards."""

ENCODER_FAMILIES = frozenset(
    [
        "bert",
        "big_bird",
        "camembert",
        "data2vec-text",
        "electra",
        "ernie",
        "megatron-bert",
        "reformer",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "xlm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    ]
)
"""Model types that transformers also opens as causal models, but that see the whole text unless
their config has `is_decoder`."""

_CAUSAL = ("ForCausalLM", "LMHeadModel", "ModelWithLMHead")
_DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
DTYPE_BYTES = dict(_DTYPES.values())
_TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.json", "vocab.txt", "*.tiktoken")
_BUFFERS = re.compile(r"rotary_emb\.inv_freq$|\.masked_bias$|\.attn(ention)?\.bias$")
"""Tensors that old checkpoints stored beside the parameters; a real attention bias is a vector."""
_HEAD, _EMBEDDINGS = "lm_head.weight", ("embed_tokens.weight", "wte.weight", "embed_in.weight")


class Checkpoint(msgspec.Struct, frozen=True):
    """A model directory as it lies on disk."""

    path: Path
    config: dict[str, Any]
    """config.json; empty where it is missing or broken."""
    elements: dict[str, int]
    """Elements of the weights by dtype name, tied weights once; empty for pickled weights."""
    weight_files: tuple[Path, ...]
    """The files that transformers would read the weights from."""
    weight_bytes: int
    """Their size."""
    disk_bytes: int
    """Size of everything in the directory."""
    problems: tuple[str, ...]
    """What keeps it from being a complete model, each to be read after its name."""
    chat_template: bool

    @property
    def complete(self) -> bool:
        return not self.problems

    @property
    def text_config(self) -> dict[str, Any]:
        """The language model's own config, which multimodal models nest."""
        nested = self.config.get("text_config")
        return nested if isinstance(nested, dict) else self.config

    @property
    def quantization(self) -> str:
        """Method of a quantised checkpoint, such as `gptq`; empty for a plain one."""
        method = self.config.get("quantization_config") or {}
        return str(method.get("quant_method", "quantised")) if method else ""

    @property
    def parameters(self) -> int | None:
        """Number of parameters; None where no header tells it (pickled or packed weights)."""
        packed = self.quantization and any(
            name.startswith(("int", "uint")) for name in self.elements
        )
        return None if packed or not self.elements else sum(self.elements.values())

    @property
    def dtype(self) -> str:
        """The dtype of most of the weights; the quantisation method of a quantised checkpoint;
        empty where unknown."""
        if self.quantization:
            return self.quantization
        if self.elements:
            return max(self.elements, key=lambda name: self.elements[name])
        named = self.text_config.get("dtype") or self.text_config.get("torch_dtype")
        return str(named or self.config.get("dtype") or self.config.get("torch_dtype") or "")

    @property
    def family(self) -> str:
        """The architecture class that config.json names, else its model type."""
        names = self.config.get("architectures") or [self.config.get("model_type", "")]
        return str(names[0])

    @property
    def causal(self) -> bool | None:
        """Whether config.json describes a causal language model; None where it does not say."""
        if not self.config:
            return None
        if self.config.get("is_encoder_decoder"):
            return False
        if self.encoder:
            return False
        names = [str(name) for name in self.config.get("architectures") or []]
        if any(name.endswith(_CAUSAL) for name in names):
            return True
        if any(name.endswith("ForConditionalGeneration") for name in names):
            return "text_config" in self.config
        return None if all(name.endswith("Model") for name in names) else False

    @property
    def encoder(self) -> bool:
        """Whether it is of a family that sees the whole text at once, and is not set otherwise."""
        family = self.config.get("model_type") in ENCODER_FAMILIES
        return family and not self.config.get("is_decoder")

    @property
    def custom_code(self) -> bool:
        """Whether it brings its own Python code for a causal model."""
        return "AutoModelForCausalLM" in (self.config.get("auto_map") or {})

    def bytes_as(self, dtype: str) -> int:
        """Memory of the weights when floating-point ones are held as `dtype`; `auto` keeps theirs.

        Quantised weights keep their own; pickled ones are scaled from the dtype in the config.
        """
        if dtype == "auto" or self.quantization or not self.dtype:
            if not self.elements:
                return self.weight_bytes
            return sum(count * DTYPE_BYTES.get(name, 1) for name, count in self.elements.items())
        if not self.elements:
            return self.weight_bytes * DTYPE_BYTES[dtype] // DTYPE_BYTES.get(self.dtype, 4)
        return sum(
            count * DTYPE_BYTES.get(dtype if "float" in name else name, 1)
            for name, count in self.elements.items()
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Look at a model directory. What is wrong with it is told in `problems`, never raised."""
    problems: list[str] = []
    config = _json_object(path / "config.json", problems)
    files = _weight_files(path, problems)
    tensors = _tensors(files, problems)
    if not any(next(path.glob(pattern), None) for pattern in _TOKENIZER_FILES):
        settings = _json_object(path / "tokenizer_config.json", [])
        if "auto_map" not in settings:
            problems.append("has no tokenizer (tokenizer.json, tokenizer.model or vocab.json)")
    return Checkpoint(
        path=path,
        config=config,
        elements=_elements(tensors, tied=bool(config.get("tie_word_embeddings"))),
        weight_files=tuple(files),
        weight_bytes=sum(file.stat().st_size for file in files),
        disk_bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        problems=tuple(problems),
        chat_template=_has_chat_template(path),
    )


def safetensors_header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file: tensor name → dtype, shape and data_offsets.

    Format: a little-endian u64 length, then that many bytes of JSON, then the data.

    Raises:
        ValueError: when the file is not safetensors or is shorter than its header says.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length + 8 > size:
            raise ValueError("is not a safetensors file, or is cut short")
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            data = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
            raise ValueError("is not a safetensors file") from error
    wanted = 8 + length + data
    if wanted > size:
        raise ValueError(f"is cut short: {size:,} of {wanted:,} bytes")
    return header


def _tensors(files: list[Path], problems: list[str]) -> dict[str, Any]:
    """The headers of all safetensors files together."""
    tensors: dict[str, Any] = {}
    for file in files:
        if file.suffix == ".safetensors":
            try:
                tensors |= safetensors_header(file)
            except ValueError as error:
                problems.append(f"has a {file.name} that {error}")
    return tensors


def _elements(tensors: dict[str, Any], *, tied: bool) -> dict[str, int]:
    """Elements by dtype name; the head of a model that ties it to its embeddings is left out."""
    counts: Counter[str] = Counter()
    doubled = tied and any(name.endswith(_EMBEDDINGS) for name in tensors)
    for name, tensor in tensors.items():
        buffer = _BUFFERS.search(name) and len(tensor["shape"]) != 1
        if buffer or name.endswith("inv_freq") or (doubled and name == _HEAD):
            continue
        kind = tensor["dtype"]
        counts[_DTYPES[kind][0] if kind in _DTYPES else kind] += math.prod(tensor["shape"])
    return dict(counts)


def _weight_files(path: Path, problems: list[str]) -> list[Path]:
    """The files that transformers would read the weights from, those that are there."""
    for name in WEIGHT_NAMES:
        if (path / name).is_file():
            return [path / name]
        index = path / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(_json_object(index, problems).get("weight_map", {}).values()))
            if absent := [shard for shard in shards if not (path / shard).is_file()]:
                problems.append(f"lacks {len(absent)} of {len(shards)} weight files ({absent[0]})")
            return [path / shard for shard in shards if shard not in absent]
    if (path / "adapter_config.json").is_file():
        problems.append("is an adapter (adapter_config.json): merge it into its base model first")
    elif next(path.glob("*.gguf"), None):
        problems.append("holds GGUF files, and only safetensors or pytorch_model.bin can be loaded")
    else:
        problems.append("has no weights (model.safetensors or pytorch_model.bin)")
    return []


def _json_object(file: Path, problems: list[str]) -> dict[str, Any]:
    if not file.is_file():
        problems.append(f"has no {file.name}")
        return {}
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        problems.append(f"has a {file.name} that is not valid JSON ({error})")
        return {}
    if not isinstance(value, dict):
        problems.append(f"has a {file.name} that is not a JSON object")
        return {}
    return value


def _has_chat_template(path: Path) -> bool:
    if (path / "chat_template.jinja").is_file() or (path / "chat_template.json").is_file():
        return True
    return bool(_json_object(path / "tokenizer_config.json", []).get("chat_template"))
