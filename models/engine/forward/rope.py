"""Rotary position embeddings whose frequencies depend on how long a pass is."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from tokexplore.models.api.borders import Borders

_LONGROPE = ("longrope", "su")
"""Its name, and the one that the first Phi-3 files have."""


def borders_of(config: PreTrainedConfig, context: int) -> Borders:
    """The lengths at which a model of this config changes its frequencies, within its context.

    As transformers reads them: LongRoPE at `original_max_position_embeddings`, dynamic scaling at
    `max_position_embeddings`.
    """
    own = getattr(config, "max_position_embeddings", 0) or 0
    once, every = set(), 0
    for parameters in _parameters(config):
        kind = _kind(parameters)
        if kind in _LONGROPE:
            original = getattr(config, "original_max_position_embeddings", own)
            once.add(parameters.get("original_max_position_embeddings") or original)
        elif "dynamic" in kind:
            every = own
    reached = [border for border in once if 0 < border < (context or math.inf)]
    return Borders(tuple(sorted(reached)), every if every < (context or math.inf) else 0)


def stretched(config: PreTrainedConfig, context: int) -> int:
    """Positions that the model was made for: dynamic scaling multiplies those of its config."""
    factors = [p.get("factor") for p in _parameters(config) if "dynamic" in _kind(p)]
    return int(context * max((f for f in factors if f), default=1))


class DynamicRope:
    """The embeddings of a model that keep the frequencies of the longest pass until a short one.

    transformers' `dynamic_rope_update` makes new ones only for a pass longer than all before, so
    that the logits of a path would depend on what was run before it.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._held = [(m, prefix) for m in model.modules() for prefix in _prefixes(m)]

    def forget(self) -> None:
        """Let the next pass have the frequencies of its own length."""
        for module, prefix in self._held:
            held = getattr(module, f"{prefix}inv_freq")
            original = getattr(module, f"{prefix}original_inv_freq")
            module.register_buffer(f"{prefix}inv_freq", original.to(held.device), persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


def _parameters(config: PreTrainedConfig) -> Iterator[Mapping[str, Any]]:
    """The rope parameters of a config: one set, or one for each type of layer."""
    named = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if isinstance(named, Mapping):
        sets = [v for v in named.values() if isinstance(v, Mapping)]
        yield from [named] if _kind(named) else sets


def _kind(parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("rope_type") or parameters.get("type") or "")


def _prefixes(module: nn.Module) -> list[str]:
    """What the names of a module's dynamic frequencies begin with; none where it has none."""
    kinds = getattr(module, "rope_type", None)
    by_layer = kinds if isinstance(kinds, Mapping) else {"": kinds}
    names = {
        f"{layer}_" if layer else "" for layer, kind in by_layer.items() if "dynamic" in f"{kind}"
    }
    return [prefix for prefix in names if hasattr(module, f"{prefix}original_inv_freq")]
