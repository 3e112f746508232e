"""What `tokexplore diff` adds to the two prefills that it needs.

    python benchmarks/diff.py MODEL [TOKENS] [ROUNDS] [THREADS] [DTYPE]

Rounds alternate: a bare pass of `model(input_ids)` over the whole text with each of the two, then
both side by side, every row compared over the whole vocabulary. The two are MODEL in float32 and in
DTYPE (bfloat16). A bare pass gives the logits of all positions, as a comparison needs them, and
holds them all; the comparison holds a chunk. The figure is the time of a comparison over that of
both bare passes, the median of the rounds: by the clock and, for a machine with other work, the
processor's.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.diff.along import along
from tokexplore.models.diff.vocabularies import shared_tokens
from tokexplore.models.engine.local import LocalEngine

TOKENS, ROUNDS = 2000, 3
DTYPES = "float32", "bfloat16"
PAGES = Path(__file__).parents[1] / "docs"


class Taken(NamedTuple):
    """Seconds of some work: by the clock, and of the processor."""

    wall: float
    cpu: float


def taken(work: Callable[[], object]) -> Taken:
    """How long it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def bare(engine: LocalEngine, ids: list[int]) -> Taken:
    """One pass over the text, outside the engine."""
    engine.core.threads.use_most()
    with torch.inference_mode():
        inputs = torch.tensor([ids])
        return taken(lambda: engine.core.forward.model(input_ids=inputs, use_cache=False))


def compared(engines: list[LocalEngine], ids: list[int]) -> Taken:
    """All steps of both; no cache is left for the next comparison."""
    first, second = engines
    shared = shared_tokens(first, second)
    assert shared is not None
    seconds = taken(lambda: list(along(first, second, ids, 1, shared, Control())))
    for engine in engines:
        engine.core.release()
    return seconds


def main() -> None:
    model = sys.argv[1]
    count, rounds, threads = (
        int(sys.argv[n]) if len(sys.argv) > n else usual
        for n, usual in ((2, TOKENS), (3, ROUNDS), (4, 0))
    )
    dtypes = (DTYPES[0], sys.argv[5]) if len(sys.argv) > 5 else DTYPES
    engines = [
        LocalEngine.open(
            LoadOptions(model=model, dtype=dtype, device="cpu", threads=threads), lambda _: None
        )
        for dtype in dtypes
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md")))
    ids = engines[0].encode(text)[:count]
    print(f"{len(ids):,} tokens, {engines[0].info.vocabulary:,} rows, {engines[0].info.threads}")
    ratios = list[Taken]()
    for _ in range(rounds):
        passes = [bare(engine, ids) for engine in engines]
        both = compared(engines, ids)
        wall, cpu = map(sum, zip(*passes, strict=True))
        ratios.append(Taken(both.wall / wall, both.cpu / cpu))
        words = ", ".join(f"{d} {s.wall:.2f} s" for d, s in zip(dtypes, passes, strict=True))
        print(
            f"bare {words}; compared {both.wall:.2f} s: {ratios[-1].wall:.3f} x, of the "
            f"processor's time {ratios[-1].cpu:.3f} x",
            flush=True,
        )
    walls, cpus = zip(*ratios, strict=True)
    print(f"median {median(walls):.3f} x, of the processor's time {median(cpus):.3f} x")


if __name__ == "__main__":
    main()
