"""The noise floor: every figure against a plain computation, and planted noise where it is."""

import math
from statistics import median

import numpy as np
import pytest
from support import families
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.flips import LEAST, could_flip, scale
from tokexplore.models.lab.noise import PREFILLED, STREAMED, Noise, Way, measure, usual_ways

BATCHED = Way("batch", Condition(Execution(((5, 6), (7, 8)))))
WAYS = (Way(STREAMED), Way(PREFILLED, stepwise=False), BATCHED)
A, B = 300, 301


def measured(engine, ids, first, ways=WAYS, control=None) -> Noise | None:
    return measure(
        ids, first, ways, lambda _: engine, control or Control(), lambda _done, _total: None
    )


def path_of(engine: FakeEngine) -> tuple[int, ...]:
    return tuple(engine.encode("Once upon a time there was a king"))


def test_planted_noise_is_told_at_its_step_and_nowhere_else() -> None:
    engine, ids = FakeEngine(), path_of(FakeEngine())
    place = ids[:4]
    engine.planted[place] = {A: 12.0, B: 11.75}
    engine.bench.noise = lambda execution, path: (
        {B: 0.5} if execution.batch > 1 and path == place else {}
    )
    noise = measured(engine, ids, 2)
    assert noise is not None
    assert noise.steps == len(ids) - 2
    assert noise.pair(STREAMED, PREFILLED).exact
    pair = noise.pair(STREAMED, "batch")
    at = len(place) - 2
    assert pair.logit == tuple(0.5 if n == at else 0.0 for n in range(noise.steps))
    assert pair.gap[at] == -0.5
    assert pair.flips == (at,)
    before, after = (math.exp(12.0), math.exp(11.75)), (math.exp(12.0), math.exp(12.25))
    rest = float(np.exp(np.sort(engine.full(place).astype(np.float64))[:-2]).sum())
    moved = math.log(sum(after) + rest) - math.log(sum(before) + rest)
    assert pair.logprob[at] == pytest.approx(max(moved, 0.5 - moved), abs=1e-5)
    assert pair.logit_median == (0.0,) * noise.steps


def test_a_tie_is_found_and_the_lower_id_is_first() -> None:
    engine, ids = FakeEngine(), path_of(FakeEngine())
    engine.planted[ids[:3]] = {B: 12.0, A: 12.0}
    noise = measured(engine, ids, 2)
    assert noise is not None
    assert noise.ties == ((1,),) * 3
    assert not noise.pair(STREAMED, "batch").flips


@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_the_figures_against_plain_passes(family: str) -> None:
    engine = LocalEngine(families.loaded(families.model(family)))
    engine.encode = lambda text, **_: [5 + ord(c) % 80 for c in text]  # type: ignore[method-assign]
    ids, first = tuple(range(5, 30)), 6
    ways = [*usual_ways(engine, ids[:first], len(ids) - first)]
    assert {way.name for way in ways} >= {STREAMED, PREFILLED, "batch of 8", "eager"}
    noise = measured(engine, ids, first, ways)
    assert noise is not None
    rows = []
    for way in ways:
        own: dict[int, np.ndarray] = {}
        for done, logits in engine.bench.trace(
            ids[:-1], first, way.condition.execution, Control(), stepwise=way.stepwise
        ):
            for back, row in enumerate(reversed(logits)):
                own[done - back] = row.copy()
        rows.append(np.stack([own[n] for n in range(first, len(ids))]))  # [steps, V]
    for pair in noise.pairs:
        a, b = rows[pair.first].astype(np.float64), rows[pair.second].astype(np.float64)
        assert pair.logit == pytest.approx(np.abs(a - b).max(-1).tolist(), abs=1e-9)
        assert pair.logit_median == pytest.approx(np.median(np.abs(a - b), -1).tolist(), abs=1e-9)
        lps = [x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (a, b)]
        wanted = np.abs(lps[0] - lps[1]).max(-1)
        assert pair.logprob == pytest.approx(wanted.tolist(), abs=2e-6)
        assert max(pair.logit) < 1e-4
    for margins, row in zip(noise.margins, rows, strict=True):
        falling = -np.sort(-row, axis=-1)
        assert margins == pytest.approx((falling[:, 0] - falling[:, 1]).tolist())
    assert noise.pair(STREAMED, "token by token again").exact


def test_bfloat16_is_held_against_float32_and_the_same_again_is_exact() -> None:
    engines = {
        dtype: LocalEngine.open(LoadOptions(dtype=dtype), report=lambda _: None)
        for dtype in ("own", "float32")
    }
    engine = engines["own"]
    ids = tuple(engine.encode("Once upon a time there was a king who had a daughter, and she"))
    ways = usual_ways(engine, ids[:4], 20)
    assert ways[0].condition.dtype == "float32"
    noise = measure(
        ids, 4, ways, lambda c: engines[c.dtype or "own"], Control(), lambda _done, _total: None
    )
    assert noise is not None
    assert noise.pair(STREAMED, "token by token again").exact
    far = noise.pair("float32, one pass", STREAMED)
    assert 1e-3 < median(far.logit) < 0.5
    assert noise.sigma is not None


def test_stopping_keeps_the_steps_that_are_done() -> None:
    engine, control = FakeEngine(), Control()
    ids = path_of(engine)

    def report(done: int, _total: int) -> None:
        control.cancelled = done == 3

    noise = measure(ids, 2, WAYS, lambda _: engine, control, report)
    assert noise is not None
    assert noise.steps == 3
    assert measured(engine, ids, 2, control=control) is None


def test_the_scale_of_noise_and_what_could_flip() -> None:
    assert scale([0.1] * (LEAST - 1)) is None
    assert scale([0.1, -0.1] * LEAST) == pytest.approx(0.1)
    assert could_flip(0.3, 0.1)
    assert not could_flip(0.31, 0.1)
    assert not could_flip(0.0, 0.0)
