"""What a config.json may say of a model's passes, and which of its entries makes no model."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from tokexplore.models.engine.skeleton import skeleton

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


def culprit(config: dict[str, Any]) -> tuple[str, Any] | None:
    """The first entry of a config without which a model can be made of it, as a path and a value.

    None where it can be made as it is, where no entry alone prevents it, and for families that
    transformers does not know.
    """
    if config.get("model_type") not in CONFIG_MAPPING:
        return None
    for make in (_config, _model):
        if _fails(make, config):
            entries = _entries(config)
            return next((entry for entry, rest in entries if not _fails(make, rest)), None)
    return None


def _config(entries: dict[str, Any]) -> PreTrainedConfig:
    return AutoConfig.for_model(**copy.deepcopy(entries | OUTPUTS))


def _model(entries: dict[str, Any]) -> object:
    return skeleton(_config(entries), trust_remote_code=False)


def _fails(make: Callable[[dict[str, Any]], object], entries: dict[str, Any]) -> bool:
    try:
        make(entries)
    except Exception:
        return True
    return False


def _entries(config: dict[str, Any]) -> Iterator[tuple[tuple[str, Any], dict[str, Any]]]:
    """Each entry of a config, the inner ones first, and the config without it."""
    for name, value in config.items():
        if name in _WHAT_IT_IS:
            continue
        if isinstance(value, dict):
            for (path, inner), rest in _entries(value):
                yield (f"{name}.{path}", inner), config | {name: rest}
        yield (name, value), {n: v for n, v in config.items() if n != name}
