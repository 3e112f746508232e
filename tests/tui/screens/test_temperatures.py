"""A step under several temperatures: the engine's own streams, kept as branches when asked."""

import re
import threading

import msgspec
import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import Encode
from tokexplore.models.errors import TokexploreError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.temperature_runs import LENGTH, TEMPERATURES
from tokexplore.tui.screens.temperatures import TemperaturesScreen

SIZE = (120, 40)
OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon"), max_new_tokens=6, ignore_eos=True,
    settings=SamplingSettings(top_p=0.9, seed=7),
)  # fmt: skip


async def opened(pilot, app) -> TemperaturesScreen:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home", "C")
    await until(
        pilot,
        lambda: isinstance(app.screen, TemperaturesScreen) and app.screen.temperature_runs.runs,
    )
    return app.screen


async def done(pilot, screen: TemperaturesScreen) -> None:
    await until(pilot, lambda: all(run.ended for run in screen.temperature_runs.runs))
    await settle(pilot)


async def test_each_rung_is_the_stream_of_its_settings() -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        assert [r.settings.temperature for r in screen.temperature_runs.runs] == list(TEMPERATURES)
        for run in screen.temperature_runs.runs:
            settings = SamplingSettings(run.settings.temperature, top_p=0.9, seed=7)
            assert run.settings == settings
            request = StreamRequest(screen.temperature_runs.ids, settings, LENGTH, ignore_eos=True)
            drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
            assert [e.standing for e in run.drawn] == [e.standing for e in drawn]
            assert run.effect == engine.effects(screen.temperature_runs.ids, [settings])[0]
            assert f"H {run.effect.entropy:.2f} nats" in screen_text(app)


async def test_figures_that_have_no_room_are_left_out_whole() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        heads = [line for line in screen_text(app).splitlines() if " H " in line]
        assert len(heads) > 2
        for head, run in zip(heads, screen.temperature_runs.runs, strict=False):
            assert run.effect is not None
            figures = head[head.index("H ") :].rstrip(" ▂▁▃▄▅▆▇█").split(" · ")
            mean = -sum(event.standing.logprob for event in run.drawn) / len(run.drawn)
            whole = [f"kept {run.effect.view.kept:,}", f"{mean:.2f} nats a token", run.ended]
            assert set(figures[1:]) <= {*whole, "…"}


async def test_rows_are_laid_out_anew_for_another_width() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "greedy" in screen_text(app))
        await settle(pilot)
        narrow = screen_text(app)
        await press(pilot, "down", "up")
        assert screen_text(app) == narrow


async def test_a_rung_is_kept_as_a_branch_with_all_that_is_known_of_it() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        before = len(tree)
        await press(pilot, "down", "down", "enter")
        run = screen.temperature_runs.runs[2]
        assert run.branch == 2
        path = tree.path(explorer.leaf)[-len(run.drawn) :]
        assert [tree.token[n] for n in path] == [e.standing.token for e in run.drawn]
        assert all(tree.origin[n] == "sampled" for n in path)
        assert all(tree.settings[tree.settings_of[n]] == run.settings for n in path)
        assert [tree.logprob[n] for n in path] == [e.standing.logprob for e in run.drawn]
        assert all(tree.parent[n] in tree.distribution for n in path)
        assert "branch 2" in screen_text(app)
        count = len(tree)
        assert count > before
        await press(pilot, "enter")
        assert len(tree) == count, "keeping it again adds nothing"
        await press(pilot, "q")
        assert not isinstance(app.screen, TemperaturesScreen)
        assert explorer.branch.number == 2


async def test_the_next_seed_gives_other_continuations_and_greedy_the_same() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        first = [[e.standing.token for e in r.drawn] for r in screen.temperature_runs.runs]
        await press(pilot, "r")
        await done(pilot, screen)
        second = [[e.standing.token for e in r.drawn] for r in screen.temperature_runs.runs]
        assert second[0] == first[0]
        assert second[2:] != first[2:]


async def test_other_temperatures_can_be_asked_for_and_bad_ones_are_refused() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "e", *"1,3", "enter")
        await until(pilot, lambda: len(screen.temperature_runs.runs) == 2)
        await done(pilot, screen)
        await press(pilot, "e", *"1,3,1.0,3", "enter")
        await done(pilot, screen)
        assert [r.settings.temperature for r in screen.temperature_runs.runs] == [1.0, 3.0]
        for bad, said in (("1,x", "no list of numbers"), ("1,-2", "temperature -2")):
            await press(pilot, "e", *bad, "enter")
            await settle(pilot)
            assert said in screen_text(app)
            await press(pilot, "ctrl+g")
            assert [r.settings.temperature for r in screen.temperature_runs.runs] == [1.0, 3.0]


def marks(app) -> list[str]:
    """The marks of the rows in view."""
    return re.findall(r"^ [› ] (\S) (?:greedy|T \d)", screen_text(app), re.MULTILINE)


async def begun(pilot, app, gate: threading.Semaphore, tokens: int) -> TemperaturesScreen:
    """The screen, whose five runs have so many tokens or one more or less, and wait for more."""
    gate.release(6)
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home")
    await pilot.press("C")
    await during(pilot, lambda: isinstance(app.screen, TemperaturesScreen))
    await during(pilot, lambda: sum(run.live for run in app.screen.temperature_runs.runs) == 5)
    runs = app.screen.temperature_runs.runs
    for drawn in range(1, 5 * tokens + 1):  # one by one: who opens late has turns too
        gate.release()
        await during(pilot, lambda drawn=drawn: sum(len(run.drawn) for run in runs) == drawn)
    assert all(len(run.drawn) > tokens - 2 for run in runs), "they take turns"
    return app.screen


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_all_stream_at_once_and_each_says_so(
    gate: threading.Semaphore, size: tuple[int, int]
) -> None:
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=size) as pilot:
        screen = await begun(pilot, app, gate, 3)
        await during(pilot, lambda: marks(app) == ["▶"] * 5)
        gate.release(5 * LENGTH)
        await done(pilot, screen)
        assert [len(run.drawn) for run in screen.temperature_runs.runs] == [LENGTH] * 5
        assert set(marks(app)) == {"■"}


