"""What many rows on one prefix cost against one row: memory, tokens a second, a new branch.

    python benchmarks/shared_prefix.py              a random Llama of the 135M shape on the CPU
    python benchmarks/shared_prefix.py --prefix 128 --rounds 5

Times are the processor's, of all threads: what else the machine does matters little, and with one
thread (`--threads 1`) ratios are those of the work. `--apart` measures rows that share nothing:
each copies the prefix and has passes of its own.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from random_llama import llama_135m

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

ROWS, BRANCHES, LONG = 8, 16, 32
WARM = 2
"""Tokens of each row before it is timed."""


def in_turn(engine: LocalEngine, paths: Sequence[Sequence[int]], tokens: int) -> list[float]:
    """Stream so many tokens on each path, an event of each in turn; the seconds of each turn."""
    asked = [
        StreamRequest(tuple(ids), SamplingSettings(), tokens, ignore_eos=True) for ids in paths
    ]
    streams = [engine.stream(request, Control()) for request in asked]
    times = []
    for _ in range(tokens):
        began = time.process_time()
        waiting = streams
        while waiting:
            waiting = [stream for stream in waiting if not isinstance(next(stream), DrawnToken)]
        times.append(time.process_time() - began)
    for stream in streams:
        for _ in stream:
            pass
    return times


def branches(prefix: Sequence[int], count: int, first: int) -> list[list[int]]:
    """Paths that go on from a prefix with different tokens."""
    return [[*prefix, first + number] for number in range(count)]


def apart(engine: LocalEngine) -> None:
    """Let rows share nothing from now on."""
    engine.core.forward.shares = False
    engine.core.probed = replace(engine.core.probed, shares=False)
    engine.core.release()


def memory(engine: LocalEngine, prefix: Sequence[int]) -> float:
    """Bytes of keys and values of many branches, over those of one."""
    engine.describe(prefix)
    in_turn(engine, branches(prefix, 1, 100), LONG)
    one = engine.core.leaves.bytes
    in_turn(engine, branches(prefix, BRANCHES, 100)[1:], LONG)
    many = engine.core.leaves.bytes
    held = len(engine.core.leaves)
    print(f"  {held} branches of {LONG} tokens: {many / 1e6:.0f} MB, one {one / 1e6:.0f} MB")
    return many / one


def speed(engine: LocalEngine, prefix: Sequence[int], tokens: int, rounds: int) -> float:
    """Total tokens a second of several rows over one row's."""
    engine.describe(prefix)
    ratios = []
    for number in range(rounds):
        first = 1_000 * (1 + number)
        one = statistics.median(in_turn(engine, branches(prefix, 1, first), tokens)[WARM:])
        many = statistics.median(in_turn(engine, branches(prefix, ROWS, first + 1), tokens)[WARM:])
        ratios.append(ROWS * one / many)
        print(f"  one row {one * 1e3:.0f} ms, {ROWS} rows {many * 1e3:.0f} ms: {ratios[-1]:.2f} x")
    return statistics.median(ratios)


def new_branch(engine: LocalEngine, prefix: Sequence[int], rounds: int) -> float:
    """The first token of a branch after another one has gone on, over a step of a stream."""
    engine.describe(prefix)
    in_turn(engine, branches(prefix, 1, 30_000), 4)
    ratios = []
    for number in range(rounds):
        first, *steps = in_turn(engine, branches(prefix, 1, 30_001 + number), 6)
        ratios.append(first / statistics.median(steps))
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefix", type=int, nargs="+", default=[128, 4096])
    parser.add_argument("--tokens", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--apart", action="store_true", help="rows that share nothing")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    engine = LocalEngine(llama_135m())
    print(f"{engine.info.family}, {engine.info.cache}")
    if asked.apart:
        apart(engine)
    for length in asked.prefix:
        engine.core.release()
        prefix = torch.randint(0, 49_152, (length,), generator=torch.manual_seed(length)).tolist()
        print(f"prefix {length}")
        found = (
            memory(engine, prefix),
            speed(engine, prefix, asked.tokens, asked.rounds),
            new_branch(engine, prefix, asked.rounds),
        )
        print("  memory {:.3f} x, speed {:.2f} x, a new branch {:.2f} x a step".format(*found))


if __name__ == "__main__":
    main()
