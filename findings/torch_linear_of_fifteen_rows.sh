#!/bin/sh
# What a linear layer costs for a handful of rows on the CPU, in float32.
#
# Versions: torch 2.13.0 from PyPI (MKL 2024.2), Python 3.11, one thread, x86-64 with AVX-512.
#
# The time grows with the rows until there are 15, and falls to less than half for 16: an output
# layer of 49,152 x 576 takes longer for 8 rows than for 32. Who decodes a few sequences in one pass
# pays several times what the reading of the weights takes. The same product the other way round,
# weights times transposed rows, costs the same for 8, 15 and 16 rows.
#
# Seen (processor time, least of 15):
#    rows 1: linear 11.4 ms, weights @ rows.T 11.8 ms
#    rows 8: linear 40.6 ms, weights @ rows.T 26.2 ms
#    rows 15: linear 72.3 ms, weights @ rows.T 28.5 ms
#    rows 16: linear 28.3 ms, weights @ rows.T 29.1 ms
#    rows 32: linear 34.5 ms, weights @ rows.T 31.6 ms
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON'
import sys
import time

import torch
from torch.nn.functional import linear

torch.set_num_threads(1)
torch.set_grad_enabled(False)
print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
weights = torch.randn(49_152, 576)


def least(product):
    product()
    times = []
    for _ in range(15):
        began = time.process_time()
        product()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


plain, turned = {}, {}
for count in (1, 8, 15, 16, 32):
    rows = torch.randn(count, 576)
    plain[count] = least(lambda rows=rows: linear(rows, weights))
    turned[count] = least(lambda rows=rows: torch.mm(weights, rows.t()).t())
    print(f"rows {count}: linear {plain[count]:.1f} ms, weights @ rows.T {turned[count]:.1f} ms")
same = plain[15] > 1.5 * plain[16] and plain[15] > 1.5 * turned[15] and turned[15] < 1.5 * turned[8]
sys.exit(0 if same else 1)
PYTHON
