"""Memory that loading takes, at its peak, against the weights as they are held.

    python benchmarks/memory.py [MODEL ...]     smollm2 where nothing is named

Each model is loaded in a process of its own, in float32 and in bfloat16; its peak is that of the
whole process, libraries included. Target: 1.15 x the weights + 0.4 GB.
"""

import subprocess
import sys

from tokexplore.models.api.options import SMOLLM2

SHARE, BESIDE = 1.15, 0.4e9

LOAD = """
import resource, sys
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.opening import load
loaded = load(LoadOptions(sys.argv[1], device="cpu", dtype=sys.argv[2]), lambda _: None)
print(loaded.weight_bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def main() -> None:
    for model in sys.argv[1:] or [SMOLLM2]:
        for dtype in ("float32", "bfloat16"):
            command = [sys.executable, "-c", LOAD, model, dtype]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            weights, peak = map(int, told.split())
            most = SHARE * weights + BESIDE
            print(
                f"{model} {dtype}: weights {weights / 1e6:,.0f} MB, peak {peak / 1e6:,.0f} MB, "
                f"at most {most / 1e6:,.0f} MB: {'yes' if peak <= most else 'NO'}"
            )


if __name__ == "__main__":
    main()
