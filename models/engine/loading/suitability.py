"""Refuse, in one sentence each, what transformers would open but what cannot do the job."""

import re
from importlib.util import find_spec
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import __version__ as transformers_version
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from tokexplore.models.catalog.catalog import describe_problems
from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.errors import ModelError

_SHOWN = 3
_LAYER = re.compile(r"\b(?:layers|h|blocks|layer)\.(\d+)\.")

_ADAPTER = "base_model.model."
"""What the names of an adapter's tensors begin with, before those of the model's."""
_HARMLESS = re.compile(r"(input|output|activation|act|kv|k|v|q|prob)_(global_)?(scale|zero_point)$")


def check_files(name: str, checkpoint: Checkpoint, *, trust_remote_code: bool) -> None:
    """Refuse by what the files say, before any weight is read.

    Raises:
        ModelError: incomplete or corrupt files, an encoder, an encoder-decoder, own code that may
            not run.
    """
    if checkpoint.problems:
        raise ModelError(describe_problems(name, checkpoint.problems))
    if checkpoint.gguf:
        check_gguf_package(name)
    if checkpoint.config.get("is_encoder_decoder"):
        raise ModelError(
            f"{name} is an encoder-decoder model ({checkpoint.family}): tokexplore explores causal "
            "language models only."
        )
    model_type = checkpoint.config.get("model_type")
    supported = model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if checkpoint.custom_code and not supported and not trust_remote_code:
        raise ModelError(
            f"{name} needs Python code of its own to run: give --trust-remote-code if you trust it."
        )
    if checkpoint.encoder:
        raise ModelError(
            f"{name} is an encoder ({checkpoint.family}) that sees the whole text at once: "
            "tokexplore explores causal language models only."
        )
    wrapper = model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    if checkpoint.causal is False and not checkpoint.custom_code and not wrapper:
        raise ModelError(
            f"{name} is not a causal language model ({checkpoint.family}): choose one whose "
            "architecture is named ...ForCausalLM."
        )


def check_gguf_package(name: str) -> None:
    """Refuse a GGUF file where what reads it is not installed.

    Raises:
        ModelError: naming the package.
    """
    if not find_spec("gguf"):
        raise ModelError(
            f"{name} is a GGUF model, which needs a package that is not installed: "
            "pip install gguf (the extra tokexplore[gguf])."
        )


def check_family(name: str, config: PreTrainedConfig, *, trust_remote_code: bool) -> None:
    """Refuse a config that transformers has no causal model for, bare or in a multimodal one."""
    own = trust_remote_code and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    supported = type(config) in auto_class(config)._model_mapping
    if not own and (not supported or getattr(config, "is_encoder_decoder", False)):
        raise ModelError(
            f"{name} is of type {config.model_type}, which transformers {transformers_version} has "
            "no causal language model for."
        )


def auto_class(config: PreTrainedConfig) -> type[Any]:
    """What opens it in transformers: as a causal model, or as a multimodal one where only that
    knows it."""
    kind = type(config)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING and kind in MODEL_FOR_MULTIMODAL_LM_MAPPING:
        return AutoModelForMultimodalLM
    return AutoModelForCausalLM


def check_loaded(
    name: str, info: dict[str, Any], model: PreTrainedModel, checkpoint: Checkpoint
) -> list[str]:
    """Refuse weights that do not fill the model; a notice for those that it does not use.

    Raises:
        ModelError: for missing and for mismatched tensors, which transformers fills at random, for
            layers beyond the model's, and for tensors that a weight is wrong without.
    """
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"{name} lacks {len(missing)} of the tensors that its config asks for "
            f"({_some(missing)}; {layers} layers by the config): the files do not belong together."
        )
    if mismatched := sorted(info["mismatched_keys"]):
        tensor, found, wanted = mismatched[0]
        raise ModelError(
            f"{name} has {len(mismatched)} tensors of another shape than its config asks for "
            f"({tensor} is {_shape(found)} and should be {_shape(wanted)}): "
            "the files do not belong together."
        )
    if errors := info.get("error_msgs"):
        raise ModelError(f"{name} could not be loaded: {errors[0]}")
    if unexpected := sorted(info["unexpected_keys"]):
        if beyond := _beyond(unexpected, model):
            raise ModelError(
                f"{name} has weights for more layers than the {layers} that its config asks for "
                f"({_some(beyond)}): the files do not belong together."
            )
        if beside := _beside(unexpected, model, checkpoint):
            raise ModelError(
                f"{name} has {len(beside)} tensors that belong to weights of the model and are not "
                f"used ({_some(beside)}): without them its numbers would not be the model's."
            )
        return [f"{len(unexpected)} tensors of the checkpoint are not used ({_some(unexpected)})"]
    return []


