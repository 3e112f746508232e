#!/bin/sh
# What transformers' own load_adapter makes of a DoRA that peft saved.
#
# Versions: transformers 5.23.0, peft 0.21.2, torch 2.13.0, Python 3.11, on a CPU.
#
# peft stores the magnitude of a module as `...lora_magnitude_vector` and holds it as
# `...lora_magnitude_vector.NAME.weight`. load_adapter looks for the first under a name without
# `.weight`, finds no place for it, and leaves the magnitude as it was made; a table in a log says
# so, nothing is raised. Loading a LoRA in this way gives peft's own numbers.
#
# Seen:
#    LoRA: transformers' load_adapter and peft are 0 apart, of 0.62 that the adapter does
#    DoRA: transformers' load_adapter and peft are 0.26 apart, of 0.29 that the adapter does
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 safetensors==0.8.0
CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" 2> "$folder/log" <<'PYTHON'
import sys

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

print("transformers", transformers.__version__, "peft", peft.__version__)
IDS = torch.arange(5, 25)[None]


def base():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval()


@torch.inference_mode()
def apart(*, dora):
    path = f"{sys.argv[1]}/dora-{dora}"
    config = LoraConfig(r=4, target_modules=["up_proj"], use_dora=dora, task_type="CAUSAL_LM")
    with torch.inference_mode(False):
        made = get_peft_model(base(), config)
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.data += torch.randn_like(parameter)
    made.save_pretrained(path)
    by_peft = PeftModel.from_pretrained(base(), path).eval()(IDS).logits
    model = base()
    model.load_adapter(path)
    found = model.eval()(IDS).logits
    return (found - by_peft).abs().max().item(), (by_peft - base()(IDS).logits).abs().max().item()


gaps = {}
for name, dora in (("LoRA", False), ("DoRA", True)):
    gaps[name], effect = apart(dora=dora)
    print(f"{name}: transformers' load_adapter and peft are {gaps[name]:.2g} apart, of {effect:.2g} that the adapter does")
sys.exit(0 if gaps["LoRA"] < 1e-5 and gaps["DoRA"] > 1e-3 else 1)
PYTHON
