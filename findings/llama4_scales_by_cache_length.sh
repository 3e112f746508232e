#!/bin/sh
# How the layers of Llama 4 that have no positions tell how far a token is.
#
# Versions: transformers 5.23.0, torch 2.13.0 from PyPI, Python 3.11, x86-64, float32.
#
# Those layers scale each query by a factor that grows with its position (temperature tuning): it
# changes every `floor_scale` tokens, 8,192 by default. The position is taken from the length of the
# KV cache, not from the `position_ids` that are given. So a sequence that is padded on the left gets
# other logits than the same sequence alone, with the right mask and the right positions, as soon as
# padding moves it over such a border. A model without the tuning gives the same logits both ways,
# and so do the layers that rotate.
#
# Seen (largest difference of the last token's logits, padded against alone):
#    temperature tuning on: 1.4e-01
#    temperature tuning off: 1.3e-06
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 numpy
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON'
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, Llama4TextConfig

torch.set_grad_enabled(False)
print("torch", torch.__version__, "transformers", transformers.__version__)
PADS, IDS = 20, [(7 * place) % 89 + 1 for place in range(12)]


def difference(tuned):
    torch.manual_seed(0)
    config = Llama4TextConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, intermediate_size_mlp=48,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        num_local_experts=2, floor_scale=16, attn_scale=0.5, attn_temperature_tuning=tuned,
        pad_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    alone = model(input_ids=torch.tensor([IDS])).logits[0, -1]
    mask = torch.tensor([[0] * PADS + [1] * len(IDS)])
    padded = model(
        input_ids=torch.tensor([[0] * PADS + IDS]),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
    ).logits[0, -1]
    return float((alone - padded).abs().max())


on, off = difference(True), difference(False)
print(f"temperature tuning on: {on:.1e}")
print(f"temperature tuning off: {off:.1e}")
sys.exit(0 if on > 1e-3 and off < 1e-4 else 1)
PYTHON