async def test_of_many_temperatures_sixteen_stream_at_a_time() -> None:
    app, most = make_app(options=OPTIONS), 0
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        runs = screen.temperature_runs
        runs.start([0.1 * n for n in range(1, 41)], seed=3)
        while not (len(runs.runs) == 40 and all(run.ended for run in runs.runs)):
            most = max(most, sum(run.live for run in runs.runs))
            await pilot.pause(0)
        assert most == 16
        assert [len(run.drawn) for run in runs.runs] == [LENGTH] * 40


async def test_one_that_fails_is_told_and_loses_none_of_the_others(
    gate: threading.Semaphore,
) -> None:
    engine = FakeEngine(gate=gate)
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        screen = await begun(pilot, app, gate, 3)
        engine.failures[engine.passes + 1] = TokexploreError("no memory is left here.")
        gate.release(5 * LENGTH)
        await done(pilot, screen)
        runs = screen.temperature_runs.runs
        (failed,) = (number for number, run in enumerate(runs) if run.ended == "failed")
        others = [run for number, run in enumerate(runs) if number != failed]
        assert [(run.ended, len(run.drawn)) for run in others] == [("length", LENGTH)] * 4
        assert 0 < len(runs[failed].drawn) < LENGTH
        assert [n.message for n in app._notifications] == ["no memory is left here."]
        assert " failed" in screen_text(app)
        await press(pilot, *["down"] * failed, "enter")
        tree = app.controller.explorer.tree
        assert runs[failed].branch
        assert tree.ended.get(app.controller.explorer.leaf) is None


async def test_an_engine_that_dies_leaves_what_was_written(gate: threading.Semaphore) -> None:
    app = make_app(options=OPTIONS, engine=(engine := FakeEngine(gate=gate)))
    async with app.run_test(size=SIZE) as pilot:
        screen = await begun(pilot, app, gate, 3)
        engine.failures[engine.passes + 1] = "die"
        gate.release(5)
        await done(pilot, screen)
        assert [run.ended for run in screen.temperature_runs.runs] == ["failed"] * 5
        assert sum(len(run.drawn) for run in screen.temperature_runs.runs) == 15
        assert app.controller.state == "lost"


async def test_one_that_streams_is_kept_as_far_as_it_is_and_goes_on(
    gate: threading.Semaphore,
) -> None:
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        screen = await begun(pilot, app, gate, 3)
        run, tree = screen.temperature_runs.runs[2], app.controller.explorer.tree
        await pilot.press("down", "down", "enter")
        await during(pilot, lambda: run.branch > 0)
        assert run.live
        kept = run.kept
        assert 0 < kept == len(run.drawn) < LENGTH
        gate.release(5 * LENGTH)
        await done(pilot, screen)
        assert f"first {kept} in branch {run.branch}" in screen_text(app)
        first = run.branch
        await press(pilot, "enter")
        path = tree.path(app.controller.explorer.leaf)[-LENGTH:]
        assert [tree.token[n] for n in path] == [e.standing.token for e in run.drawn]
        assert (run.branch, run.kept) == (first, LENGTH)
        assert tree.ended[path[-1]] == "length"
        assert f"first {kept} in" not in screen_text(app)


async def test_leaving_ends_what_runs(gate: threading.Semaphore) -> None:
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await begun(pilot, app, gate, 3)
        nodes = len(app.controller.explorer.tree)
        await pilot.press("q")
        await settle(pilot)
        await app.controller.link.client.ask(Encode("x"))  # which it answers once it heard of it
        gate.release(500)
        await settle(pilot)
        assert len(app.controller.explorer.tree) == nodes
        assert sum(gate.acquire(blocking=False) for _ in range(501)) == 500, "one drew on"
        gate.release(1)
        await press(pilot, "end", "full_stop")
        await until(pilot, lambda: len(app.controller.explorer.tree) == nodes + 1)


class Shared(FakeEngine):
    """All its steps are of five rows, as it says."""

    def _distribution(self, ids, key, top, source):
        distribution, *others = super()._distribution(ids, key, top, source)
        told = "step of 5 rows" if source == "step" else source
        return msgspec.structs.replace(distribution, source=told), *others


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("columns", [120, 80])
async def test_passes_that_were_shared_are_told_where_the_dtype_is_coarse(
    dtype: str, columns: int
) -> None:
    app = make_app(options=OPTIONS, engine=Shared(dtype=dtype))
    async with app.run_test(size=(columns, 24)) as pilot:
        screen = await opened(pilot, app)
        await done(pilot, screen)
        told = "up to 5 rows in one pass · in bfloat16 the last digits depend on how many"
        assert (told in screen_text(app)) is (dtype == "bfloat16")


@pytest.mark.parametrize("size", [(20, 5), (60, 15), (300, 100)])
async def test_it_survives_every_size(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await pilot.resize_terminal(*size)
        await press(pilot, "down", "down", "enter", "up")
        await done(pilot, screen)
        assert app.screen is screen
