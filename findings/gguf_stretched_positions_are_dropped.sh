#!/bin/sh
# transformers: how a GGUF file stretches positions is dropped, in both ways that files say it.
#
# Versions: transformers 5.23.0, gguf 0.19.0, torch 2.13.0 (CPU), Python 3.11, Linux.
#
# llama.cpp's converter stores the positions of Llama 3.1 and later as a tensor `rope_freqs.weight`
# by which frequencies are divided, those of other models as `rope.scaling.type` and `.factor`.
# from_pretrained(gguf_file=) opens such files without an error and computes as if neither were there:
# logits are those of the file without them, where llama.cpp's change.
#
# Seen:
#    rope_freqs.weight: rope_type default, logits move by 0.0
#    rope.scaling linear by 4: rope_type default, logits move by 0.0
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 \
    transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0

cat > "$folder/look.py" <<'PY'
import sys

import numpy as np
import torch
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM

LAYER = {
    "attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64),
    "ffn_gate": (96, 64), "ffn_up": (96, 64), "ffn_down": (64, 96),
    "attn_norm": (64,), "ffn_norm": (64,),
}


def logits(name, factors=None, stretch=0.0):
    draw = np.random.default_rng(1)
    writer = GGUFWriter(f"{sys.argv[1]}/{name}.gguf", "llama")
    for key, size in {
        "block_count": 1, "context_length": 128, "embedding_length": 64,
        "feed_forward_length": 96, "attention.head_count": 4, "attention.head_count_kv": 2,
        "rope.dimension_count": 16, "vocab_size": 32,
    }.items():
        writer.add_uint32(f"llama.{key}", size)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    if stretch:
        writer.add_string("llama.rope.scaling.type", "linear")
        writer.add_float32("llama.rope.scaling.factor", stretch)
    writer.add_array("tokenizer.ggml.tokens", [f"t{i}" for i in range(32)])
    shapes = {"token_embd": (32, 64), "output_norm": (64,)}
    shapes |= {f"blk.0.{part}": shape for part, shape in LAYER.items()}
    for part, shape in shapes.items():
        numbers = draw.normal(0, 0.3, shape) + (len(shape) == 1)
        writer.add_tensor(f"{part}.weight", numbers.astype(np.float32))
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = AutoModelForCausalLM.from_pretrained(
        sys.argv[1], gguf_file=f"{name}.gguf", dtype=torch.float32
    )
    kind = model.config.rope_parameters["rope_type"]
    with torch.inference_mode():
        return kind, model(input_ids=torch.arange(32)[None]).logits[0, -1]


_, plain = logits("plain")
for words, how in (
    ("rope_freqs.weight", {"factors": np.linspace(1, 8, 8)}),
    ("rope.scaling linear by 4", {"stretch": 4.0}),
):
    kind, stretched = logits(words.replace(" ", "_"), **how)
    moved = float((stretched - plain).abs().max())
    print(f"> {words}: rope_type {kind}, logits move by {moved}")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> rope_freqs.weight: rope_type default, logits move by 0.0' "$folder/seen"
grep -qxF '> rope.scaling linear by 4: rope_type default, logits move by 0.0' "$folder/seen"
