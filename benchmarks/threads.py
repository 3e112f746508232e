"""Tokens per second with `--threads auto` against fixed numbers of threads, alone and beside a job.

    python benchmarks/threads.py MODEL [--tokens 96] [--rounds 3]

The job is a process that keeps one core busy. Each phase, alone or beside it, begins with `auto` as
the phase before left it, so that finding out is part of what is measured. The kinds take turns of a
few tokens, so that whatever else the machine does falls on all; the median ratio is the claim.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import torch

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.forward.threads import Threads
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

TURN = 8
"""Tokens that one kind makes before the next one's turn."""
BUSY = "while True: pass"


class Contender:
    """A way of choosing threads, with a stream of its own on the one model."""

    def __init__(self, name: str, engine: LocalEngine, threads: Threads, prompt: list[int]) -> None:
        self.name, self._engine, self._threads = name, engine, threads
        request = StreamRequest(tuple(prompt), SamplingSettings(), 100_000, ignore_eos=True)
        self._events: Iterator[DrawnToken] = (
            event for event in engine.stream(request, Control()) if isinstance(event, DrawnToken)
        )
        self.made = 0

    def turn(self, tokens: int) -> float:
        """Seconds that so many tokens take."""
        self._engine.core.threads = self._threads
        torch.set_num_threads(self._threads.now)
        began = time.perf_counter()
        self.made += sum(1 for _ in itertools.islice(self._events, tokens))
        return time.perf_counter() - began


def phase(contenders: list[Contender], tokens: int) -> dict[str, float]:
    """Tokens a second of each."""
    taken = dict.fromkeys((each.name for each in contenders), 0.0)
    for _ in range(tokens // TURN):
        for each in contenders:
            taken[each.name] += each.turn(TURN)
    return {name: tokens // TURN * TURN / seconds for name, seconds in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    loaded = load(LoadOptions(asked.model, device="cpu", dtype="float32", threads="auto"), print)
    engine = LocalEngine(loaded)
    prompt = torch.randint(0, loaded.rows, (16,), generator=torch.manual_seed(0)).tolist()
    auto = loaded.threads
    contenders = [Contender("auto", engine, auto, prompt)]
    for count in auto.counts:
        contenders.append(Contender(str(count), engine, Threads(count), prompt))
    for each in contenders:
        each.turn(2)
    ratios: dict[str, list[float]] = {"alone": [], "beside a job": []}
    for number in range(asked.rounds):
        for name, found in ratios.items():
            job = subprocess.Popen([sys.executable, "-c", BUSY]) if "job" in name else None
            try:
                rates = phase(contenders, asked.tokens)
            finally:
                if job is not None:
                    job.kill()
                    job.wait()
            best = max(rate for kind, rate in rates.items() if kind != "auto")
            today = rates[str(auto.most)]
            found.append(rates["auto"] / best)
            summary = ", ".join(f"{kind} {rate:.1f}/s" for kind, rate in rates.items())
            print(
                f"round {number}, {name}: {summary}: {found[-1]:.3f} of the best, "
                f"{rates['auto'] / today:.3f} of {auto.most} threads; now {auto.now}",
                flush=True,
            )
    for name, found in ratios.items():
        median = statistics.median(found)
        print(f"{name}: median {median:.3f} of the best fixed number (target 0.9)")


if __name__ == "__main__":
    main()
