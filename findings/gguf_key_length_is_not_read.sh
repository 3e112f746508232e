#!/bin/sh
# transformers: a qwen3 GGUF file's size of heads is not read, nor Gemma's query scale made from it.
#
# Versions: transformers 5.23.0, gguf 0.19.0, torch 2.13.0 (CPU), Python 3.11, Linux.
#
# `qwen3.attention.key_length` is the size of a head, as llama.cpp's converter writes it for every
# qwen3 model. AutoConfig.from_pretrained(gguf_file=) takes the other sizes of the file and leaves
# head_dim at the default of the class, 128, so that a file of another size gives a config that its
# own tensors do not fit. For gemma2 and gemma3 the size is read, but query_pre_attn_scalar, which
# llama.cpp takes to be that size (but for one size of Gemma), stays 256: no tensor has it, so such a
# model loads without a word and its attention is scaled by another number.
#
# Seen:
#    qwen3: key_length 16 in the file, head_dim 128
#    gemma2: key_length 16 in the file, head_dim 16, query_pre_attn_scalar 256
#    gemma3: key_length 16 in the file, head_dim 16, query_pre_attn_scalar 256
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 \
    transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0

cat > "$folder/look.py" <<'PY'
import sys

import numpy as np
from gguf import GGUFWriter
from transformers import AutoConfig

SIZES = {
    "block_count": 2, "context_length": 128, "embedding_length": 64, "feed_forward_length": 96,
    "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16,
    "attention.value_length": 16,
}
for family in ("qwen3", "gemma2", "gemma3"):
    writer = GGUFWriter(f"{sys.argv[1]}/{family}.gguf", family)
    for name, size in SIZES.items():
        writer.add_uint32(f"{family}.{name}", size)
    writer.add_float32(f"{family}.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("token_embd.weight", np.zeros((2, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    config = AutoConfig.from_pretrained(sys.argv[1], gguf_file=f"{family}.gguf")
    scale = getattr(config, "query_pre_attn_scalar", None)
    more = f", query_pre_attn_scalar {scale}" if scale else ""
    print(f"> {family}: key_length 16 in the file, head_dim {config.head_dim}{more}")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> qwen3: key_length 16 in the file, head_dim 128' "$folder/seen"
scaled='key_length 16 in the file, head_dim 16, query_pre_attn_scalar 256'
grep -qxF "> gemma2: $scaled" "$folder/seen"
grep -qxF "> gemma3: $scaled" "$folder/seen"
