"""What `tokexplore diff` adds to the two prefills that it needs.

    python benchmarks/diff.py MODEL [TOKENS] [ROUNDS]

Rounds alternate: a bare pass of `model(input_ids)` over the whole text with each of the two, then
both side by side, every row compared over the whole vocabulary. The two are MODEL in float32 and in
bfloat16. A bare pass gives the logits of all positions, as a comparison needs them, and holds them
all; the comparison holds a chunk. The figure is the time of a comparison over that of both bare
passes: of the fastest of each, and the median of the rounds.
"""

import sys
import time
from pathlib import Path
from statistics import median

import torch

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.diff.along import along
from tokexplore.models.diff.vocabularies import shared_tokens
from tokexplore.models.engine.local import LocalEngine

TOKENS, ROUNDS = 2000, 3
DTYPES = ("float32", "bfloat16")
PAGES = Path(__file__).parents[1] / "docs"


def bare(engine: LocalEngine, ids: list[int]) -> float:
    """Seconds of one pass over the text, outside the engine."""
    engine.core.threads.use_most()
    began = time.perf_counter()
    with torch.inference_mode():
        engine.core.forward.model(input_ids=torch.tensor([ids]), use_cache=False)
    return time.perf_counter() - began


def compared(engines: list[LocalEngine], ids: list[int]) -> float:
    """Seconds of a comparison of all steps; no cache is left for the next one."""
    first, second = engines
    shared = shared_tokens(first, second)
    assert shared is not None
    began = time.perf_counter()
    steps = list(along(first, second, ids, 1, shared, Control()))
    taken = time.perf_counter() - began
    assert len(steps) == len(ids) - 1
    for engine in engines:
        engine.core.release()
    return taken


def main() -> None:
    model = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else TOKENS
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS
    engines = [
        LocalEngine.open(LoadOptions(model=model, dtype=dtype, device="cpu"), lambda _: None)
        for dtype in DTYPES
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md")))
    ids = engines[0].encode(text)[:count]
    print(f"{len(ids):,} tokens, {engines[0].info.vocabulary:,} rows")
    passes, comparisons = list[list[float]](), list[float]()
    for _ in range(rounds):
        passes.append([bare(engine, ids) for engine in engines])
        comparisons.append(compared(engines, ids))
        words = ", ".join(f"{d} {s:.2f} s" for d, s in zip(DTYPES, passes[-1], strict=True))
        ratio = comparisons[-1] / sum(passes[-1])
        print(f"bare {words}; compared {comparisons[-1]:.2f} s, {ratio:.3f} x", flush=True)
    fastest = min(comparisons) / sum(min(of_one) for of_one in zip(*passes, strict=True))
    ratios = [c / sum(p) for c, p in zip(comparisons, passes, strict=True)]
    print(f"fastest of each {fastest:.3f} x, median of the rounds {median(ratios):.3f} x")


if __name__ == "__main__":
    main()
