"""Futures of a step on the embedded model: lanes that share passes, and each alone."""

import pytest
from support.app import make_app, press, screen_text, settle, until

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import Dtype, LoadOptions, PromptSpec
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.futures import FuturesScreen

SETTINGS = SamplingSettings(top_p=0.95, seed=11)
LENGTH, LANES = 12, 6
OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon a time there was a king who had a daughter, and she was"),
    max_new_tokens=LENGTH, ignore_eos=True, settings=SETTINGS,
)  # fmt: skip


def opened(dtype: Dtype) -> LocalEngine:
    return LocalEngine.open(LoadOptions(dtype=dtype), lambda _: None)


async def ran(dtype: Dtype) -> tuple[int, list[tuple[list[int], list[float]]], str]:
    """Most rows of a pass, the ids and logprobs of each lane once all have ended, the screen."""
    app = make_app(options=OPTIONS, engine=opened(dtype))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home", "F", "backspace", str(LANES), "enter")
        await until(pilot, lambda: isinstance(app.screen, FuturesScreen))
        futures, tree = app.screen.futures, app.controller.explorer.tree
        await until(pilot, lambda: len(futures.lanes) == LANES and not futures.live)
        await settle(pilot)
        lanes = [
            (tree.ids(lane.leaf), [tree.logprob[node] for node in lane.nodes])
            for lane in futures.lanes
        ]
        return futures.rows, lanes, screen_text(app)


async def test_in_float32_each_lane_is_token_for_token_the_stream_alone() -> None:
    rows, lanes, told = await ran("float32")
    assert rows == LANES - 1  # the path that was there is one of them
    assert "rows in one pass" not in told
    engine = opened("float32")
    for ids, logprobs in lanes[1:]:
        begin = tuple(ids[: len(ids) - len(logprobs) + 1])
        request = StreamRequest(begin, SETTINGS, LENGTH, prompt_length=len(begin) - 1,
                                ignore_eos=True)  # fmt: skip
        alone = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
        assert list(ids[len(begin) :]) == [event.standing.token for event in alone]
        found = [event.standing.logprob for event in alone]
        assert logprobs[1:] == pytest.approx(found, abs=1e-4)


async def test_in_bfloat16_it_is_told_that_they_shared_passes() -> None:
    rows, _, told = await ran("bfloat16")
    assert rows == LANES - 1
    assert f"up to {rows} rows in one pass · in bfloat16 the last digits depend on how many" in told
