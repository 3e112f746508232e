"""Repeat runs: planted nondeterminism is found where it is, and told for what it is."""

import math
from itertools import combinations

import msgspec
import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.borders import Borders
from tokexplore.models.api.engine import Control, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import (
    BESIDE,
    PLAIN,
    SERVER,
    Condition,
    deal,
    knobs_named,
    possible,
)
from tokexplore.models.lab.forks import forks, summarise, trie
from tokexplore.models.lab.repeat import Plan, Run, repeat
from tokexplore.models.numerics import grid_step
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.study import Checked, Fork

GREEDY = SamplingSettings()
WIDE = Condition(Execution(((5, 6), (7, 8))))
A, B = 300, 301
FLIP_AT = 4
"""Steps before the planted flip."""


def request_of(engine: FakeEngine, settings: SamplingSettings = GREEDY) -> StreamRequest:
    ids = tuple(engine.encode("Once upon"))
    return StreamRequest(ids, settings, 8, prompt_length=len(ids), ignore_eos=True)


def ran(engine, conditions, settings=GREEDY, **more) -> tuple[Plan, list[Run], list[Checked]]:
    plan = Plan(request_of(engine, settings), tuple(conditions), **more)
    events = list(repeat(plan, lambda _: engine, Control(), lambda _done, _total: None))
    runs = [event for event in events if isinstance(event, Run)]
    return plan, runs, [event for event in events if isinstance(event, Checked)]


def with_a_near_tie(margin: float, noise: float) -> FakeEngine:
    """After four steps two tokens are `margin` apart, and batches move the second by `noise`."""
    engine = FakeEngine(dtype="bfloat16")
    _, (run, *_), _ = ran(engine, [PLAIN])
    place = (*request_of(engine).ids, *run.ids[:FLIP_AT])
    engine.planted[place] = {A: 12.0, B: 12.0 - margin}
    engine.bench.noise = lambda execution, ids: (
        {B: noise} if execution.batch > 1 and ids == place else {}
    )
    return engine


def test_a_planted_flip_is_found_at_its_step_with_its_margin_and_its_verdict() -> None:
    engine = with_a_near_tie(0.0625, 0.125)
    plan, runs, controls = ran(engine, [PLAIN, WIDE, PLAIN, WIDE, PLAIN])
    figures = summarise(runs)
    assert (figures.runs, figures.unique, figures.first_fork) == (5, 2, FLIP_AT + 1)
    assert [text.runs for text in figures.texts] == [(0, 2, 4), (1, 3)]
    assert figures.divergences == ((FLIP_AT + 1, 2),)
    assert figures.curve[:FLIP_AT] == (1,) * FLIP_AT
    assert set(figures.curve[FLIP_AT:]) == {2}
    (fork,) = forks(plan, runs, engine)
    assert fork.step == FLIP_AT + 1
    assert fork.before == runs[0].ids[:FLIP_AT]
    assert fork.choices == ((A, (0, 2, 4)), (B, (1, 3)))
    assert fork.tokens[:2] == (A, B)
    assert fork.margin == 0.0625
    assert fork.noise == 0.125
    assert fork.grid == 0.0625
    assert fork.verdict.kind == "arithmetic"
    assert fork.verdict.explained
    assert [(r.runs, r.logits[:2]) for r in fork.readings] == [
        ((0, 2, 4), (12.0, 11.9375)),
        ((1, 3), (12.0, 12.0625)),
    ]
    assert [c.number for c in controls] == [0, 1]
    assert all(c.same_tokens and c.same_logits for c in controls)


def test_noise_below_the_margin_changes_nothing() -> None:
    engine = with_a_near_tie(0.25, 0.125)
    plan, runs, _ = ran(engine, [PLAIN, WIDE, WIDE])
    assert summarise(runs).unique == 1
    assert forks(plan, runs, engine) == []
    assert [c.number for c in ran(engine, [PLAIN, PLAIN, WIDE])[2]] == [0, 2]


