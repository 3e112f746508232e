"""What a config.json may say of a model's passes, and which of its entries lets none run."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from tokexplore.models.engine.loading.skeleton import skeleton

OUTPUTS: dict[str, Any] = {
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_router_logits": False,
    "output_logits": False,
    "chunk_size_feed_forward": 0,
}
"""The form of what a pass returns, and the pieces that it computes it in: ours, whatever is saved
in a config, since the numbers are the same."""
_WHAT_IT_IS = frozenset(["model_type", "architectures", "auto_map"])


def ask_plainly(config: PreTrainedConfig) -> None:
    """Set the form of what a pass returns, in the configs inside a config too."""
    for name, value in OUTPUTS.items():
        if hasattr(config, name):
            setattr(config, name, value)
    for name in config.sub_configs:
        if isinstance(inner := getattr(config, name, None), PreTrainedConfig):
            ask_plainly(inner)


def culprit(config: dict[str, Any], error: Exception) -> tuple[str, Any] | None:
    """The first entry of a config without which it gives a model that runs, as a path and a value.

    None where it fails in another way than `error`, where no entry alone prevents it, and for
    families that transformers does not know. Nothing here takes memory for weights.
    """
    if config.get("model_type") not in CONFIG_MAPPING:
        return None
    for make in (_config, _model, _pass):
        if failure := _failure(make, config):
            if type(failure) is not type(error):  # their words differ without memory
                return None
            entries = _entries(config)
            return next((entry for entry, rest in entries if not _failure(make, rest)), None)
    return None


def _config(entries: dict[str, Any]) -> PreTrainedConfig:
    return AutoConfig.for_model(**copy.deepcopy(entries | OUTPUTS))


def _model(entries: dict[str, Any]) -> object:
    return skeleton(_config(entries), trust_remote_code=False)


@torch.inference_mode()
def _pass(entries: dict[str, Any]) -> object:
    config = _config(entries)
    # Those that need no values to know their shapes, of which there are none.
    config._experts_implementation, config._attn_implementation = "batched_mm", "eager"
    model = skeleton(config, trust_remote_code=False)
    ids = torch.zeros(1, 2, dtype=torch.long, device="meta")
    return model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)


def _failure(make: Callable[[dict[str, Any]], object], entries: dict[str, Any]) -> Exception | None:
    try:
        make(entries)
    except Exception as error:
        return error
    return None


def _entries(config: dict[str, Any]) -> Iterator[tuple[tuple[str, Any], dict[str, Any]]]:
    """Each entry of a config, the inner ones first, and the config without it."""
    for name, value in config.items():
        if name in _WHAT_IT_IS:
            continue
        if isinstance(value, dict):
            for (path, inner), rest in _entries(value):
                yield (f"{name}.{path}", inner), config | {name: rest}
        yield (name, value), {n: v for n, v in config.items() if n != name}
