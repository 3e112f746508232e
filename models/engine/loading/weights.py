"""Config, tokenizer and weights through transformers, every failure as one sentence."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers import __version__ as transformers_version

from tokexplore.models.api.options import Quantize
from tokexplore.models.catalog.checkpoint import Checkpoint, processor_template
from tokexplore.models.catalog.gguf_header import GgufHeader, gguf_header
from tokexplore.models.catalog.gguf_names import GGUF
from tokexplore.models.engine.loading.config import OUTPUTS, ask_plainly, culprit
from tokexplore.models.engine.loading.device import Placement, torch_dtype
from tokexplore.models.engine.loading.load_progress import Meter, Report
from tokexplore.models.engine.loading.mapped_files import Shape, held_as_stored, mapping_only
from tokexplore.models.engine.loading.muted_libraries import bars_to
from tokexplore.models.engine.loading.quantization import settle_dtype
from tokexplore.models.engine.loading.quantize import quantization_config
from tokexplore.models.engine.loading.skeleton import skeleton
from tokexplore.models.engine.loading.suitability import (
    auto_class,
    check_family,
    check_gguf_package,
    check_loaded,
)
from tokexplore.models.engine.loading.tokenizer_files import TEKKEN, missing_packages
from tokexplore.models.engine.loading.towers import leave_out_towers
from tokexplore.models.errors import ModelError, OutOfMemoryError, TokexploreError
from tokexplore.models.untrusted import brief

if TYPE_CHECKING:
    from tokexplore.models.engine.loading.gguf.weights import DequantisedTensor

_LONGEST = 300
"""Characters of a library's message; some repeat what they could not read."""
_OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


@dataclass(frozen=True)
class Opening:
    """What is being opened, for the functions here."""

    name: str
    checkpoint: Checkpoint
    trust_remote_code: bool

    @property
    def path(self) -> Path:
        return self.checkpoint.path


@contextmanager
def explained(name: str, where: str) -> Iterator[None]:
    """Turn what transformers raises into one sentence for the user."""
    try:
        yield
    except TokexploreError:
        raise
    except SafetensorError as error:
        raise ModelError(f"{name} has a corrupt weight file: {_sentence(error)}") from error
    except ImportError as error:
        raise ModelError(
            f"{name} needs a package that is not installed: {_sentence(error)}"
        ) from error
    except Exception as error:
        if isinstance(error, _OUT_OF_MEMORY) or "can't allocate memory" in str(error):
            raise OutOfMemoryError(
                f"{where} has no memory left for {name}: choose another device, a smaller --dtype, "
                "or --device-map auto."
            ) from error
        if "does not recognize this architecture" in str(error):
            raise ModelError(
                f"{name} is of an architecture that transformers {transformers_version} does not "
                "know: a newer transformers may."
            ) from error
        if "automatic conversion of the weights" in str(error):
            raise ModelError(
                f"{name} has weights that are not whole: what belongs to their codes (scales, "
                "states of a quantiser) is missing or does not fit: choose another checkpoint of "
                "it."
            ) from error
        raise ModelError(f"{name} could not be loaded: {_sentence(error)}") from error


@contextmanager
def blamed(name: str, config: dict[str, Any]) -> Iterator[None]:
    """Name the entry of config.json that keeps a model from being made or run, where one does.

    Raises:
        ModelError: for such an entry; any other error as it is.
    """
    try:
        yield
    except (TokexploreError, ImportError, SafetensorError, *_OUT_OF_MEMORY):
        raise
    except Exception as error:
        if not (found := culprit(config, error)):
            raise
        entry, value = found
        cause = error.__cause__ if isinstance(error, StrictDataclassError) else None
        setting = f"{entry} is {brief(json.dumps(value, default=str))}"
        raise ModelError(
            f"{name} has a config.json whose {setting}, with which transformers runs no model "
            f"({_sentence(cause or error)[:-1]}): put the model's own there, or choose another "
            "checkpoint of it."
        ) from error


def open_config(opening: Opening) -> PreTrainedConfig:
    """The model's config, of a family that can do the job, whose passes give what we ask for."""
    header = opening.checkpoint.gguf
    stated = {} if header else opening.checkpoint.config
    with explained(opening.name, "the machine"), blamed(opening.name, stated):
        if header:
            from tokexplore.models.engine.loading.gguf.config import gguf_config

            config = gguf_config(opening.name, header, **OUTPUTS)
        else:
            config = AutoConfig.from_pretrained(
                opening.path,
                trust_remote_code=opening.trust_remote_code,
                local_files_only=True,
                **OUTPUTS,
            )
        ask_plainly(config)
    check_family(opening.name, config, trust_remote_code=opening.trust_remote_code)
    return config


