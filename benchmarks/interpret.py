"""What it costs to look into a model, as ratios to plain forward passes of the same path.

    python benchmarks/interpret.py                 a random Llama of 5.6 M parameters on the CPU
    python benchmarks/interpret.py MODEL           any model, with --device and --dtype

A figure's work and its yardstick take turns, so that whatever else the machine does falls on both;
the median of the ratios is told, and the worst.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from random_llama import random_llama

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.engine.local import LocalEngine

PATHS = (32, 128, 512)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def path_of(engine: LocalEngine, length: int) -> list[int]:
    generator = torch.manual_seed(length)
    return torch.randint(0, engine.info.vocabulary, (length + 1,), generator=generator).tolist()


def told(name: str, target: float, ratios: list[float], forward: list[float]) -> None:
    worst, median = max(ratios), statistics.median(ratios)
    milliseconds = 1e3 * statistics.median(forward)
    print(f"{name:<46} {median:6.2f} {worst:6.2f}   {target:4.1f} {milliseconds:12.1f}", flush=True)


def lens_of_a_step(engine: LocalEngine, length: int, rounds: int) -> None:
    """The lens of the last step, of a path that nothing is held of and of one that is in view."""
    ids = path_of(engine, length)

    def lens() -> None:
        list(engine.interpreter.lens(ids, length, length, Control(), tokens=ids[:1]))

    def plain() -> None:
        engine.core.forward(ids[:length], 0, None)

    fresh, held, forward = list[float](), list[float](), list[float]()
    lens()
    plain()
    for _ in range(rounds):
        before = seconds(plain)
        engine.core.release()
        cold, warm = seconds(lens), seconds(lens)
        forward.append((before + seconds(plain)) / 2)
        fresh.append(cold / forward[-1])
        held.append(warm / forward[-1])
    told(f"lens of one step, {length} tokens, nothing held", 1.3, fresh, forward)
    told(f"lens of one step, {length} tokens, path held", 1.3, held, forward)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, nargs="+", default=PATHS, help="lengths of the paths")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    options = LoadOptions(asked.model or "", device=asked.device, dtype=asked.dtype)
    engine = LocalEngine(load(options, lambda _: None) if asked.model else random_llama())
    print(f"{engine.info.family}, {engine.info.dtype}, {engine.info.layers} layers")
    print(f"{'':<46} median  worst target   forward ms")
    for length in asked.tokens:
        if engine.info.context == 0 or length < engine.info.context:
            lens_of_a_step(engine, length, asked.rounds)


if __name__ == "__main__":
    main()