def test_other_seeds_part_by_the_draw_and_the_same_seed_by_arithmetic() -> None:
    hot = SamplingSettings(temperature=1.0, seed=3)
    engine = FakeEngine()
    plan, runs, _ = ran(engine, [PLAIN] * 6, hot, new_seeds=True)
    assert [run.seed for run in runs] == [3, 4, 5, 6, 7, 8]
    found = forks(plan, runs, engine)
    assert found
    assert {fork.verdict.kind for fork in found} == {"sampler"}
    by = {run.number: run for run in runs}
    for fork in found:
        second = by[fork.choices[1][1][0]].steps[fork.step - 1]
        assert fork.verdict.probability == pytest.approx(math.exp(second.sampler_logprob))
    engine = with_a_near_tie(0.0625, 4.0)
    cold = SamplingSettings(temperature=0.01, seed=3)
    plan, runs, _ = ran(engine, [PLAIN, WIDE], cold)
    (fork,) = forks(plan, runs, engine)
    assert fork.verdict.kind == "arithmetic"
    assert fork.step == FLIP_AT + 1


def test_cold_draws_with_other_seeds_that_part_by_noise_are_no_sampler_draw() -> None:
    """The odds of the second are e^-375: whatever the seeds, no draw explains it."""
    engine = with_a_near_tie(0.375, 0.75)
    cold = SamplingSettings(temperature=0.001, seed=0)
    plan, runs, _ = ran(engine, [PLAIN, WIDE], cold, new_seeds=True)
    (fork,) = forks(plan, runs, engine)
    assert fork.verdict.kind == "arithmetic"
    assert fork.verdict.explained


def test_a_draw_that_noise_below_the_margin_moves_is_told_so() -> None:
    engine = FakeEngine()
    place = request_of(engine).ids
    engine.planted[place] = {A: 12.0, B: 11.5}
    engine.bench.noise = lambda execution, ids: (
        {B: 0.4} if execution.batch > 1 and ids == place else {}
    )
    found = []
    for seed in range(64):  # about one in ten falls between the two edges
        plan, runs, _ = ran(engine, [PLAIN, WIDE], SamplingSettings(temperature=1.0, seed=seed))
        found += forks(plan, runs, engine)
    moved = [fork for fork in found if set(fork.tokens[:2]) == {A, B}]
    assert moved
    for fork in moved:
        assert fork.margin == pytest.approx(0.5)
        assert fork.noise == pytest.approx(0.4)
        assert fork.verdict.kind == "arithmetic"
        assert fork.verdict.explained


def test_two_tokens_beyond_what_is_kept_have_no_margin_and_a_study_of_them_is_kept() -> None:
    engine = FakeEngine()
    hottest = SamplingSettings(temperature=100.0, seed=3)
    plan, runs, _ = ran(engine, [PLAIN] * 6, hottest, new_seeds=True)
    found = forks(plan, runs, engine)
    unknown = next(fork for fork in found if fork.margin is None)
    assert unknown.noise is None
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[Fork]) == found


def test_a_device_that_is_not_deterministic_fails_the_control() -> None:
    engine = FakeEngine()
    calls = iter(range(10_000))
    engine.bench.noise = lambda _execution, _ids: {A: next(calls) * 1e-3}
    _, _, controls = ran(engine, [PLAIN, WIDE])
    assert not any(c.same_logits for c in controls)


def test_the_figures_against_plain_counting() -> None:
    hot = SamplingSettings(temperature=1.5, seed=0)
    engine = FakeEngine()
    _, runs, _ = ran(engine, [PLAIN] * 9, hot, new_seeds=True)
    figures = summarise(runs)
    ids = [run.ids for run in runs]
    assert figures.unique == len(set(ids))
    assert list(figures.curve) == [len({i[:t] for i in ids}) for t in range(1, 9)]
    shares = []
    for a, b in combinations(ids, 2):
        common = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
        shares.append(common / len(a))
    assert figures.shared == pytest.approx(sum(shares) / len(shares))
    whole = trie(runs)
    assert set(whole.runs) == set(range(9))
    told: dict[int, tuple[int, ...]] = dict.fromkeys(range(9), ())
    for segment in whole.walk():
        for number in segment.runs:
            told[number] += segment.ids
    assert [told[number] for number in range(9)] == ids


