"""What lens and split must tell of the tiny random models, by hand: norm, head, scale and soft cap
in float64 by their formulas, the blocks' outputs by hooks on the modules that a family has.

Nothing here is of the engine; each family is written down by name.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Family:
    """Where a family has its layers, its final norm and what its layers add."""

    layers: str = "model.layers"
    norm: str = "model.norm"
    blocks: tuple[tuple[str, str, str], ...] = (
        ("attention", "self_attn", "self_attn"),
        ("mlp", "mlp", "mlp"),
    )
    """Kind, block, and the module in a layer whose output is added."""
    projection: str = "self_attn.o_proj"
    """Of the heads."""
    multiplier: str = ""
    """In the config: what the outputs are multiplied by."""
    embedding: str = ""
    """Of a family whose hidden states leave out what the first layer takes."""


_POST = (
    ("attention", "self_attn", "post_attention_layernorm"),
    ("mlp", "mlp", "post_feedforward_layernorm"),
)
FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "qwen2": Family(),
    "qwen3_moe": Family(),
    "mixtral": Family(),
    "deepseek_v3": Family(),
    "gpt_oss": Family(),
    "gemma2": Family(blocks=_POST),
    "gemma3": Family(blocks=_POST),
    "olmo2": Family(blocks=_POST),
    "granite": Family(multiplier="residual_multiplier"),
    "cohere": Family(),
    "phi": Family(norm="model.final_layernorm", projection="self_attn.dense"),
    "gpt2": Family(
        "transformer.h",
        "transformer.ln_f",
        (("attention", "attn", "attn"), ("mlp", "mlp", "mlp")),
        "attn.c_proj",
    ),
    "gptj": Family(
        "transformer.h",
        "transformer.ln_f",
        (("attention", "attn", "attn"), ("mlp", "mlp", "mlp")),
        "attn.out_proj",
    ),
    "gpt_neox": Family(
        "gpt_neox.layers",
        "gpt_neox.final_layer_norm",
        (("attention", "attention", "attention"), ("mlp", "mlp", "mlp")),
        "attention.dense",
    ),
    "falcon": Family(
        "transformer.h",
        "transformer.ln_f",
        (
            ("attention", "self_attention", "self_attention.dense"),
            ("mlp", "mlp", "mlp.dense_4h_to_h"),
        ),
        "self_attention.dense",
    ),
    "bloom": Family(
        "transformer.h",
        "transformer.ln_f",
        (
            ("attention", "self_attention", "self_attention.dense"),
            ("mlp", "mlp", "mlp.dense_4h_to_h"),
        ),
        "self_attention.dense",
    ),
    "opt": Family(
        "model.decoder.layers",
        "model.decoder.final_layer_norm",
        (("attention", "self_attn", "self_attn"), ("mlp", "fc1, fc2", "fc2")),
        "self_attn.out_proj",
    ),
    "mamba": Family(
        "backbone.layers",
        "backbone.norm_f",
        (("other", "mixer", "mixer"),),
        "",
        embedding="backbone.embeddings",
    ),
}


class ByHand:
    """One pass over a path, and what follows from it."""

    def __init__(self, name: str, model: PreTrainedModel, ids: Sequence[int]) -> None:
        self.family, self.model = FAMILIES[name], model
        self.layers = list(model.get_submodule(self.family.layers))
        self.outputs: dict[tuple[int, str], torch.Tensor] = {}
        """By layer from 1 and module: f64, [H]."""
        self.inputs: dict[int, torch.Tensor] = {}
        """Of the heads' projection, by layer."""
        with ExitStack() as stack:
            for number, layer in enumerate(self.layers, 1):
                for _, _, path in self.family.blocks:
                    module, key = layer.get_submodule(path), (number, path)
                    stack.callback(module.register_forward_hook(_keep(self.outputs, key)).remove)
                if projection := self._projection(layer):
                    hook = _keep_input(self.inputs, number)
                    stack.callback(projection.register_forward_pre_hook(hook).remove)
            last: dict[str, torch.Tensor] = {}
            stack.callback(self.layers[-1].register_forward_hook(_keep(last, "")).remove)
            with torch.inference_mode():
                said = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        hidden = said.hidden_states
        if self.family.embedding:
            first = model.get_submodule(self.family.embedding)(torch.tensor([ids]))
            hidden = (first, *hidden)
        states = [state[0, -1].double() for state in hidden[: len(self.layers)]]
        self.states = [*states, last[""]]
        """Layer by layer, f64, [H]; the last one is not normed yet."""
        self.logits = said.logits[0, -1].double()

    def read(self, state: torch.Tensor) -> torch.Tensor:
        """A state [H] through final norm, head, scale and soft cap: f64, [V]."""
        config = self.model.config
        logits = self.head(self.norm(state, state, bias=True))
        logits = logits * (getattr(config, "logit_scale", None) or 1.0)
        logits = logits / (getattr(config, "logits_scaling", None) or 1.0)
        if cap := getattr(config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    def norm(self, part: torch.Tensor, state: torch.Tensor, *, bias: bool) -> torch.Tensor:
        """A part of a state [H] through the final norm as it is at that state."""
        return normed(self.model.get_submodule(self.family.norm), part, state, bias=bias)

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        head = self.model.get_output_embeddings()
        logits = head.weight.double() @ normed
        return logits if head.bias is None else logits + head.bias.double()

    def parts(self) -> list[tuple[str, int, str, torch.Tensor]]:
        """Kind, layer, block and what it adds to the state, f64 [H]."""
        found = [("embedding", 0, "", self.states[0])]
        for number in range(1, len(self.layers) + 1):
            for kind, block, path in self.family.blocks:
                value = self._multiplier() * self.outputs[number, path]
                found.append((kind, number, block, value))
        return found

    def heads(self, number: int) -> list[torch.Tensor]:
        """What each head of a layer adds to the state, f64 [H]; the projection's bias left out."""
        layer, count = self.layers[number - 1], self.model.config.num_attention_heads
        projection, inputs = self._projection(layer), self.inputs[number]
        assert projection is not None
        weight = projection.weight.double()
        weight = weight if isinstance(projection, nn.Linear) else weight.T  # Conv1D
        width = len(inputs) // count
        cut = [slice(head * width, (head + 1) * width) for head in range(count)]
        outputs = [self._multiplier() * weight[:, own] @ inputs[own] for own in cut]
        after = self.family.blocks[0][2]
        if "norm" not in after:
            return outputs
        total = weight @ inputs
        return [normed(layer.get_submodule(after), part, total, bias=False) for part in outputs]

    def difference(self, value: torch.Tensor, tokens: tuple[int, int]) -> float:
        """What a part of the last state adds to the head's difference of two logits."""
        rows = self.model.get_output_embeddings().weight.double()
        part = self.norm(value, self.states[-1], bias=False)
        return float((rows[tokens[0]] - rows[tokens[1]]) @ part)

    def _projection(self, layer: nn.Module) -> Any:
        return layer.get_submodule(self.family.projection) if self.family.projection else None

    def _multiplier(self) -> float:
        return getattr(self.model.config, self.family.multiplier) if self.family.multiplier else 1.0


def normed(module: Any, part: torch.Tensor, state: torch.Tensor, *, bias: bool) -> torch.Tensor:
    """A part of a state through LayerNorm or RMSNorm as it is at that state, by its formula."""
    kind, gain = type(module).__name__, module.weight.double()
    eps = next(getattr(module, n) for n in ("eps", "variance_epsilon") if hasattr(module, n))
    if "RMS" in kind:
        gain = gain + 1 if kind.startswith("Gemma") else gain
        return gain * part / (state.square().mean() + eps).sqrt()
    assert "LayerNorm" in kind, kind
    made = gain * (part - part.mean()) / (state.var(correction=0) + eps).sqrt()
    own = getattr(module, "bias", None)
    return made + own.double() if bias and own is not None else made


def _keep(into: dict[Any, torch.Tensor], key: Any) -> Callable[..., None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        into[key] = first.reshape(-1, first.shape[-1])[-1].double()

    return hook


def _keep_input(into: dict[int, torch.Tensor], key: int) -> Callable[..., None]:
    def hook(_module: nn.Module, args: Any) -> None:
        into[key] = args[0].reshape(-1, args[0].shape[-1])[-1].double()

    return hook
