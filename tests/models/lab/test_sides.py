"""What runs read of two tokens, and their closest calls, against the full logits of each run."""

import math
from statistics import median

import msgspec
import numpy as np
import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, Engine, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab.close_calls import close_calls
from tokexplore.models.lab.conditions import PLAIN, Condition, offered
from tokexplore.models.lab.forks import forks
from tokexplore.models.lab.repeat import Plan, Run, repeat
from tokexplore.models.lab.sides import sides_of, spread_of, tried, untried
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.study import CloseCalls, StudiedRun, Study

WIDE, WIDER = Condition(Execution(((5, 6),))), Condition(Execution(((5, 6),) * 7))
STEPS = 12
A, B = 300, 301


def planned(engine: Engine, *conditions: Condition, steps: int = STEPS, **settings) -> Plan:
    ids = tuple(engine.encode("Once upon a time there was a king who had a"))
    request = StreamRequest(
        ids, SamplingSettings(**settings), steps, prompt_length=len(ids), ignore_eos=True
    )
    return Plan(request, conditions)


def ran(engine: Engine, plan: Plan) -> list[Run]:
    events = repeat(plan, lambda _: engine, Control(), lambda _done, _total: None)
    return [event for event in events if isinstance(event, Run)]


def full_rows(engine: Engine, plan: Plan, run: Run) -> np.ndarray:
    """The whole logits before each step of a run, computed once more: f64, shape [steps, V]."""
    ids = (*plan.request.ids, *run.ids[:-1])
    first, how = len(plan.request.ids), run.condition.execution
    parts = [rows for _, rows in engine.bench.trace(ids, first, how, Control(), stepwise=True)]
    return np.concatenate(parts).astype("f8")


def log_sum_exp(row: np.ndarray) -> float:
    return float(row.max() + np.log(np.exp(row - row.max()).sum()))


def noisy(scale: float) -> FakeEngine:
    """Batches of two move each logit by something, larger ones by twice as much."""
    engine = FakeEngine(dtype="bfloat16")

    def noise(how: Execution, ids: tuple[int, ...]) -> dict[int, float]:
        if how.batch == 1:
            return {}
        generator = np.random.default_rng(sum(ids) * 31 + len(ids))
        moved = generator.normal(size=engine.vocabulary.rows) * scale * (2 if how.batch > 2 else 1)
        return dict(enumerate(moved.tolist()))

    engine.bench.noise = noise
    return engine


def check_calls(engine: Engine, plan: Plan, runs: list[Run], found: CloseCalls) -> None:
    """Every figure against the full rows."""
    rows = {run.number: full_rows(engine, plan, run) for run in runs}
    plain = rows[0]
    order = np.argsort(-plain, axis=1, kind="stable")
    steps = np.arange(len(plain))
    pairs = order[:, :2]
    gaps = {
        number: each[steps, pairs[:, 0]] - each[steps, pairs[:, 1]] for number, each in rows.items()
    }
    closest = np.argsort(gaps[0], kind="stable")[:5]
    assert [call.step - 1 for call in found.calls] == closest.tolist()
    for call in found.calls:
        at = call.step - 1
        assert call.tokens == tuple(pairs[at])
        assert call.margin == gaps[0][at]
        here = [gaps[run.number][at] for run in runs]
        assert call.noise == max(here) - min(here)
        for sides in sides_of(call):
            for number in sides.runs:
                row = rows[number][at]
                assert sides.logits == tuple(row[list(call.tokens)])
                assert sides.margin == gaps[number][at]
                assert sides.logprobs == pytest.approx(
                    [row[token] - log_sum_exp(row) for token in call.tokens], abs=1e-5
                )
    apart = {n: math.sqrt(np.mean((gap - gaps[0]) ** 2)) for n, gap in gaps.items() if n}
    assert found.sigma == pytest.approx(max(apart.values()), rel=1e-12)
    assert found.sigma == pytest.approx(apart[found.noisiest], rel=1e-12)


def test_the_closest_calls_of_one_text_are_those_of_the_full_rows() -> None:
    engine = noisy(1e-4)
    plan = planned(engine, PLAIN, WIDE, WIDER)
    runs = ran(engine, plan)
    found = close_calls(plan, runs, "bfloat16")
    assert found is not None
    check_calls(engine, plan, runs, found)
    assert found.noisiest == 2
    assert found.decisive
    assert all(call.noise > 0 for call in found.calls)
    assert msgspec.json.decode(msgspec.json.encode(found), type=CloseCalls) == found


@pytest.mark.parametrize("dtype", ["float32", "own"])
def test_the_model_that_we_ship_reads_what_its_full_rows_say(dtype) -> None:
    engine = LocalEngine.open(LoadOptions(dtype=dtype, device="cpu", threads=1), lambda _: None)
    plan = planned(engine, PLAIN, WIDE)
    runs = ran(engine, plan)
    assert runs[0].ids == runs[1].ids
    found = close_calls(plan, runs, engine.info.dtype)
    assert found is not None
    check_calls(engine, plan, runs, found)
    every = offered(engine, len(plan.request.ids), STEPS)
    assert {"batch", "prefill", "attention", "deterministic"} <= set(every)
    assert not {"dtype", "device", "experts"} & set(every)