def plainly_causal(checkpoint: Checkpoint) -> bool:
    """Whether it is of a family of transformers' own that config.json names ...ForCausalLM."""
    supported = checkpoint.config.get("model_type") in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return supported and not checkpoint.custom_code and checkpoint.family.endswith("ForCausalLM")


def check_causality(name: str, model: PreTrainedModel, rows: int, context: int) -> None:
    """Refuse a model whose earlier logits change with a later token.

    Two rows of eight ids, or of the whole context, that differ in the last one only: all earlier
    logits must agree, up to the noise of a batched kernel.
    """
    count = min(8, context or 8)
    if count < 2:
        return
    ids = torch.arange(count).mul(7).add(3).remainder(rows).repeat(2, 1)  # [2, count]
    ids[1, -1] = (int(ids[1, -1]) + 1) % rows
    ids = ids.to(model.get_input_embeddings().weight.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    before = logits[:, :-1].float()  # [2, count - 1, rows]
    scale = before.std().clamp_min(1e-6)
    if (before[0] - before[1]).abs().max() > 0.05 * scale:
        raise ModelError(
            f"{name} looks ahead: its logits change with later tokens, so it is not a causal "
            "language model."
        )


def _beyond(unexpected: list[str], model: PreTrainedModel) -> list[str]:
    """The tensors of layers that would follow the model's last one.

    Neither those of another stack, such as a vision tower, nor those of heads that predict further
    tokens, which some families number as layers.
    """
    further = getattr(model.config.get_text_config(), "num_nextn_predict_layers", 0) or 0
    last: dict[str, int] = {}
    for key in model.state_dict():
        stack, number = _layer(key)
        last[stack] = max(number, last.get(stack, -1))

    def beyond(stack: str, number: int) -> bool:
        # A checkpoint's names may lack the prefix of the model's.
        ends = [end for name, end in last.items() if stack and name.endswith(stack)]
        return bool(ends) and number > max(ends) + further

    return [key for key in unexpected if beyond(*_layer(key))]


def _beside(unexpected: list[str], model: PreTrainedModel, checkpoint: Checkpoint) -> list[str]:
    """The unused tensors that belong to a weight of the model: its scales, its bias.

    Those that describe activations or a quantised KV cache change nothing in a weight, nor does a
    bias of zeros, which some quantisers write.
    """
    keys = model.state_dict().keys()
    keys |= {key.partition(".")[2] for key in keys}  # names may lack the model's prefix
    modules = {key.removesuffix(".weight") for key in keys if key.endswith(".weight")}
    bare = tuple(f"{key}_" for key in keys if key and not key.endswith((".weight", ".bias")))

    def belongs(key: str) -> bool:
        key = key.removeprefix(_ADAPTER)
        above = (key[:at] for at, character in enumerate(key) if character == ".")
        return any(stem in modules for stem in above) or key.startswith(bare)

    found = [key for key in unexpected if belongs(key) and not _HARMLESS.search(key)]
    biases = [key for key in found if key.endswith(".bias")]
    zeros = _zeros(biases, checkpoint) if biases else ()
    return [key for key in found if key not in zeros]


def _zeros(keys: list[str], checkpoint: Checkpoint) -> set[str]:
    """Those of the tensors that hold nothing but zeros."""
    found = set()
    for file in checkpoint.weight_files:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as tensors:
                here = [key for key in keys if key in tensors.keys()]  # noqa: SIM118
                found |= {key for key in here if not tensors.get_tensor(key).any()}
    return found


def _layer(key: str) -> tuple[str, int]:
    """The stack of layers that a tensor's name tells and its number there; empty for none."""
    found = _LAYER.search(key)
    return (key[: found.start(1)], int(found[1])) if found else ("", -1)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _shape(shape: Any) -> str:
    return "x".join(str(n) for n in shape)
