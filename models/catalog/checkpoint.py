"""What a model directory holds, read without torch: its config, and its weights' headers.

Only headers of weights are read, so a checkpoint of any size takes milliseconds.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from tokexplore.models.catalog.adapter import AdapterFiles, holds_both, is_adapter
from tokexplore.models.catalog.codes import method_of, problems_of_codes, weights_in
from tokexplore.models.catalog.foreign import foreign_weights, no_checkpoint
from tokexplore.models.catalog.gguf_header import GgufHeader
from tokexplore.models.catalog.gguf_names import GGUF
from tokexplore.models.catalog.glance import INDEX_END, WEIGHT_NAMES
from tokexplore.models.catalog.headers import DTYPES, TensorHeader, safetensors_header
from tokexplore.models.catalog.sizes import size_problem
from tokexplore.models.errors import reason_of
from tokexplore.models.untrusted import check_length, read_json

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

_NESTED = {"text_config", "vision_config", "audio_config"}
"""What the config of a multimodal model holds; old ones state the text model's own beside it."""
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ModelWithLMHead")
DTYPE_BYTES = dict(DTYPES.values())
_TOKENIZER_FILES = (
    *("tokenizer.json", "*.model", "vocab.json", "vocab.txt", "*.tiktoken", "tekken.json"),
)
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_READ_WHOLE = (
    *("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "vocab.txt", "merges.txt"),
    *("*.tiktoken", "*.jinja", "additional_chat_templates/*.jinja"),
)
"""Files that libraries read into memory, whatever their size."""
_BUFFERS = re.compile(r"rotary_emb\.inv_freq$|\.masked_bias$|\.attn(ention)?\.bias$")
"""Tensors that old checkpoints stored beside the parameters; a real attention bias is a vector."""
_HEAD, _EMBEDDINGS = "lm_head.weight", ("embed_tokens.weight", "wte.weight", "embed_in.weight")


class _Index(msgspec.Struct):
    """As much of an index of shards as is read."""

    weight_map: dict[str, str]
    metadata: dict[str, Any]


class _Quantization(msgspec.Struct):
    quant_method: str | None = None


class _Config(msgspec.Struct):
    """The entries of config.json whose type matters here."""

    architectures: list[str] | None = None
    model_type: str | None = None
    quantization_config: _Quantization | None = None
    text_config: "_Config | None" = None
    auto_map: dict[str, Any] | None = None
    layer_types: list[str] | None = None
    transformers_weights: str | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """A model directory as it lies on disk, or a GGUF model."""

    path: Path
    """Of a GGUF model its first file."""
    config: dict[str, Any]
    """config.json; empty where it is missing or broken. Of a GGUF model what its header says, by
    the names of a config.json."""
    tensors: dict[str, TensorHeader]
    """Headers of the weights by name."""
    elements: dict[str, int]
    """Elements of the weights by dtype name, tied weights once."""
    weight_files: tuple[Path, ...]
    """The files that transformers would read the weights from."""
    weight_bytes: int
    """Their size."""
    disk_bytes: int
    """Size of everything in the directory."""
    problems: tuple[str, ...]
    """What keeps it from being a complete model, each to be read after its name."""
    chat_template: bool
    gguf: GgufHeader | None = None
    """The header of a GGUF model; None for a directory."""
    adapter: AdapterFiles | None = None
    """The adapter that the directory holds instead of a model; None for a model."""

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
        return method_of(self.config)

    @property
    def parameters(self) -> int | None:
        """Number of parameters; None where no header tells it (packed weights)."""
        packed = self.quantization and any(
            name.startswith(("int", "uint")) for name in self.elements
        )
        return None if packed or not self.elements else sum(self.elements.values())

    @property
    def dtype(self) -> str:
        """The dtype of most of the weights, or how GGUF stores them (`Q4_K`); the quantisation
        method of a quantised checkpoint; empty where unknown."""
        if self.quantization:
            return self.quantization
        return max(self.elements, key=lambda name: self.elements[name], default="")

    @property
    def family(self) -> str:
        """The architecture class that config.json names, else its model type."""
        names = self.config.get("architectures") or [self.config.get("model_type") or ""]
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
            return not _NESTED.isdisjoint(self.config)
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

    def bytes_as(self, dtype: str, *, in_full: bool = False) -> int:
        """Memory of the weights when floating-point ones are held as `dtype`; `auto` keeps theirs.

        Quantised weights keep their own unless they are held `in_full`, each code as a weight of
        `dtype` (`auto`: two bytes), as those of GGUF always are.
        """
        if self.gguf:
            return sum(self.elements.values()) * DTYPE_BYTES.get(dtype, 2)
        if in_full and self.tensors:
            return weights_in(self.config, self.tensors) * DTYPE_BYTES.get(dtype, 2)
        if dtype == "auto" or self.quantization:
            return sum(count * DTYPE_BYTES.get(name, 1) for name, count in self.elements.items())
        return sum(
            count * DTYPE_BYTES.get(dtype if "float" in name else name, 1)
            for name, count in self.elements.items()
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Look at a model directory, or the first file of a GGUF model.

    What is wrong with it is told in `problems`, never raised.
    """
    if path.suffix == GGUF:
        from tokexplore.models.catalog.gguf_checkpoint import gguf_checkpoint

        return gguf_checkpoint(path)
    try:
        return _looked_at(path)
    except OSError as error:
        reason = reason_of(error)
        return Checkpoint(path, {}, {}, {}, (), 0, 0, (f"cannot be read ({reason})",), False)


def _looked_at(path: Path) -> Checkpoint:
    if problem := no_checkpoint(path):
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        return Checkpoint(path, {}, {}, {}, (), 0, size, (problem,), False)
    if is_adapter(path):
        from tokexplore.models.catalog.adapter_checkpoint import adapter_checkpoint

        return adapter_checkpoint(path)
    problems: list[str] = []
    if holds_both(path):
        problems.append(
            "holds a model and an adapter (adapter_config.json) in one folder: move the adapter's "
            "files into one of their own, and give that as --adapter"
        )
    config = _config(path / "config.json", problems)
    files = _weight_files(path, config, problems)
    tensors = _tensors(files, problems)
    weight_bytes = sum(file.stat().st_size for file in files)
    if wrong := size_problem(config, len(tensors), 0 if problems else weight_bytes):
        problems.append(wrong)
        config = {}
    problems += problems_of_codes(config, tensors)
    if not any(next(path.glob(pattern), None) for pattern in _TOKENIZER_FILES):
        settings = _json_object(path / "tokenizer_config.json", [])
        if "auto_map" not in settings:
            problems.append("has no tokenizer (tokenizer.json, tokenizer.model or vocab.json)")
    for name in _TOKENIZER_SETTINGS:
        if (path / name).is_file():
            _json_object(path / name, problems)
    problems += _too_long(path)
    return Checkpoint(
        path=path,
        config=config,
        tensors=tensors,
        elements=_elements(tensors, tied=bool(config.get("tie_word_embeddings"))),
        weight_files=tuple(files),
        weight_bytes=weight_bytes,
        disk_bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        problems=tuple(problems),
        chat_template=has_chat_template(path),
    )


def _too_long(path: Path) -> list[str]:
    problems = []
    for file in (found for pattern in _READ_WHOLE for found in path.glob(pattern)):
        try:
            check_length(file)
        except ValueError as error:
            problems.append(f"has a {file.name} that {error}")
    return problems


def _tensors(files: list[Path], problems: list[str]) -> dict[str, TensorHeader]:
    """The headers of all files together."""
    tensors: dict[str, TensorHeader] = {}
    before = len(problems)
    for file in files:
        header = safetensors_header if file.suffix == ".safetensors" else _pickled_header
        try:
            tensors |= header(file)
        except ValueError as error:
            problems.append(f"has a {file.name} that {error}")
    if files and not tensors and len(problems) == before:
        problems.append(f"has no tensors in {files[0].name}: choose another checkpoint of it")
    return tensors


def _elements(tensors: dict[str, TensorHeader], *, tied: bool) -> dict[str, int]:
    """Elements by dtype name; the head of a model that ties it to its embeddings is left out."""
    counts: Counter[str] = Counter()
    doubled = tied and any(name.endswith(_EMBEDDINGS) for name in tensors)
    for name, tensor in tensors.items():
        buffer = _BUFFERS.search(name) and len(tensor.shape) != 1
        if buffer or name.endswith("inv_freq") or (doubled and name == _HEAD):
            continue
        kind = tensor.dtype
        counts[DTYPES[kind][0] if kind in DTYPES else kind] += tensor.elements
    return dict(counts)


def _weight_files(path: Path, config: dict[str, Any], problems: list[str]) -> list[Path]:
    """The files that transformers would read the weights from, those that are there."""
    named = config.get("transformers_weights")
    names = [named] if named else [name + end for name in WEIGHT_NAMES for end in ("", INDEX_END)]
    if named and _outside(named):
        problems.append(f"has a config.json that names weights outside ({named})")
        return []
    for name in names:
        if not (path / name).is_file():
            continue
        if not name.endswith(INDEX_END):
            return [path / name]
        shards = _shards(path / name, problems)
        if absent := [shard for shard in shards if not (path / shard).is_file()]:
            problems.append(f"lacks {len(absent)} of {len(shards)} weight files ({absent[0]})")
        return [path / shard for shard in shards if shard not in absent]
    if found := foreign_weights(path):
        problems.append(
            f"holds weights of another program ({found}), and only model.safetensors or "
            "pytorch_model.bin can be loaded: convert them with the script of its family"
        )
    else:
        problems.append(f"has no weights ({named or ' or '.join(WEIGHT_NAMES)})")
    return []


def _shards(index: Path, problems: list[str]) -> list[str]:
    """The files of the weights that an index names, all of them beside it."""
    try:
        shards = sorted(set(read_json(index, _Index).weight_map.values()))
    except ValueError as error:
        problems.append(f"has a {index.name} that {error}")
        return []
    if beyond := [name for name in shards if _outside(name)]:
        problems.append(f"has a {index.name} that names a file outside ({beyond[0]})")
        return []
    if not shards:
        problems.append(f"has a {index.name} that names no files")
    return shards


def _outside(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _config(file: Path, problems: list[str]) -> dict[str, Any]:
    """config.json as it is written, where what is read of it has the types that it must have."""
    config = _json_object(file, problems)
    try:
        msgspec.convert(config, _Config)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a surrogate pair
        problems.append(f"has a {file.name} that cannot be a model's ({error})")
        return {}
    if config.get("configuration_files"):  # transformers would read one of them in its place
        problems.append(f"has a {file.name} that gives way to others: take configuration_files out")
    return config


def _json_object(file: Path, problems: list[str]) -> dict[str, Any]:
    if not file.is_file():
        problems.append(f"has no {file.name}")
        return {}
    try:
        value = read_json(file, object)
    except ValueError as error:
        problems.append(f"has a {file.name} that {error}")
        return {}
    if not isinstance(value, dict):
        problems.append(f"has a {file.name} that is not a JSON object")
        return {}
    return value


def processor_template(path: Path) -> str:
    """The template of chat_template.json, which processors read and tokenizers do not; empty where
    there is none."""
    template = _json_object(path / "chat_template.json", []).get("chat_template")
    return template if isinstance(template, str) else ""


def has_chat_template(path: Path) -> bool:
    """Whether a model directory holds a chat template, in any of the files that may have it."""
    files = [path / "chat_template.jinja", *path.glob("additional_chat_templates/*.jinja")]
    if any(file.is_file() and file.stat().st_size for file in files):
        return True
    settings = _json_object(path / "tokenizer_config.json", [])
    return bool(settings.get("chat_template") or processor_template(path))


def _pickled_header(file: Path) -> dict[str, TensorHeader]:
    """What `pickled_header` tells; few models are pickled, and none waits for its libraries."""
    from tokexplore.models.catalog.pickles import pickled_header

    return pickled_header(file)
