"""Latency of a branch and of a switch by prefix length, minus one forward pass, in one process.

    python benchmarks/branching.py                 a random Llama of 5.6 M parameters on the CPU
    python benchmarks/branching.py MODEL           any model, with --device and --dtype

A branch takes another token in the middle of a path, a switch goes to the end of another path; both
are timed from the request to the first new token. The yardstick, one token on top of a live cache
of that length, is measured right after each, so that whatever else the machine does falls on both.
"""

import argparse
import statistics
import time

import torch
from random_llama import random_llama

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

PREFIXES = (128, 512, 1024, 2048, 4096)
BEYOND = 48
"""Tokens of the path after the place where it is branched."""


def first_tokens(engine: LocalEngine, ids: list[int], count: int) -> list[tuple[float, int]]:
    """Milliseconds to each of the next tokens of a path, and the tokens."""
    request = StreamRequest(tuple(ids), SamplingSettings(), count, ignore_eos=True)
    times, began = [], time.perf_counter()
    for event in engine.stream(request, Control()):
        if isinstance(event, DrawnToken):
            now = time.perf_counter()
            times.append(((now - began) * 1e3, event.standing.token))
            began = now
    return times


def measured(engine: LocalEngine, prefix: int, rounds: int) -> tuple[list[float], list[float]]:
    """What branches and switches cost beyond a step in full swing, in ms."""
    generator = torch.manual_seed(prefix)
    rows = engine.info.vocabulary
    main = torch.randint(0, rows, (prefix + BEYOND,), generator=generator).tolist()
    first_tokens(engine, main, 1)
    branches, switches = [], []
    for number in range(rounds):
        branch = [*main[:prefix], (main[prefix] + 1 + number) % rows]
        (cost, new), *steps = first_tokens(engine, branch, 4)
        branches.append(cost - statistics.median(t for t, _ in steps))
        main.append(first_tokens(engine, main, 1)[0][1])
        engine.core.rows_held.clear()
        (cost, _), *steps = first_tokens(engine, [*branch, new, *(t for _, t in steps)], 4)
        switches.append(cost - statistics.median(t for t, _ in steps))
    return branches, switches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    options = LoadOptions(asked.model or "", device=asked.device, dtype=asked.dtype)
    engine = LocalEngine(load(options, lambda _: None) if asked.model else random_llama())
    print(f"{engine.info.family}, {engine.info.cache}; ms beyond one step (target 60)")
    print("prefix   branch median   worst   switch median   worst")
    for prefix in PREFIXES:
        if 0 < engine.info.context < prefix + 2 * BEYOND:
            continue
        engine.core.release()
        branches, switches = measured(engine, prefix, asked.rounds)
        print(
            f"{prefix:6} {statistics.median(branches):15.1f} {max(branches):7.1f}"
            f" {statistics.median(switches):15.1f} {max(switches):7.1f}"
        )


if __name__ == "__main__":
    main()
