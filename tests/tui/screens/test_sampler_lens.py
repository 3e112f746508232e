"""The sampling lens in the app: knobs, figures that follow, pins, draws, bounds without a model."""

import math
import re
from itertools import pairwise

import pytest
from msgspec.structs import replace
from support.app import make_app, press, screen_text, settle, until
from textual.events import Key
from textual.theme import Theme
from textual.widgets import Static
from textual_hires_canvas import Canvas

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import FindEffects
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.screens.sampler_lens import DRAWS, SamplerLensScreen
from tokexplore.tui.screens.sampler_plot import _Probabilities, height_axis, rank_axis
from tokexplore.tui.theme import ANSI, DARK, LIGHT
from tokexplore.widgets.numbers import percent

SIZE = (120, 40)
HOT = SamplingSettings(temperature=0.8, top_p=0.6, seed=3)
OPTIONS = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8, settings=HOT)


async def opened(pilot, app) -> SamplerLensScreen:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "left", "left", "s")
    assert isinstance(app.screen, SamplerLensScreen)
    await settled(pilot, app)
    return app.screen


async def settled(pilot, app) -> None:
    """The figures of all columns are known."""
    await settle(pilot)
    await until(pilot, lambda: all(c.effect or c.bounds for c in app.screen._columns()))
    await settle(pilot)


def part(app, name: str) -> str:
    return str(app.screen.query_one(name, Static).render())


async def test_a_turned_knob_moves_the_figures_and_nothing_else_until_it_is_applied() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        calls = app.controller.link.client
        figures = part(app, "#figures")
        await pilot.press("L", "L")
        await settled(pilot, app)
        assert part(app, "#figures") != figures
        assert lens._now() == SamplingSettings(temperature=1.8, top_p=0.6, seed=3)
        before, now = lens._columns()
        assert before.settings == HOT
        for column in (before, now):
            path = app.controller.explorer.tree.ids(app.controller.explorer.before)
            expected = await calls.ask(FindEffects(path, [column.settings]))
            assert column.effect == expected[0]
            assert f"{column.effect.entropy:.4f}" in part(app, "#figures")
        assert app.controller.explorer.settings == HOT
        await pilot.press("enter")
        await until(pilot, lambda: app.controller.explorer.settings.temperature == 1.8)


async def test_q_throws_the_settings_away() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press("1", "q")
        await settle(pilot)
        assert app.controller.explorer.settings == HOT


async def test_cut_candidates_stay_in_place_with_the_stage_that_cut_them() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(160, 40)) as pilot:
        lens = await opened(pilot, app)
        shown = part(app, "#candidates")
        kept = lens._columns()[-1].effect.view.kept
        assert f"top-p 0.6: reached at rank {kept}" in shown
        ranks = [int(line.split()[0]) for line in shown.splitlines()[1:]]
        assert ranks == sorted(ranks)
        assert len(ranks) > kept


async def test_three_settings_can_be_pinned_beside_each_other() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(160, 40)) as pilot:
        lens = await opened(pilot, app)
        await press(pilot, "p")
        assert len(lens._columns()) == 2, "what is in force is in view already"
        for typed in ("1", "2", "3"):
            await pilot.press(typed, "p")
            await settled(pilot, app)
        await pilot.press("4", "p")
        await settled(pilot, app)
        names = [column.name for column in lens._columns()]
        assert names == ["before", "A", "B", "C", "now"]
        assert "B: T 2.00 p .60 seed 3" in part(app, "#figures")
        entropies = [c.effect.entropy for c in lens._columns()]
        assert entropies[1:] == sorted(entropies[1:])
        await pilot.press("u")
        await settle(pilot)
        assert len(lens._columns()) == 4


@pytest.mark.parametrize("changed", [{"min_p": 0.123}, {"top_k": 1}, {"top_p": 0.123}])
async def test_what_cut_a_candidate_has_a_column_of_its_own(changed: dict[str, float]) -> None:
    settings = SamplingSettings(temperature=0.8, seed=3, **changed)
    app = make_app(options=replace(OPTIONS, settings=settings))
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        await pilot.press("p")
        await settled(pilot, app)
        distribution = app.controller.queries.distribution()
        assert distribution is not None
        rows = part(app, "#candidates").splitlines()[1:]
        shares = 0
        for index, row in enumerate(rows):
            one = distribution.id_view[index], distribution.logit_view[index]
            share = lens._columns()[-1].share(index, *one)
            assert percent(math.exp(distribution.logprob(index))) in row.split()
            if share.cut:
                shares += 1
                assert f"% {share.cut}" in re.sub(" +", " ", row)
        assert shares


