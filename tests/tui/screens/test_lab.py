"""The lab's screen: runs as they come, forks opened as branches, the study in the session."""

import re
import threading

import msgspec
import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_bench import FakeBench
from support.fake_engine import FakeEngine
from textual.widgets import Input

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import EngineLostError
from tokexplore.models.lab.conditions import BESIDE
from tokexplore.models.lab.sides import sides_of
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.study import Study
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.repeat_runs import LENGTH, asked_runs
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.lab import LabScreen
from tokexplore.tui.screens.lab_readings import ReadingsScreen

SIZE = (120, 40)
OPTIONS = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8, ignore_eos=True)
A, B = 300, 301
STEP = 4


@pytest.fixture
def _flips(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the fourth step A and B are close, and batches of eight and more move B up."""
    run = FakeBench.run

    def planted(self, request, execution, control):
        engine = self._engine
        if not engine.planted:
            path = list(request.ids)
            for _ in range(STEP - 1):
                path.append(int(engine.describe(path).id_view[0]))
            place = tuple(path)
            engine.planted[place] = {A: 12.0, B: 11.9375}
            self.noise = lambda how, ids: {B: 0.125} if how.batch >= 8 and ids == place else {}
        return run(self, request, execution, control)

    monkeypatch.setattr(FakeBench, "run", planted)


async def opened(pilot, app) -> LabScreen:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "D")
    await until(pilot, lambda: isinstance(app.screen, LabScreen))
    await done(pilot, app.screen)
    return app.screen


async def done(pilot, screen: LabScreen) -> None:
    await until(pilot, lambda: not screen.lab.running and screen.lab.study is not None)
    screen.paint()
    await settle(pilot)


@pytest.mark.usefixtures("_flips")
async def test_the_runs_their_fork_and_its_verdict_are_shown() -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        study = screen.lab.study
        assert len(study.runs) == 30
        assert len({run.ids for run in study.runs}) == 2
        text = screen_text(app)
        assert "2 unique of 30" in text
        assert f"step {STEP} ◀ first fork" in text
        assert "verdict: arithmetic (noise 0.125 ≥ margin 0.0625 nats)" in text
        assert "gave the same logits, bit for bit" in text
        await press(pilot, "down")
        assert "a text of" in screen_text(app)
        assert "run   0  alone, in one pass" in screen_text(app)


@pytest.mark.usefixtures("_flips")
async def test_an_opened_fork_stands_in_the_main_screen_with_its_sides_as_branches() -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        study = screen.lab.study
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen is app._browse)
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        assert tree.step[explorer.taken] == STEP
        fork = tree.parent[explorer.taken]
        assert {tree.token[node] for node in tree.children[fork]} >= {A, B}
        counts = sorted(len(runs) for _, runs in study.forks[0].choices)
        names = [branch.name for branch in tree.branches if branch.name]
        assert names
        assert {int(name.removeprefix("lab ×")) for name in names} <= set(counts)
        texts = {tuple(tree.ids(branch.tip)) for branch in tree.branches}
        for run in study.runs:
            assert (*screen.lab.ids, *run.ids) in texts
        await until(pilot, lambda: not app.controller.busy)
        for branch in tree.branches:
            path = tree.path(branch.tip)
            assert all(tree.rank[node] for node in path[1:]), "their numbers are the model's"


@pytest.mark.usefixtures("_flips")
async def test_keys_while_it_begins_anew_are_for_what_is_shown() -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        shown = screen.lab.study
        screen.lab.study = msgspec.structs.replace(shown, runs=(), forks=())
        screen.action_select(1)
        assert "run   0  alone, in one pass" in screen_text(app)
        screen.action_open()
        await until(pilot, lambda: app.screen is app._browse)
        tree = app.controller.explorer.tree
        texts = {tuple(tree.ids(branch.tip)) for branch in tree.branches}
        assert any((*screen.lab.ids, *run.ids) in texts for run in shown.runs)
        branches = sum(not b.hidden for b in tree.branches)
        for _ in range(4):
            await press(pilot, "u")
        assert sum(not b.hidden for b in tree.branches) < branches, "undo knows a kept text"


@pytest.mark.usefixtures("_flips")
async def test_the_study_is_there_again_with_the_session_and_without_the_model() -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        study = screen.lab.study
        await press(pilot, "q")
        await until(pilot, lambda: app.screen is app._browse)
        await pilot.press("ctrl+q")
    reopened = continue_session("")
    assert reopened.session.tree.studies == {screen.lab.node: [study]}
    app = make_app(options=options_for(reopened, OpenOptions()), opened=reopened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        assert "2 unique of 30" in screen_text(app)
        await press(pilot, "i")
        assert "spread 0.125" in screen_text(app), "the readings are kept"
        await press(pilot, "q", "r")
        assert isinstance(app.screen, LabScreen)
        assert not app.screen.lab.running


@pytest.mark.usefixtures("_flips")
async def test_both_sides_of_a_fork_are_a_key_away_with_what_each_run_read() -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        study = screen.lab.study
        (fork,) = study.forks
        await press(pilot, "i")
        assert isinstance(app.screen, ReadingsScreen)
        for sides in sides_of(fork):
            logits = [12.0 if t == A else 12.0625 for t in fork.tokens[:2]]
            if min(run.number for run in study.runs if run.number in sides.runs) == 0:
                logits = [12.0 if t == A else 11.9375 for t in fork.tokens[:2]]
            count = f"×{len(sides.runs)} "
            lines = [r.strip(" ›") for r in screen_text(app).splitlines()]
            row = next(r for r in lines if r.startswith(count))
            numbers = re.findall(r"[-+]?\d+\.\d{4}", row)
            assert [float(numbers[0]), float(numbers[2])] == logits
            lse = next(r.lse[0] for r in fork.readings if sides.runs[0] in r.runs)
            assert [float(numbers[1]), float(numbers[3])] == [
                pytest.approx(logit - lse, abs=5e-5) for logit in logits
            ]
            assert float(numbers[4]) == logits[0] - logits[1]
            assert "●" in row
        assert "verdict: arithmetic (noise 0.125 ≥ margin 0.0625 nats)" in screen_text(app)
        assert "spread 0.125" in " ".join(screen_text(app).split())
        first, second = sides_of(fork)
        assert f"read by {len(first.runs)} runs" in screen_text(app)
        await press(pilot, "down", "pagedown", "pageup")
        assert f"read by {len(second.runs)} runs" in screen_text(app)
        by = {run.number: run for run in study.runs}
        assert by[second.runs[0]].condition in screen_text(app)
        await press(pilot, "n")
        assert any("No more steps." in n.message for n in app._notifications)
        await press(pilot, "q")
        assert app.screen is screen


async def test_one_text_has_its_closest_calls_and_what_to_vary_next_as_keys() -> None:
    engine = FakeEngine()
    app = make_app(options=msgspec.structs.replace(OPTIONS, max_new_tokens=8), engine=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        text, study = screen_text(app), screen.lab.study
        assert "one text of 30 runs" in text
        for call in study.close_calls.calls:
            row = next(r for r in text.splitlines() if r.split()[:1] == [str(call.step)])
            assert f" {call.margin:.4f} " in row
        assert "noise: none; every run read those of run 0, bit for bit" in text
        assert "batch, cache: 1 text" in text
        assert "vary next  1 mates  2 together  3 beside  4 prefill" in text
        assert "tokexplore lab repeat" in text
        await press(pilot, "3")
        await done(pilot, screen)
        assert screen.lab.study.varied == ("beside",)
        assert {e.beside for e in engine.bench.ran} == set(BESIDE)
        text = screen_text(app)
        assert "batch, cache: 1 text · beside: 1 text" in text
        assert "vary next  1 mates  2 together  3 prefill" in text
        await press(pilot, "left_square_bracket")
        assert screen.lab.study is study
        await press(pilot, "left_square_bracket", "9")
        said = [n.message for n in app._notifications]
        assert "No more results of this request." in said
        assert "No such number here: v chooses what to vary." in said
        await press(pilot, "i")
        call = study.close_calls.calls[0]
        assert f"close call at step {call.step}" in screen_text(app)
        assert "the noise does not reach it" in screen_text(app)
        await press(pilot, "n", "q")
        screen.lab.study = msgspec.structs.replace(study, offered=study.varied)
        screen._runs_changed()
        await settle(pilot)
        assert "nothing is left: e makes longer runs" in screen_text(app)


async def test_what_the_model_cannot_vary_is_said() -> None:
    app = make_app(options=OPTIONS, engine=no_batches())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        said = "batch cannot vary on fake: its cache is not only attention."
        assert screen.lab.study.notices == (said,)
        assert said in screen_text(app)
        assert "mates" not in screen.lab.study.offered


def no_batches() -> FakeEngine:
    engine = FakeEngine()
    capable = msgspec.structs.replace(engine.info.capabilities, batches=False)
    engine._info = msgspec.structs.replace(engine.info, capabilities=capable)
    return engine


async def test_without_the_model_no_runs_are_begun_for_another_prompt() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await press(pilot, "q")
        await app.controller.prompt(PromptSpec(text="Another"), go_on=False)
        await pilot.press("ctrl+q")
    session = continue_session("")
    app = make_app(options=options_for(session, OpenOptions()), opened=session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        await settle(pilot)
        assert app.controller.state == "recorded", "no engine was lost, as there is none"
        assert not [n for n in app._notifications if n.severity == "error"]
        assert "No model is loaded: space in the main screen does it." in screen_text(app)


async def test_space_says_why_it_stops_nothing() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await press(pilot, "space")
        assert any("No runs are being made." in n.message for n in app._notifications)
        app.controller.engine_life.lose(EngineLostError("It ended."))
        await press(pilot, "space")
        assert any("space in the main screen" in n.message for n in app._notifications)


async def test_runs_are_stopped_and_asked_for_anew() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await press(pilot, *"3 x 5", "enter")
        await done(pilot, screen)
        assert len(screen.lab.study.runs) == 3
        assert {len(run.ids) for run in screen.lab.study.runs} == {5}
        assert "1 unique of 3: every run said the same." in screen_text(app)
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await press(pilot, *"many", "enter")
        assert "is no number of runs" in screen_text(app)
        assert app.screen.query_one(Input).value == "many"
        await press(pilot, "ctrl+g", "v")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await press(pilot, *"prefill", "enter")
        await done(pilot, screen)
        assert screen.lab.study.varied == ("prefill",)
        await press(pilot, "n")
        assert any("No more forks." in n.message for n in app._notifications)


@pytest.mark.usefixtures("_flips")
async def test_of_runs_that_were_begun_anew_nothing_is_told_of_those_before(
    gate: threading.Semaphore,
) -> None:
    app = make_app(options=OPTIONS, dtype="bfloat16", gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(8)
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await pilot.press("D")
        gate.release(20 * LENGTH)
        await during(pilot, lambda: isinstance(app.screen, LabScreen))
        lab = app.screen.lab
        await during(pilot, lambda: lab.study is not None and len(lab.study.runs) == 20)
        studies: list[Study | None] = []
        lab._changed = lambda: studies.append(lab.study)
        lab.start()
        gate.release(50 * LENGTH)
        await during(pilot, lambda: not lab.running)
        assert [run.number for run in lab.study.runs] == list(range(30))
        assert lab.study.forks
        early = [study for study in studies if study is not None and len(study.runs) < 30]
        assert early
        assert not any(study.forks or study.controls for study in early)


async def test_a_sampled_request_draws_each_run_with_a_seed_of_its_own() -> None:
    hot = AppOptions(
        prompt=PromptSpec(text="Once upon"), max_new_tokens=6, ignore_eos=True,
        settings=SamplingSettings(1.0, seed=5),
    )  # fmt: skip
    app = make_app(options=hot)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        study = screen.lab.study
        assert [run.seed for run in study.runs] == list(range(5, 35))
        assert {fork.verdict.kind for fork in study.forks} == {"sampler"}
        assert "verdict: sampler draw (P = " in screen_text(app)
        assert "varied: seed, batch, cache" in screen_text(app), (
            "or the texts would look like noise"
        )
        screen.lab.study = screen._study = msgspec.structs.replace(study, forks=())
        await press(pilot, "down", "up")
        assert "its logits were not computed: r runs it again" in screen_text(app)


def test_runs_and_tokens_are_typed_as_one_reads_them() -> None:
    assert asked_runs("30 x 64") == (30, 64)
    assert asked_runs("12×7") == (12, 7)
    assert asked_runs("5")[0] == 5
    for text in ("0 x 5", "x", "3 x -1", "9999 x 2", "a x b"):
        with pytest.raises(ValueError, match=r"\w"):
            asked_runs(text)
