"""Several temperatures of a step on the embedded model: runs that share passes, and each alone."""

import pytest
from support.app import make_app, press, screen_text, settle, until

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import Dtype, LoadOptions, PromptSpec
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.temperature_runs import LENGTH, TemperatureRun
from tokexplore.tui.screens.temperatures import TemperaturesScreen

TEXT = "Once upon a time there was a king who had a daughter, and she was so proud that no one was "
OPTIONS = AppOptions(
    prompt=PromptSpec(text=f"{TEXT}good enough for her. One day the king"), max_new_tokens=4,
    ignore_eos=True, settings=SamplingSettings(top_p=0.95, seed=11),
)  # fmt: skip


def opened(dtype: Dtype) -> LocalEngine:
    return LocalEngine.open(LoadOptions(dtype=dtype), lambda _: None)


async def ran(dtype: Dtype) -> tuple[tuple[int, ...], list[TemperatureRun], str]:
    """The step's path, the runs once all have ended, and the screen."""
    app = make_app(options=OPTIONS, engine=opened(dtype))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home", "C")
        await until(pilot, lambda: isinstance(app.screen, TemperaturesScreen))
        runs = app.screen.temperature_runs
        await until(pilot, lambda: runs.runs and all(run.ended for run in runs.runs))
        await settle(pilot)
        return tuple(runs.ids), runs.runs, screen_text(app)


async def test_in_float32_each_is_token_for_token_the_stream_of_it_alone() -> None:
    ids, runs, told = await ran("float32")
    assert {"step of 5 rows"} <= {e.distribution.source for run in runs for e in run.drawn}
    assert "rows in one pass" not in told
    for run in runs:
        request = StreamRequest(ids, run.settings, LENGTH, prompt_length=len(ids), ignore_eos=True)
        events = [
            e for e in opened("float32").stream(request, Control()) if isinstance(e, DrawnToken)
        ]
        assert [e.standing.token for e in run.drawn] == [e.standing.token for e in events]
        for shared, alone in zip(run.drawn, events, strict=True):
            assert shared.standing.logprob == pytest.approx(alone.standing.logprob, abs=1e-4)
            assert shared.uniform == alone.uniform


async def test_in_bfloat16_it_is_told_that_they_shared_passes() -> None:
    _, runs, told = await ran("bfloat16")
    assert {"step of 5 rows"} <= {e.distribution.source for run in runs for e in run.drawn}
    assert "up to 5 rows in one pass · in bfloat16 the last digits depend on how many" in told
