"""A step under several temperatures: the engine's own streams, kept as branches when asked."""

import threading

import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import PromptSpec
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
        for bad, said in (("1,x", "no list of numbers"), ("1,-2", "temperature -2")):
            await press(pilot, "e", *bad, "enter")
            await settle(pilot)
            assert said in screen_text(app)
            await press(pilot, "ctrl+g")
            assert [r.settings.temperature for r in screen.temperature_runs.runs] == [1.0, 3.0]


async def test_leaving_ends_what_runs(gate: threading.Semaphore) -> None:
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(6)
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home")
        await pilot.press("C")
        gate.release(3)
        await during(pilot, lambda: isinstance(app.screen, TemperaturesScreen))
        screen = app.screen
        await during(pilot, lambda: [len(r.drawn) for r in screen.temperature_runs.runs][:1] == [3])
        await during(pilot, lambda: "▌" in screen_text(app))
        nodes = len(app.controller.explorer.tree)
        await pilot.press("q")
        gate.release(500)
        await settle(pilot)
        assert len(app.controller.explorer.tree) == nodes
        await press(pilot, "end", "full_stop")
        await until(pilot, lambda: len(app.controller.explorer.tree) == nodes + 1)


@pytest.mark.parametrize("size", [(20, 5), (60, 15), (300, 100)])
async def test_it_survives_every_size(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await pilot.resize_terminal(*size)
        await press(pilot, "down", "down", "enter", "up")
        await done(pilot, screen)
        assert app.screen is screen
