"""Adapters of random weights on tiny models, as peft saves them."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel


def lora(**changes: Any) -> LoraConfig:
    """LoRA of rank 4 on queries and values."""
    usual: dict[str, Any] = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    return LoraConfig(task_type="CAUSAL_LM", **(usual | changes))


def bare(base: Path) -> PreTrainedModel:
    """The base by transformers alone."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(base)
    return model.eval()


def save_adapter(path: Path, base: Path, config: PeftConfig | None = None, seed: int = 3) -> Path:
    """An adapter whose weights are large enough to change every logit."""
    torch.manual_seed(seed)
    model = get_peft_model(bare(base), config or lora())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(path)
    return path


@torch.inference_mode()
def by_peft(base: Path, adapters: list[Path], ids: torch.Tensor) -> torch.Tensor:
    """Logits of peft's own model with these adapters active together: f32, [B, n, V]."""
    model = PeftModel.from_pretrained(bare(base), str(adapters[0]), adapter_name="one0")
    for number, path in enumerate(adapters[1:], 1):
        model.load_adapter(str(path), f"one{number}")
    model.base_model.set_adapter([f"one{number}" for number in range(len(adapters))])
    logits: torch.Tensor = model.eval()(ids).logits
    return logits
