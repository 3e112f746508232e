"""How quickly the lens follows a knob: what one setting costs on rows of 152,000 tokens.

    python benchmarks/lens.py [VOCABULARY]

Each line is one setting: the median and the 95th percentile of the time until all its figures, its
stages and its 50 most probable tokens are known, as the worker process computes them for the lens;
and of what a streamed token costs under it. The first line is the unit: softmax and one sort by id
of the same row in torch.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from tokexplore.models.engine import sampler, sampler_effects
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.settings import SamplingSettings

VOCABULARY = 151_936
TURNS = 30
PATH = list(range(500, 1500))
SETTINGS = (
    SamplingSettings(),
    SamplingSettings(0.8),
    SamplingSettings(0.8, top_p=0.9),
    SamplingSettings(100.0, top_p=0.9),
    SamplingSettings(1.0, top_k=50, top_p=0.9, min_p=0.02),
    SamplingSettings(1.0, typical_p=0.9),
    SamplingSettings(1.0, top_h=0.5, eta_cutoff=1e-3),
    SamplingSettings(1.0, top_p=0.9, repetition_penalty=1.2, no_repeat_ngram=3),
)


def times(work: Callable[[], object]) -> str:
    """Median and 95th percentile in milliseconds."""
    work()
    taken = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - began))
    taken.sort()
    return f"{taken[len(taken) // 2]:6.1f} {taken[int(len(taken) * 0.95)]:6.1f} ms"


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else VOCABULARY
    torch.set_num_threads(2)
    logits = np.random.default_rng(1).standard_normal(size).astype(np.float32) * 3
    row = logits_row.summarise(torch.from_numpy(logits), "made")
    scores = torch.from_numpy(logits)[None]
    print(f"{size:,} tokens{'':30} lens p50 p95        token p50 p95")
    print(f"{'softmax and sort by id':<40} {times(lambda: scores.softmax(-1).sort())}")
    for settings in SETTINGS:
        changes = changes_of(settings, PATH)

        def figures(chosen: SamplingSettings = settings, changes: object = changes) -> None:
            sampler_effects.effect(row.bare(), chosen, changes)  # type: ignore[arg-type]

        def token(chosen: SamplingSettings = settings, changes: object = changes) -> None:
            found = sampler.reshape(row.bare(), chosen, changes)  # type: ignore[arg-type]
            sampler.draw(found, np.array([0.5]))

        print(f"{settings.short(with_seed=False):<40} {times(figures)}   {times(token)}")


if __name__ == "__main__":
    main()