def test_both_sides_of_a_fork_are_told_by_what_each_run_read() -> None:
    engine = FakeEngine(dtype="bfloat16")
    plan = planned(engine, PLAIN, WIDE, PLAIN, WIDER)
    place = plan.request.ids
    engine.planted[place] = {A: 12.0, B: 11.9375}
    moved = {2: 0.125, 8: 0.25}
    engine.bench.noise = lambda how, ids: (
        {B: moved[how.batch]} if how.batch > 1 and ids == place else {}
    )
    runs = ran(engine, plan)
    (fork,) = forks(plan, runs, engine)
    found = {sides.runs: sides for sides in sides_of(fork)}
    assert list(found) == [(0, 2), (1,), (3,)]
    for numbers, sides in found.items():
        for number in numbers:
            row = full_rows(engine, plan, runs[number])[0]
            wanted = [row[token] for token in fork.tokens[:2]]
            assert list(sides.logits) == wanted
            assert sides.margin == wanted[0] - wanted[1]
            assert sides.logprobs == pytest.approx([x - log_sum_exp(row) for x in wanted])
            assert sides.taken == (runs[number].ids[0],)
    margins = [s.margin for s in found.values() for _ in s.runs]
    spread = spread_of(list(found.values()))
    assert spread == (4, min(margins), median(margins), max(margins))
    assert spread.width == fork.noise


def test_without_the_sums_there_are_logits_and_no_logprobs() -> None:
    engine = noisy(0.0)
    plan = planned(engine, PLAIN, WIDE)
    found = close_calls(plan, ran(engine, plan), "bfloat16")
    (reading,) = found.calls[0].readings
    older = msgspec.structs.replace(reading, lse=msgspec.UNSET)
    assert b"lse" not in msgspec.json.encode(older), "as it was always written"
    (sides,) = sides_of(msgspec.structs.replace(found.calls[0], readings=(older,)))
    assert sides.logprobs == (None, None)
    assert sides.margin == found.calls[0].margin
    assert found.sigma == 0


def test_what_margins_do_not_decide_is_said() -> None:
    engine = noisy(0.0)
    for settings in ({"bias": (((A,), 0.5),)}, {"temperature": 1e-4}):
        plan = planned(engine, PLAIN, WIDE, steps=4, **settings)
        found = close_calls(plan, ran(engine, plan), "bfloat16")
        assert not found.decisive
        assert found.sigma is None, "four steps are too few for an estimate"
    plan = planned(engine, PLAIN)
    assert close_calls(plan, ran(engine, plan), "bfloat16") is None, "one run says nothing"


def test_what_was_tried_is_not_proposed_again() -> None:
    def of(*varied: str, setting: str = "greedy", texts: int = 1) -> Study:
        runs = tuple(StudiedRun(n, "", 0, (n % texts,), "length", 0.0) for n in range(4))
        offer = ("batch", "cache", "prefill", "threads")
        return Study(setting, "float32", 1, 4, varied, runs, offered=offer)

    studies = [of("batch", "cache"), of("prefill", texts=2), of("threads", setting="T 1")]
    assert tried(studies[0], studies) == {("batch", "cache"): 1, ("prefill",): 2}
    assert untried(studies[0], studies) == ("threads",)
    assert untried(studies[2], studies) == ("batch", "cache", "prefill")
    assert untried(of("batch"), [*studies, of("threads")]) == ()
    stopped = msgspec.structs.replace(of("threads"), planned=9)
    assert untried(of("batch"), [*studies, stopped]) == ("threads",), "it was not tried to the end"


@pytest.mark.parametrize(
    "damaged",
    [
        {"forks": ({"readings": ()},)},
        {"forks": ({"choices": ((7, (0,)), (8, (9,)))},)},
        {"forks": ({"tokens": (7,)},)},
        {"forks": ({"step": 5},)},
        {"runs": (StudiedRun(0, "", 0, (7,), "eos", 0.1), StudiedRun(0, "", 0, (8,), "eos", 0.1))},
    ],
)
def test_a_study_that_does_not_hold_together_is_refused(damaged) -> None:
    engine = FakeEngine()
    plan = planned(engine, PLAIN, WIDE)
    engine.planted[plan.request.ids] = {A: 12.0, B: 11.9375}
    engine.bench.noise = lambda how, ids: (
        {B: 0.125} if how.batch > 1 and ids == plan.request.ids else {}
    )
    runs = ran(engine, plan)
    kept = tuple(StudiedRun(r.number, "", r.seed, r.ids, r.ended, r.seconds) for r in runs)
    whole = Study("greedy", "float32", STEPS, 2, (), kept, forks=tuple(forks(plan, runs, engine)))
    data = msgspec.to_builtins(whole)
    assert msgspec.convert(data, Study) == whole
    for name, value in damaged.items():
        data[name] = msgspec.to_builtins(value) if name == "runs" else [data[name][0] | value[0]]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, Study)
