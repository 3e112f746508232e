"""Do the steps that are marked as "could flip" flip, and are those that flip marked?

Paths are written greedily in bfloat16, each after a beginning that was sampled with a seed of its
own. The mark knows what the app knows: the streamed logits and one prefill pass. The flips are
those of other executions: batches, a cached prefix, another attention kernel.

    python benchmarks/flips.py [MODEL] [--paths 200] [--steps 48]
"""

import argparse
import random
from collections.abc import Sequence

import numpy as np

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab.conditions import Condition, mates
from tokexplore.models.lab.flips import SIGMAS, could_flip
from tokexplore.models.lab.noise import PREFILLED, STREAMED, Noise, Way, measure
from tokexplore.models.sampling.settings import SamplingSettings

BEGINNING = 16
"""Tokens that are sampled at temperature 1 before a path."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="embedded")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--steps", type=int, default=48)
    asked = parser.parse_args()
    options = LoadOptions(model=asked.model, dtype="bfloat16")
    engine = LocalEngine.open(options, report=lambda _: None)
    measured = [measured_path(engine, number, asked.steps) for number in range(asked.paths)]
    report(engine.info.name, measured)


def measured_path(engine: LocalEngine, number: int, steps: int) -> Noise:
    """One path in every way."""
    begun = written(
        engine, (engine.info.bos_id or 0,), SamplingSettings(1.0, seed=number), BEGINNING
    )
    path = written(engine, begun, SamplingSettings(), steps)
    length = len(path) - len(begun)
    chance = random.Random(number)
    ways = [Way(STREAMED), Way(PREFILLED, stepwise=False)]
    for batch in (2, 8, 16):
        others = mates(engine, begun, length, batch - 1, seed=number)
        ways.append(Way(f"batch of {batch}", Condition(Execution(others, chance.randrange(batch)))))
    ways.append(Way("cached", Condition(Execution(cached=len(begun) // 2))))
    ways.append(Way("eager", Condition(Execution(attention="eager"))))
    noise = measure(path, len(begun), ways, lambda _: engine, Control(), lambda _done, _total: None)
    assert noise is not None
    return noise


def written(
    engine: LocalEngine, ids: Sequence[int], settings: SamplingSettings, length: int
) -> tuple[int, ...]:
    """A path that goes on from `ids`."""
    request = StreamRequest(tuple(ids), settings, length, ignore_eos=True, top=2)
    events = engine.bench.run(request, Execution(), Control())
    return (*ids, *(e.standing.token for e in events if isinstance(e, DrawnToken)))


def report(name: str, measured: Sequence[Noise]) -> None:
    """Recall and share of marked steps of the rule, and of two that know less."""
    margins, sigmas, flips = [], [], []
    for noise in measured:
        margins += noise.margins[0]
        sigmas += [noise.sigma or 0.0] * noise.steps
        flipped = {step for pair in noise.pairs if pair.first == 0 for step in pair.flips}
        flips += [step in flipped for step in range(noise.steps)]
    margin, sigma, flip = np.array(margins), np.array(sigmas), np.array(flips)
    print(f"{name}: {len(measured)} paths, {len(margin):,} steps, {flip.sum()} of them flip")
    for way, each in zip(measured[0].ways[1:], range(1, len(measured[0].ways)), strict=True):
        count = sum(
            len(p.flips) for n in measured for p in n.pairs if (p.first, p.second) == (0, each)
        )
        print(f"  {way.name:<12} flips {count}")
    marked = np.array([could_flip(m, s) for m, s in zip(margins, sigmas, strict=True)])
    report_rule(f"margin <= {SIGMAS:g} sigma of this path", marked, flip)
    constant = float(np.quantile(margin, marked.mean()))
    report_rule(f"margin <= {constant:.4g}, one constant", margin <= constant, flip)
    report_rule("random steps", np.random.default_rng(0).random(len(margin)) < marked.mean(), flip)
    for factor in (1, 2, 4):
        report_rule(f"margin <= {factor} sigma", (margin <= factor * sigma) & (sigma > 0), flip)


def report_rule(rule: str, marked: np.ndarray, flip: np.ndarray) -> None:
    caught = int((marked & flip).sum())
    print(
        f"  {rule:<36} marks {marked.mean():6.2%}   recall {caught / max(1, flip.sum()):6.1%}   "
        f"precision {caught / max(1, marked.sum()):6.1%}"
    )


if __name__ == "__main__":
    main()