async def test_draws_stand_beside_the_probabilities() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        await pilot.press("d")
        await until(pilot, lambda: lens._step.draws)
        await settle(pilot)
        (draws,) = lens._step.draws.values()
        assert draws.count == DRAWS
        assert "drawn" in part(app, "#candidates")
        token = app.controller.queries.distribution().id_view[0]
        assert f"{draws.of(token):,}" in part(app, "#candidates").splitlines()[1]


async def test_greedy_filters_are_said_to_do_nothing() -> None:
    greedy = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=4)
    app = make_app(options=greedy)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press(*["down"] * 4, *"0.5", "up")
        await settled(pilot, app)
        line = next(x for x in part(app, "#knobs").splitlines() if "top-p" in x)
        assert "no effect: greedy" in line
        assert "greedy" in part(app, "#figures")


async def test_an_impossible_value_is_refused_with_the_value() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press(*["down"] * 4, *"1.7", "enter")
        await settle(pilot)
        assert isinstance(app.screen, SamplerLensScreen)
        said = "top-p 1.7 is not possible: give more than 0, at most 1."
        assert said in [n.message for n in app._notifications]
        await pilot.press(*"e-", "enter")
        await settle(pilot)
        said = "'1.7e-' is not a number that top-p can have: give more than 0, at most 1."
        assert said in [n.message for n in app._notifications]


