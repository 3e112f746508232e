"""Repeat runs of the model that we ship: float32 gives one text, the same batch the same bits."""

from tokexplore.models.api.engine import Control, StreamRequest
from tokexplore.models.api.options import Dtype, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.lab.conditions import BESIDE, SERVER, Knob, deal
from tokexplore.models.lab.forks import forks, summarise
from tokexplore.models.lab.repeat import Plan, Run, repeat
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.study import Checked

PROMPT = "Once upon a time there was a king who had a"


def ran(
    dtype: Dtype, length: int, knobs: tuple[Knob, ...] = SERVER
) -> tuple[LocalEngine, Plan, list[Run], list[Checked]]:
    engine = LocalEngine.open(LoadOptions(dtype=dtype), report=lambda _: None)
    ids = tuple(engine.encode(PROMPT))
    request = StreamRequest(ids, SamplingSettings(), length, prompt_length=len(ids))
    plan = Plan(request, tuple(deal(engine, ids, length, knobs, 30)))
    events = list(repeat(plan, lambda _: engine, Control(), lambda _done, _total: None))
    runs = [event for event in events if isinstance(event, Run)]
    return engine, plan, runs, [event for event in events if isinstance(event, Checked)]


def test_float32_gives_one_text_in_thirty_runs() -> None:
    engine, plan, runs, controls = ran("float32", 16)
    figures = summarise(runs)
    assert (figures.runs, figures.unique, figures.first_fork) == (30, 1, None)
    assert forks(plan, runs, engine) == []
    assert all(control.same_logits for control in controls)
    assert len({run.condition for run in runs}) > 20


def test_bfloat16_is_told_as_measured_and_the_control_holds() -> None:
    engine, plan, runs, controls = ran("own", 12)
    assert engine.info.dtype == "bfloat16"
    figures = summarise(runs)
    assert figures.unique == len({run.ids for run in runs})
    assert all(control.same_logits for control in controls)
    for fork in forks(plan, runs, engine):
        assert fork.verdict.kind == "arithmetic"
        assert fork.noise >= fork.margin


def test_beside_other_branches_float32_gives_one_text_and_bfloat16_one_for_as_many() -> None:
    engine, plan, runs, controls = ran("float32", 16, ("beside",))
    assert {run.condition.execution.beside for run in runs} == set(BESIDE)
    assert summarise(runs).unique == 1
    assert all(control.same_logits for control in controls)
    engine, plan, runs, controls = ran("own", 12, ("beside",))
    assert all(control.same_logits for control in controls)
    read = {(run.condition.execution.beside, run.steps[1].distribution.logits) for run in runs}
    assert len({beside for beside, _ in read}) == len(read), "alike beside as many"
    assert all(fork.verdict.kind == "arithmetic" for fork in forks(plan, runs, engine))
