"""What a tree of many branches costs: a step of a path that parts at many places, and the weighing
of what is kept.

    python benchmarks/many_branches.py

Processor time of a random Llama of 5.6 M parameters on one thread. A path of 2,000 tokens parts
from other branches at 1 to 48 places: a step at its end, over one where it parts at one place. Then
16 new rows are asked for beside 16 to 256 branches: the part of it that the store of leaves takes.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from random_llama import random_llama

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.engine.forward.kv_store import Leaf, LeafStore
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

LENGTH, PLACES = 2000, (1, 4, 16, 48)
BRANCHES, NEW = (16, 64, 256), 16
STEPS, ROUNDS = 12, 5


def random_ids(engine: LocalEngine, count: int) -> list[int]:
    """A path of so many tokens."""
    return torch.randint(1, engine.info.vocabulary, (count,)).tolist()


def parted(engine: LocalEngine, places: int) -> list[int]:
    """A path of the whole length that parts from others at so many places."""
    engine.core.release()
    path = random_ids(engine, LENGTH // (places + 1))
    engine.row(path)
    for _ in range(places):
        engine.row([*path, 1, 2, 3])  # another branch from here lives on
        path += random_ids(engine, LENGTH // (places + 1))
        engine.row(path)
    return path


def step_seconds(engine: LocalEngine, path: list[int]) -> float:
    """Processor time of a step at a path's end, of the median of several."""
    request = StreamRequest(tuple(path), SamplingSettings(), STEPS + 2, ignore_eos=True)
    times, began = list[float](), time.process_time()
    for event in engine.stream(request, Control()):
        if isinstance(event, DrawnToken):
            now = time.process_time()
            times.append(now - began)
            began = now
    return statistics.median(times[2:])


@contextmanager
def weighing() -> Iterator[Callable[[], float]]:
    """Gives the processor time that stores have taken since."""
    spent, put = [0.0], LeafStore.put

    def timed(self: LeafStore, *leaves: Leaf) -> bool:
        began = time.process_time()
        try:
            return put(self, *leaves)
        finally:
            spent[0] += time.process_time() - began

    LeafStore.put = timed  # type: ignore[method-assign]
    try:
        yield lambda: spent[0]
    finally:
        LeafStore.put = put  # type: ignore[method-assign]


def new_rows(engine: LocalEngine, branches: int) -> tuple[float, float]:
    """Milliseconds that 16 new rows take beside so many branches, and those of the store."""
    engine.core.release()
    prompt = random_ids(engine, 200)
    engine.row(prompt)
    for number in range(branches):
        engine.row([*prompt, number % 90 + 1, number // 90 + 1])
    with weighing() as spent:
        began = time.process_time()
        engine.rows_of([[*prompt, number + 1, 95, 96] for number in range(NEW)])
        return 1e3 * (time.process_time() - began), 1e3 * spent()


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    engine = LocalEngine(random_llama())
    print("places  segments   a step, x of one place")
    alone = statistics.median(step_seconds(engine, parted(engine, 1)) for _ in range(ROUNDS))
    for places in PLACES:
        path = parted(engine, places)
        segments = len(max(engine.core.leaves, key=len).cache.layers[0].segments)
        took = statistics.median(step_seconds(engine, path) for _ in range(ROUNDS))
        print(f"{places:6} {segments:9} {took / alone:12.2f}")
    print(f"branches   {NEW} new rows, ms   weighing, ms")
    for branches in BRANCHES:
        found = [new_rows(engine, branches) for _ in range(ROUNDS)]
        whole, store = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"{branches:8} {whole:14.0f} {store:14.1f}")


if __name__ == "__main__":
    main()