@pytest.mark.parametrize("key", ["enter", "up", "down", "left", "H", "p", "d"])
async def test_what_is_refused_loses_nothing(key: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        await pilot.press(*["down"] * 4, *"1.7")
        await settle(pilot)
        wanted = "⏎ does not take 1.7: top-p can be more than 0, at most 1"
        assert wanted in screen_text(app)
        await pilot.press(key)
        await settle(pilot)
        assert app.screen is lens
        assert "1.7▌" in part(app, "#knobs")
        assert lens._now() == HOT
        assert [c.name for c in lens._columns()] == ["before", "now"]
        await pilot.press("backspace", "backspace", "backspace", *"0.9", "enter", "enter")
        await until(pilot, lambda: app.controller.explorer.settings.top_p == 0.9)
        assert app.controller.explorer.settings == replace(HOT, top_p=0.9)


@pytest.mark.parametrize(
    ("downs", "typed", "said"),
    [
        (3, "2.5", "top-k 2.5 is not a whole number: give 0 (off) to 2^64 - 1."),
        (3, "-1", "top-k -1 is not possible: give 0 (off) to 2^64 - 1."),
        (10, "0", f"length 0 is not possible: give 1 to {2**31 - 1}."),
        (10, "1e999", f"'1e999' is not a number that length can have: give 1 to {2**31 - 1}."),
        (1, "0.8", "dynamic range 0.8 is not possible: give 0 (off) or more, less than the "
         "temperature."),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_value_and_the_range(downs: int, typed: str, said: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press(*["down"] * downs, *typed, "enter")
        await settle(pilot)
        assert said in [n.message for n in app._notifications]


async def test_settings_that_are_not_possible_together_say_why() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        await pilot.press("down", *"0.5", "up", *"0.4", "enter")
        await settle(pilot)
        assert lens._now() is None
        said = " ".join(part(app, "#figures").split())
        assert "now: dynamic range 0.5 is not possible: give 0 (off) or more, less than" in said
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen is lens
        await pilot.press(*"0.9", "enter", "enter")
        await until(pilot, lambda: app.controller.explorer.settings.dynamic_range == 0.5)
        assert app.controller.explorer.settings.temperature == 0.9


async def test_a_click_on_the_hints_is_their_key() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        await pilot.press(*"1.52")
        await settle(pilot)
        place = screen_text(app).splitlines()[-1].index("⌫")
        await pilot.click("KeyBar", offset=(place, 0))
        await until(pilot, lambda: "⏎ takes 1.5 ⏎⏎ applies it and closes" in screen_text(app))
        await pilot.click("KeyBar", offset=(1, 0))
        await until(pilot, lambda: lens._now() == replace(HOT, temperature=1.5))
        assert app.screen is lens


@pytest.mark.usefixtures("each_frame")
async def test_the_picture_shows_probabilities_their_sum_and_what_was_drawn() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        assert "probability by rank" in screen_text(app)
        assert "top-p 0.6" in screen_text(app)
        await press(pilot, "v")
        assert "cumulative probability by rank" in screen_text(app)
        u = app.controller.queries.uniform_at_cursor()
        assert u is not None
        assert f"u = {u:.6f}" in screen_text(app)


@pytest.mark.usefixtures("each_frame")
@pytest.mark.parametrize("size", [SIZE, (140, 50), (80, 24)])
async def test_the_legend_stands_inside_the_frame_of_the_picture(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        if size[0] < 100:
            await press(pilot, "v")
        for _ in range(2):
            lines = screen_text(app).splitlines()
            plot = app.screen.query_one("#plot").region
            rows = [line[plot.x : plot.right] for line in lines[plot.y : plot.bottom]]
            frame = rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)
            assert set(frame) <= set("┏┓┗┛━┻┳┫┣╋┃")
            cut_at = {x for x, c in enumerate(rows[0]) if c == "┳"}
            ticks = [x for x, c in enumerate(rows[-1]) if c == "┳" and x not in cut_at]
            assert len({b - a for a, b in pairwise(ticks)}) == 1
            heights = [y for y, row in enumerate(rows) if row[0] == "┫"]
            assert len({b - a for a, b in pairwise(heights)}) <= 1
            assert heights[-1] == len(rows) - 2, "0 is inside the frame"
            assert ("now" in "".join(rows)) == (plot.height > 8)
            await press(pilot, "v")


@pytest.mark.usefixtures("each_frame")
async def test_a_small_terminal_shows_candidates_or_the_picture() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        assert "token" in screen_text(app)
        assert "length" in screen_text(app)
        assert "━━━" not in screen_text(app)
        await press(pilot, "v")
        assert "━━━" in screen_text(app)
        await press(pilot, "v", "v")
        assert "━━━" not in screen_text(app)


async def test_without_the_model_there_are_bounds() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await pilot.press("q", "q")
    reopened = continue_session("")
    app = make_app(options=options_for(reopened, OpenOptions()), opened=reopened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "left", "left", "s")
        await pilot.press("5")
        await pilot.press("up")
        await settle(pilot)
        assert "without the model" in part(app, "#figures")
        bounds = app.screen._columns()[-1].bounds
        assert bounds is not None
        assert re.search(r"kept tokens .*\d", part(app, "#figures"))
        await pilot.press(*["down"] * 7, *"0.5", "up")
        await settle(pilot)
        assert app.screen._columns()[-1].bounds is None, "typical-p needs the whole tail"
        assert "?" in part(app, "#figures")
        await press(pilot, "d")
        assert any("needs the model" in n.message for n in app._notifications)


@pytest.mark.usefixtures("each_frame")
@pytest.mark.slow
@pytest.mark.parametrize("theme", [DARK, LIGHT, ANSI])
async def test_it_can_be_drawn_in_every_theme(theme: Theme) -> None:
    app = make_app(options=replace(OPTIONS, theme=theme.name))
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        for typed in ("2", "3", "4"):
            await pilot.press(typed, "p")
            await settled(pilot, app)
        await press(pilot, "v")
        assert "cumulative" in screen_text(app)
        assert len(lens._columns()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("size", [(20, 5), (60, 15), (300, 100)])
async def test_it_survives_every_size(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press("2", "p", "d")
        await settled(pilot, app)
        await pilot.resize_terminal(*size)
        await press(pilot, "v", "v", "v", "left", "down")
        await settled(pilot, app)
        assert isinstance(app.screen, SamplerLensScreen)


async def test_keys_of_a_burst_act_in_their_order() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        lens = await opened(pilot, app)
        for key in ("1", "full_stop", "7", "down", "down", "0", "full_stop", "5", "up", "p"):
            app.post_message(Key(key, {"full_stop": "."}.get(key, key if len(key) == 1 else None)))
        await settled(pilot, app)
        await until(pilot, lambda: len(lens._pins) == 1)
        expected = replace(HOT, temperature=1.7, top_h=0.5)
        assert lens._pins == [expected]


async def test_a_greedy_step_is_exact_without_the_model() -> None:
    app = make_app(options=replace(OPTIONS, settings=SamplingSettings()))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await pilot.press("q", "q")
    reopened = continue_session("")
    app = make_app(options=options_for(reopened, OpenOptions()), opened=reopened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "left", "left", "s")
        first = app.controller.queries.distribution().logprob(0)
        figures = part(app, "#figures")
        assert re.search(r"entropy nats .* 0\.0000\n", figures)
        assert re.search(r"perplexity .* 1\.00\n", figures)
        assert re.search(rf"mass removed .* {re.escape(percent(1 - math.exp(first)))}\n", figures)
        assert re.search(rf"KL to model .* {-first:.4f}\n", figures)


async def test_enter_takes_a_typed_number_and_a_second_one_applies() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        assert "0…9 type a number" in screen_text(app)
        assert "⏎ apply and close" in screen_text(app)
        await pilot.press(*"1.5")
        await settle(pilot)
        assert "⏎ takes 1.5 ⏎⏎ applies it and closes ⌫ rubs out" in screen_text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, SamplerLensScreen), "the next key still is the lens's"
        assert app.screen._now().temperature == 1.5
        assert app.controller.explorer.settings == HOT
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, SamplerLensScreen))
        assert app.controller.explorer.settings.temperature == 1.5


@pytest.mark.parametrize("cells", [1, 2, 5, 11, 20, 59, 60, 61, 200, 298])
@pytest.mark.parametrize("points", [1, 2, 9, 10, 11, 30])
def test_ranks_are_marked_at_equal_cells(cells: int, points: int) -> None:
    axis = rank_axis(cells, points)
    at = [(tick - axis.low) / (axis.high - axis.low) * cells for tick in axis.ticks]
    assert len({round(b - a, 6) for a, b in pairwise(at)}) <= 1
    assert all(round(b - a, 6).is_integer() for a, b in pairwise(at))
    first = (1 - axis.low) / (axis.high - axis.low) * cells
    assert first == pytest.approx(0.5), "rank 1 in its cell"
    if (cells - 1) * 5 > points * 5:
        assert axis.high >= points


@pytest.mark.parametrize("cells", [1, 2, 5, 17, 40, 90])
@pytest.mark.parametrize("top", [1.0, 0.476, 0.0999, 0.1, 3e-4, 6.6e-6, 1e-6])
def test_probabilities_are_marked_at_equal_cells(cells: int, top: float) -> None:
    axis = height_axis(cells, top)
    scale = cells / (axis.high - axis.low)
    assert 0 < -axis.low * scale < 0.25, "0 is in the lowest row of dots, not under the frame"
    assert (top - axis.low) * scale <= cells
    apart = {round((b - a) * scale, 6) for a, b in pairwise(axis.ticks)}
    assert len(apart) <= 1
    assert all(cells.is_integer() for cells in apart)
    labels = _Probabilities().get_labels_for_ticks(axis.ticks)
    assert all(len(label) <= 6 for label in labels)
    assert [float(label) for label in labels] == pytest.approx(list(axis.ticks))


@pytest.mark.usefixtures("each_frame")
async def test_what_is_almost_zero_is_drawn_to_the_last_rank() -> None:
    app = make_app(options=replace(OPTIONS, settings=SamplingSettings(1.0)))
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        await pilot.press(*"0.15", "enter")
        await settled(pilot, app)
        lens = app.screen
        assert lens._columns()[-1].effect.probability_view[29] < 1e-5
        plot = lens.query_one("#plot", Canvas)
        lowest = plot.size.height - 2
        marked = [plot.get_pixel(x, lowest)[0] for x in range(5, plot.size.width - 1)]
        assert all("⠀" < mark <= "⣿" for mark in marked)