def test_stopping_keeps_what_is_done_and_its_control() -> None:
    engine, control = FakeEngine(), Control()
    plan = Plan(request_of(engine), (PLAIN,) * 5)
    seen = []
    for event in repeat(plan, lambda _: engine, control, lambda _done, _total: None):
        seen.append(event)
        if len(seen) == 2:
            control.cancelled = True
    assert [type(event) for event in seen] == [Run, Run, Checked, Checked]


def test_conditions_are_dealt_anew_by_another_number_only() -> None:
    engine = FakeEngine()
    prompt = engine.encode("Once upon a time there was")
    first = deal(engine, prompt, 50, SERVER, 40)
    assert first == deal(engine, prompt, 50, SERVER, 40)
    assert first != deal(engine, prompt, 50, SERVER, 40, seed=1)
    assert first[0] == PLAIN
    executions = [condition.execution for condition in first]
    assert {e.batch for e in executions} == {1, 2, 4, 8, 16}
    assert all(0 <= e.row < e.batch for e in executions)
    assert any(e.cached for e in executions)
    assert not any(e.chunk or e.threads or e.attention for e in executions)
    assert all(0 <= e.cached < len(prompt) for e in executions)
    assert all(len(mate) + 50 <= engine.info.context for e in executions for mate in e.mates)
    kinds = {condition.dtype for condition in deal(engine, prompt, 50, ("dtype",), 40)}
    assert kinds == {"", "float32", "bfloat16", "float16"}


def test_branches_beside_are_dealt_and_never_in_a_batch_of_others() -> None:
    engine = FakeEngine()
    prompt = engine.encode("Once upon a time there was")
    alone = [c.execution for c in deal(engine, prompt, 8, ("beside",), 60)]
    assert {e.beside for e in alone} == set(BESIDE)
    assert {e.batch for e in alone} == {1}
    assert Execution(beside=1).words() == "beside 1 branch"
    assert Condition(Execution(beside=7)).words() == "beside 7 branches"
    mixed = deal(engine, prompt, 8, ("batch", "beside"), 80)
    assert {bool(c.execution.mates) for c in mixed if c.execution.beside} == {False}
    assert {c.execution.row for c in mixed if c.execution.beside} == {0}
    kernels = deal(engine, prompt, 8, ("attention", "beside"), 80)
    assert {c.execution.attention for c in kernels if c.execution.beside} == {""}
    assert len({c.execution.attention for c in kernels if not c.execution.beside}) > 1
    assert {e.batch for e in (c.execution for c in mixed)} == {1, 2, 4, 8, 16}
    assert {c.at_once for c in mixed} == {1, 2, 4, 8, 16}


def test_what_cannot_vary_is_named() -> None:
    assert knobs_named("cache, batch") == ("batch", "cache")
    with pytest.raises(UsageError, match="'colour'"):
        knobs_named("batch,colour")
    engine = FakeEngine()
    assert possible(SERVER, engine.info) == (SERVER, [])


@pytest.mark.parametrize(
    ("prompt", "kept", "shortest", "longest"),
    [(20, SERVER, 10, 36), (38, ("cache",), 19, 36), (60, ("batch",), 41, 120)],
)
def test_rows_and_pieces_stay_on_one_side_of_a_border(
    prompt: int, kept: tuple[str, ...], shortest: int, longest: int
) -> None:
    engine = FakeEngine()
    engine._info = msgspec.structs.replace(engine.info, borders=Borders((40,)))

    knobs, said = possible(SERVER, engine.info, prompt, 4)
    mates = [m for c in deal(engine, [5] * prompt, 4, ("batch",), 60) for m in c.execution.mates]

    assert (knobs, len(said)) == (kept, 2 - len(kept))
    assert shortest <= min(map(len, mates))
    assert max(map(len, mates)) <= longest


def test_the_steps_of_a_format() -> None:
    assert grid_step(10.0, "bfloat16") == 0.0625
    assert grid_step(-16.0, "bfloat16") == 0.125
    assert grid_step(31.9, "float16") == 2.0**-6
    assert grid_step(1.0, "float32") == 2.0**-23
    assert grid_step(0.0, "bfloat16") is None
    assert grid_step(1.0, "int8") is None