def open_tokenizer(name: str, path: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in a directory, from tokenizer.json where it has one, or in a GGUF file.

    Raises:
        ModelError: for files that cannot be read, and where they need a package that is not here.
    """
    if path.suffix == GGUF:
        return _in_gguf(name, path)
    whole = (path / "tokenizer.json").is_file()
    if not whole and (packages := missing_packages(path)):
        raise ModelError(
            f"{name} has no tokenizer.json, and its {packages.file} needs packages that "
            f"are not installed: pip install {packages.names}."
        )
    # Left to itself transformers takes Mistral's, which has no chat template, where both are, and
    # for other families makes one of it that lacks its control tokens.
    tekken = {"mistral_format": not whole} if (path / TEKKEN).is_file() else {}
    with explained(f"{name}'s tokenizer", "the machine"):
        tokenizer = AutoTokenizer.from_pretrained(
            path, trust_remote_code=trust_remote_code, local_files_only=True, **tekken
        )
    if not len(tokenizer):
        raise ModelError(f"{name} has a tokenizer without any tokens.")
    if not tokenizer.chat_template:
        tokenizer.chat_template = processor_template(path) or None
    return tokenizer


def _in_gguf(name: str, path: Path) -> PreTrainedTokenizerBase:
    check_gguf_package(name)
    from tokexplore.models.engine.loading.gguf.tokenizer import gguf_tokenizer

    try:
        header = gguf_header(path)
    except ValueError as error:
        raise ModelError(f"{name} {error}.") from None
    with explained(f"{name}'s tokenizer", "the machine"):
        return gguf_tokenizer(path, header)


def open_model(
    opening: Opening,
    config: PreTrainedConfig,
    dtype: str,
    placement: Placement,
    report: Report,
    detail: str,
    quantize: Quantize = "",
    *,
    shapes: Collection[Shape],
) -> tuple[PreTrainedModel, list[str]]:
    """The model with every weight in its place, in eval mode, and notices about its weights.

    Args:
        shapes: of its weights, as far as they are known.
    """
    sizes = _tensor_bytes(opening.checkpoint)
    header = opening.checkpoint.gguf
    meter = Meter(sizes, sum(sizes.values()) or opening.checkpoint.weight_bytes, report)
    meter.start(detail)
    with (
        explained(opening.name, placement.label),
        blamed(opening.name, opening.checkpoint.config),
        bars_to(meter.hook),
    ):
        settings: dict[str, Any] = {
            "config": config,
            # Else its file is read, which none of this needs.
            "generation_config": GenerationConfig(),
            "dtype": torch_dtype(dtype),
            "device_map": placement.device_map,
            "local_files_only": True,
            "ignore_mismatched_sizes": True,
            "output_loading_info": True,
            **quantization_config(quantize),
        }
        if header:
            kind, weights = _dequantised(opening.name, header, config)
            model, info = kind.from_pretrained(None, state_dict=weights, **settings)
        else:
            kept = held_as_stored(opening.checkpoint.tensors, settings["dtype"], shapes)
            with mapping_only(kept):
                model, info = auto_class(config).from_pretrained(
                    opening.path, trust_remote_code=opening.trust_remote_code, **settings
                )
    notices = check_loaded(opening.name, info, model, opening.checkpoint)
    if header:
        notices += _of_gguf(opening.name, header, model, quantize)
    if opening.checkpoint.quantization and not model.is_quantized:
        settle_dtype(model, model.config.dtype)
    meter.finish()
    model.requires_grad_(False).eval()
    if len(type(model.config).sub_configs) > 1:
        notices.append(leave_out_towers(opening.name, model))
    return model, notices


def _dequantised(
    name: str, header: GgufHeader, config: PreTrainedConfig
) -> "tuple[type[PreTrainedModel], dict[str, DequantisedTensor]]":
    """The class of a GGUF model, and its weights, none of them read yet."""
    from tokexplore.models.engine.loading.gguf.weights import gguf_weights

    without_memory = skeleton(config, trust_remote_code=False)
    return type(without_memory), gguf_weights(name, header, config, without_memory)


def _of_gguf(
    name: str, header: GgufHeader, model: PreTrainedModel, quantize: Quantize
) -> list[str]:
    """Give a model what its GGUF file has beside its weights; notices."""
    from tokexplore.models.engine.loading.gguf.config import notices_of
    from tokexplore.models.engine.loading.gguf.weights import stretch_positions

    kinds = Counter(tensor.kind.name for tensor in header.tensors.values())
    stored = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    read = "read" if quantize else "held"  # those of linear layers are quantised anew
    held = f"tensors of the GGUF file ({stored}) are {read} as {str(model.dtype)[6:]}"
    return [held, *notices_of(header), stretch_positions(name, header, model)]


def _tensor_bytes(checkpoint: Checkpoint) -> dict[str, int]:
    """Bytes of each tensor of the checkpoint."""
    return {name: tensor.size for name, tensor in checkpoint.tensors.items()}


def _sentence(error: BaseException) -> str:
    """What a library says until its first sentence ends, ended like one."""
    text = repr(error) if isinstance(error, KeyError) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    return (first or type(error).__name__)[:_LONGEST].rstrip(".:") + "."
