"""Many futures of a step at once: each lane is the stream that it would be alone."""

import re
import threading
import time

import msgspec
import pytest
from msgspec.structs import replace
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_vocabulary import EOS, USER
from textual.pilot import Pilot

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Bookmarked, Hidden
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.futures import Choice, asked_choice
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.futures import FuturesScreen
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.compare import CompareView

TEXT = "Once upon a time there was"
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])
OPTIONS = AppOptions(prompt=PromptSpec(text=TEXT), max_new_tokens=12, ignore_eos=True)
SAMPLED = AppOptions(
    prompt=PromptSpec(text=TEXT), max_new_tokens=12, ignore_eos=True,
    settings=SamplingSettings(temperature=0.9, seed=5),
)  # fmt: skip


def told(app: TokexploreApp) -> list[str]:
    return [notice.message for notice in app._notifications]


async def ready(pilot: Pilot[int], app: TokexploreApp) -> None:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home")


async def opened(pilot: Pilot[int], app: TokexploreApp, *typed: str) -> FuturesScreen:
    await ready(pilot, app)
    await press(pilot, "F", *typed, "enter")
    await until(pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.lanes)
    assert isinstance(app.screen, FuturesScreen)
    return app.screen


async def ended(pilot: Pilot[int], screen: FuturesScreen) -> None:
    await until(pilot, lambda: not screen.futures.live)
    await settle(pilot)


@SIZES
@pytest.mark.parametrize("options", [OPTIONS, SAMPLED], ids=["greedy", "sampled"])
async def test_a_lane_is_token_for_token_the_stream_that_it_would_be_alone(
    size: tuple[int, int], options: AppOptions
) -> None:
    app = make_app(options=options)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        futures, tree = screen.futures, screen.explorer.tree
        ids = tuple(tree.ids(futures.node))
        candidates = tree.distribution[futures.node].id_view[:4]
        assert [tree.token[lane.head] for lane in futures.lanes] == list(candidates)
        engine = FakeEngine()
        for lane in futures.lanes:
            request = StreamRequest(
                (*ids, tree.token[lane.head]), screen.explorer.settings, 12,
                prompt_length=len(ids), ignore_eos=True,
            )  # fmt: skip
            drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
            alone = [event.standing.token for event in drawn]
            got = [tree.token[node] for node in lane.nodes[1:]]
            assert got == alone[: len(got)]
            assert len(got) >= 11, "the one that was there was generated before"
            total = sum(tree.logprob[node] for node in lane.nodes)
            assert lane.logprob == pytest.approx(total)
            assert f"Σ {total:.2f}" in screen_text(app) or size == (80, 24)


@SIZES
async def test_lanes_are_held_and_go_on_all_or_one(size: tuple[int, int]) -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        gate.release(6)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        assert "▶" in screen_text(app)
        await press(pilot, "space")
        assert not screen.futures.live
        held = [len(lane.nodes) for lane in screen.futures.lanes]
        gate.release(500)
        await settle(pilot)
        assert [len(lane.nodes) for lane in screen.futures.lanes] == held
        await press(pilot, "down", "s")
        await ended(pilot, screen)
        now = [len(lane.nodes) for lane in screen.futures.lanes]
        assert [n for n, (a, b) in enumerate(zip(held, now, strict=True)) if a != b] == [1]
        await press(pilot, "space")
        await ended(pilot, screen)
        assert all(
            b > a for a, b in zip(held, (len(x.nodes) for x in screen.futures.lanes), strict=True)
        )


async def test_a_lane_becomes_the_path_while_the_others_go_on() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        gate.release(9)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        futures = screen.futures
        await press(pilot, "down", "down", "enter")
        assert isinstance(app.screen, BrowseScreen)
        lane = futures.lanes[2]
        assert screen.explorer.nodes[-1] == lane.leaf
        assert app.controller.streaming
        assert len(app.controller.live_leaves) == 3
        assert screen_text(app).count("▶") >= 3, "the branch list shows which are live"
        gate.release(500)
        await until(pilot, lambda: not app.controller.live_leaves)
        assert screen.explorer.nodes[-1] == futures.lanes[2].leaf, "the path grew with it"
        assert all(len(lane.nodes) == 13 for lane in futures.lanes[1:])


async def test_space_on_the_main_screen_holds_the_lane_in_view_alone() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        await press(pilot, "down", "enter")
        before = len(app.controller.live_leaves)
        await press(pilot, "space")
        assert not app.controller.streaming
        assert len(app.controller.live_leaves) == before - 1
        gate.release(500)
        await press(pilot, "space")
        await until(pilot, lambda: not app.controller.live_leaves)


@SIZES
async def test_a_dropped_lane_is_a_hidden_branch_that_undo_brings_back(
    size: tuple[int, int],
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        lane = screen.futures.lanes[1]
        number = screen.explorer.tree.branch_of[lane.head]
        await press(pilot, "down", "x")
        assert lane not in screen.futures.lanes
        assert screen.explorer.tree.branch(number).hidden
        await press(pilot, "q", "u")
        assert not screen.explorer.tree.branch(number).hidden


@SIZES
@pytest.mark.parametrize("count", [3, 5])
async def test_every_lane_in_view_tells_why_it_ended_and_its_sum_whole(
    size: tuple[int, int], count: int
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app, str(count))
        await ended(pilot, screen)
        shown = screen_text(app)
        for lane in screen.futures.lanes:
            total, mean = lane.logprob, screen.futures.mean(lane)
            assert f"length · Σ {total:.2f} · {mean:.2f}/tok" in shown


async def test_pages_bring_lanes_into_view_that_have_no_room() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app, *"16")
        await ended(pilot, screen)

        def places() -> list[int]:
            return [int(n) for n in re.findall(r"^ *›? *(\d+) ■", screen_text(app), re.MULTILINE)]

        await until(pilot, lambda: places() == [1, 2, 3, 4, 5])
        assert "5 of 16 futures in view" in screen_text(app)
        await press(pilot, "pagedown")
        await until(pilot, lambda: places() == [6, 7, 8, 9, 10])
        await press(pilot, "pagedown", "pagedown")
        await until(pilot, lambda: places() == [12, 13, 14, 15, 16])
        assert screen.lane is screen.futures.lanes[15]
        await press(pilot, "pageup", "pageup", "pageup")
        await until(pilot, lambda: places() == [1, 2, 3, 4, 5])


async def test_lanes_are_sorted_and_the_cursor_stays_with_its_lane() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        futures = screen.futures
        await press(pilot, "down")
        here = screen.lane
        await press(pilot, "o", "o")
        assert futures.order == "mean"
        means = [futures.mean(lane) for lane in futures.lanes]
        assert means == sorted(means, reverse=True)
        assert screen.lane is here
        assert "by nats a token" in screen_text(app)


async def test_the_cursor_stays_with_its_lane_while_others_overtake_it() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "F", *"8", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        assert "▶" in screen_text(app).splitlines()[0], "the header tells of the lanes"
        await press(pilot, "o", "o", "down", "down")
        here, before = screen.lane, list(screen.futures.lanes)
        gate.release(500)
        await ended(pilot, screen)
        after = screen.futures.lanes
        assert here is not None
        assert here is before[2]
        assert after[2] is not here, "others have overtaken it"
        assert screen.lane is here
        assert "›" in next(
            line for line in screen_text(app).splitlines()
            if f" {here.number} ■" in line
        )  # fmt: skip
        await press(pilot, "x")
        assert here not in screen.futures.lanes
        assert screen.lane in screen.futures.lanes


@SIZES
async def test_lanes_that_say_the_same_by_other_tokens_are_marked_and_folded(
    size: tuple[int, int],
) -> None:
    engine = FakeEngine()
    ids = tuple(engine.encode(TEXT))
    data = engine.vocabulary.bytes_of
    whole, begin, end = (
        next(token for token in range(engine.vocabulary.rows) if data(token) == part)
        for part in (b"King", b"K", b"ing")
    )
    planted = {
        ids: {whole: 40.0, begin: 39.0, begin + 1: 38.0},
        (*ids, begin): {end: 40.0},
        (*ids, begin, end): {EOS: 40.0},
        (*ids, whole): {EOS: 40.0},
    }
    options = AppOptions(prompt=PromptSpec(text=TEXT), max_new_tokens=4)
    app = make_app(engine=FakeEngine(planted=planted), options=options)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app, "3")
        await ended(pilot, screen)
        first, second, third = screen.futures.lanes
        assert screen.futures.twin(second) == 1
        assert screen.futures.twin(first) is screen.futures.twin(third) is None
        assert "eos · = lane 1 · Σ" in screen_text(app)
        await press(pilot, "f")
        assert screen.shown == [first, third]
        await until(pilot, lambda: "= lane 1" not in screen_text(app))
        await press(pilot, "f")
        assert screen.shown == [first, second, third]


async def test_rows_that_are_chosen_are_the_lanes() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "down", "plus", "down", "down", "plus", "down", "plus", "plus", "F")
        await until(pilot, lambda: isinstance(app.screen, FuturesScreen))
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        ids = screen.explorer.tree.distribution[screen.futures.node].id_view
        heads = [screen.explorer.tree.token[lane.head] for lane in screen.futures.lanes]
        assert heads == [ids[1], ids[3]]


def marked(app: TokexploreApp) -> list[int]:
    """The rows (from 0) of the candidate table that are marked as chosen."""
    table = app.screen.query_one(CandidateTable)
    lines = [table.render_line(y).text for y in range(1, table.size.height)]
    return [n for n, line in enumerate(lines) if re.match(r"[› ][●◇ ] *\d+[ =]\+", line)]


@SIZES
async def test_chosen_rows_are_marked_until_they_are_lanes_and_at_their_own_step_alone(
    size: tuple[int, int],
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        assert not marked(app)
        await press(pilot, "plus", "down", "down", "plus", "down", "plus")
        await until(pilot, lambda: marked(app) == [0, 2, 3])
        await press(pilot, "plus")
        await until(pilot, lambda: marked(app) == [0, 2])
        await press(pilot, "right")
        await until(pilot, lambda: not marked(app))
        await press(pilot, "left")
        await until(pilot, lambda: marked(app) == [0, 2])
        await press(pilot, "F")
        await until(pilot, lambda: isinstance(app.screen, FuturesScreen))
        await press(pilot, "q")
        await until(pilot, lambda: isinstance(app.screen, BrowseScreen) and not marked(app))


async def test_choosing_a_row_of_a_live_stream_pauses_it_first() -> None:
    gate = threading.Semaphore(3)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await during(pilot, lambda: app.controller.streaming and len(app.controller.explorer.nodes))
        await press(pilot, "plus")
        assert not app.controller.streaming
        assert not marked(app)
        assert any("press again to choose" in said for said in told(app))
        await press(pilot, "plus")
        await until(pilot, lambda: marked(app) == [0])
        gate.release(100)


async def test_draws_give_a_lane_for_each_token_with_how_often_it_came() -> None:
    app = make_app(options=SAMPLED)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app, *"draws", "space", "8")
        await ended(pilot, screen)
        drawn = FakeEngine().draws(
            screen.explorer.tree.ids(screen.futures.node), screen.explorer.settings, 8
        )
        lanes = {screen.explorer.tree.token[x.head]: x.times for x in screen.futures.lanes}
        assert sum(lanes.values()) == 8
        assert all(drawn.of(token) == times for token, times in lanes.items())
        often = [times for times in lanes.values() if times > 1]
        await until(pilot, lambda: any(f"×{times}" in screen_text(app) for times in often))


async def test_all_above_a_mass_are_lanes_and_what_has_none_is_said() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app, *"2%")
        await ended(pilot, screen)
        tree = screen.explorer.tree
        distribution = tree.distribution[screen.futures.node]
        above = [t for n, t in enumerate(distribution.id_view) if distribution.logprob(n) > -3.912]
        assert [tree.token[lane.head] for lane in screen.futures.lanes] == above[:16]
        assert "of the probability" in screen_text(app)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("4", Choice("first", 4)), ("16", Choice("first", 16)), ("2%", Choice("mass", 0.02)),
        ("draws 6", Choice("draws", 6)), ("6 draws", Choice("draws", 6)),
        ("draws", Choice("draws", 4)),
    ],
)  # fmt: skip
def test_what_can_be_asked(text: str, choice: Choice) -> None:
    assert asked_choice(text) == choice


@pytest.mark.parametrize("text", ["1", "17", "0%", "101%", "-3", "x", "draws 99", "4 4", "\x1b[2J"])
def test_what_cannot_be_asked_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked_choice(text)
    assert "\x1b" not in str(refused.value)


async def test_temperature_0_draws_nothing_and_says_so() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "F", *"17", "enter")
        assert isinstance(app.screen, Ask)
        assert "2 to 16" in screen_text(app)
        await press(pilot, "ctrl+u", *"draws", "enter")
        assert isinstance(app.screen, Ask)
        assert "Temperature 0 draws nothing" in screen_text(app)


async def test_what_no_candidate_has_is_refused_in_the_dialog_and_can_be_mended() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        nodes = len(app.controller.explorer.tree)
        await press(pilot, "F", *"99%", "enter")
        assert isinstance(app.screen, Ask)
        assert "No candidate has 99%" in screen_text(app)
        await press(pilot, "ctrl+g")
        assert isinstance(app.screen, BrowseScreen)
        assert len(app.controller.explorer.tree) == nodes
        await press(pilot, "F", *"99%", "enter", "ctrl+u", "2", "enter")
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        await ended(pilot, screen)
        await press(pilot, "e", *"99%", "enter")
        assert isinstance(app.screen, Ask)
        await press(pilot, "ctrl+g")
        assert len(screen.futures.lanes) == 2


async def test_a_row_too_many_is_not_chosen() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "plus", *["down", "plus"] * 15)
        assert not any("not possible" in said for said in told(app))
        await press(pilot, "down", "plus")
        assert any("16 rows are chosen" in said for said in told(app))
        await press(pilot, "up", "plus", "down", "plus", "F")
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        ids = screen.explorer.tree.distribution[screen.futures.node].id_view
        heads = [screen.explorer.tree.token[lane.head] for lane in screen.futures.lanes]
        assert heads == [*ids[:15], ids[16]]


def ending(options: AppOptions) -> TokexploreApp:
    """After the prompt EOS comes first and the end of a turn third."""
    ids = tuple(FakeEngine().encode(TEXT))
    planted = {ids: {EOS: 40.0, 300: 39.0, USER: 38.0, 301: 37.0}}
    return make_app(engine=FakeEngine(planted=planted), options=options)


async def test_a_lane_whose_token_ends_the_text_is_an_ended_lane_there_before_or_new() -> None:
    options = AppOptions(prompt=PromptSpec(text=TEXT), max_new_tokens=5, stop_ids=(301,))
    app = ending(options)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        tree = app.controller.explorer.tree
        (main,) = tree.branches
        assert tree.ended[main.tip] == "eos"
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        lengths = [len(lane.nodes) for lane in screen.futures.lanes]
        reasons = [screen.futures.ended(lane) for lane in screen.futures.lanes]
        assert (lengths[0], lengths[3]) == (1, 1)
        assert min(lengths[1:3]) > 1, "no chat: the end of a turn is a token as any"
        assert (reasons[0], reasons[3]) == ("eos", "stop")
        assert screen.futures.lanes[0].leaf == main.tip
        await press(pilot, "q", "home", "down", "down", "down", "down", "F", "2", "enter")
        again = app.screen
        assert isinstance(again, FuturesScreen)
        assert [len(lane.nodes) for lane in again.futures.lanes] == lengths[:2]


async def test_at_the_last_step_of_a_path_that_was_cut_short_all_lanes_stream() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "end", "F", "3", "enter")
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        await ended(pilot, screen)
        assert [len(lane.nodes) for lane in screen.futures.lanes] == [13] * 3


async def test_a_new_lane_that_begins_with_eos_is_that_token_unless_eos_is_ignored() -> None:
    ids = tuple(FakeEngine().encode(TEXT))
    for options, length in ((OPTIONS, 13), (msgspec.structs.replace(OPTIONS, ignore_eos=False), 1)):
        planted = {ids: {300: 40.0, EOS: 39.0}}
        app = make_app(engine=FakeEngine(planted=planted), options=options)
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await opened(pilot, app, "2")
            await ended(pilot, screen)
            lane = screen.futures.lanes[1]
            assert screen.explorer.tree.token[lane.head] == EOS
            assert len(lane.nodes) == length
            assert screen.futures.ended(lane) == ("eos" if length == 1 else "length")


@SIZES
@pytest.mark.parametrize("back", [(), ("left",), ("left", "left")])
async def test_lanes_that_fill_the_context_have_ended_and_none_goes_beyond(
    size: tuple[int, int], back: tuple[str, ...]
) -> None:
    room = len(FakeEngine().encode(TEXT)) + 8
    app = make_app(engine=FakeEngine(context=room), options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        tree = app.controller.explorer.tree
        await press(pilot, "end", *back, "F", "3", "enter")
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        await ended(pilot, screen)
        assert [screen.futures.ended(lane) for lane in screen.futures.lanes] == ["context"] * 3
        assert screen_text(app).count("context · ") == 3
        assert [tree.depth[lane.leaf] for lane in screen.futures.lanes] == [room] * 3
        await press(pilot, "space", "s", "down", "s", "enter", "end", "right")
        nodes = len(tree)
        await press(pilot, "F", "3", "enter")
        assert isinstance(app.screen, Ask)
        assert "The context is full" in screen_text(app)
        await press(pilot, "ctrl+g", "plus", "F", "enter")
        assert isinstance(app.screen, BrowseScreen)
        assert "The context is full: branch earlier to go on." in told(app)
        assert len(tree) == nodes
        assert f"ctx {room}/{room}" in screen_text(app)
        assert not any("shorten" in said for said in told(app))


async def test_a_lane_keeps_its_number_when_an_earlier_one_is_left_out() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        first, *_, last = screen.futures.lanes
        await press(pilot, "down", "x")
        await press(pilot, "x")
        assert screen.futures.lanes == [first, last]
        assert (first.number, last.number) == (1, 4)
        assert re.findall(r"[ ›](\d+) ■", screen_text(app)) == ["1", "4"]
        assert "2 futures" in screen_text(app)
        await press(pilot, "x")
        await until(pilot, lambda: re.search(r"\b1 future ", screen_text(app)))


async def test_where_no_lane_says_what_another_says_nothing_is_folded() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        await press(pilot, "f")
        assert "No lane says what another one says." in told(app)
        assert len(screen.shown) == 4


@pytest.mark.parametrize("key", ["u", "x", "U"])
async def test_what_takes_a_lane_out_of_sight_holds_that_one_and_the_others_go_on(key: str) -> None:
    gate = threading.Semaphore(100)
    app = make_app(options=replace(OPTIONS, max_new_tokens=100), gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        gate.release(6)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        tree, (_, *others, last) = screen.explorer.tree, screen.futures.lanes
        if key == "U":
            tree.history.change(Bookmarked(last.head, True))
            tree.history.change(Hidden(tree.branch_of[last.head]))
            tree.history.take_back()
        await press(pilot, "end", *["down"] * 3, "enter")
        assert screen.explorer.on_path(last.head)
        await pilot.press(key)

        def is_gone() -> bool:
            gate.release()  # who is held is told so at its next token
            return is_out_of_sight(tree, last.head)

        await during(pilot, is_gone)
        length = len(screen.futures.lanes[3].nodes)
        assert not last.live
        assert all(lane.live for lane in others)
        gate.release(500)
        await until(pilot, lambda: not app.controller.live_leaves)
        assert [len(lane.nodes) for lane in screen.futures.lanes[1:]] == [101, 101, length]
        assert length < 101
        assert is_out_of_sight(tree, last.head)
        assert not any(is_out_of_sight(tree, lane.leaf) for lane in others)


async def test_lanes_that_were_taken_back_are_taken_again_as_a_fresh_stream_has_them() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        first = await opened(pilot, app, "3")
        await ended(pilot, first)
        tree = app.controller.explorer.tree
        lanes = [list(lane.nodes) for lane in first.futures.lanes]
        await press(pilot, "q", "u", "u")
        assert all(is_out_of_sight(tree, node) for lane in lanes[1:] for node in lane)
        for length in (4, 12):
            app.controller.streams.max_new_tokens = length
            again = await opened(pilot, app, "3")
            await ended(pilot, again)
            now = [list(lane.nodes) for lane in again.futures.lanes]
            assert now == [lanes[0], *(lane[: length + 1] for lane in lanes[1:])]
            assert not any(is_out_of_sight(tree, node) for lane in now for node in lane)
            assert all(is_out_of_sight(tree, n) for lane in lanes[1:] for n in lane[length + 1 :])
            assert len(again.explorer.listed()) == 3
            await press(pilot, "q")
            for lane in lanes[:0:-1]:
                await press(pilot, "u")
                after = f" with {length} tokens after it"
                assert after in told(app)[-1]
                assert all(is_out_of_sight(tree, node) for node in lane)
        assert len(again.explorer.listed()) == 1
        await press(pilot, "U", "U")
        assert not any(is_out_of_sight(tree, node) for lane in lanes for node in lane)


async def test_a_lane_over_a_tree_that_was_taken_back_carries_none_of_its_tokens() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        explorer = app.controller.explorer
        before, tree = explorer.before, explorer.tree
        likely = tree.distribution[before].id_view[1]
        head = explore(tree, before, [likely], "grown", extends=True)
        grown = tree.take(head, 7, "grown")
        await press(pilot, "u")
        assert is_out_of_sight(tree, grown)
        screen = await opened(pilot, app, "2")
        await ended(pilot, screen)
        lane = screen.futures.lanes[1]
        assert (lane.head, len(lane.nodes)) == (head, 13)
        assert grown not in lane.nodes
        assert is_out_of_sight(tree, grown)
        assert not any(is_out_of_sight(tree, node) for node in lane.nodes)


async def test_two_live_lanes_are_compared_as_they_grow() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        gate.release(6)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        assert isinstance(screen, FuturesScreen)
        lanes = screen.futures.lanes[1:3]
        await press(pilot, "down", "m", "down", "m", "q", "d")
        compared = app.screen
        assert isinstance(compared, CompareScreen)
        tree, view = app.controller.explorer.tree, compared.query_one(CompareView)
        numbers = [tree.branch_of[lane.head] for lane in lanes]
        assert sorted(compared.numbers) == sorted(numbers)

        def lengths() -> list[int]:
            return [len(column.cells) for column in view._columns]

        assert all(column.live for column in view._columns)
        before = min(lengths())
        for grown in (before + 1, before + 3):
            gate.release(8)
            await during(pilot, lambda least=grown: min(lengths()) >= least)
            assert all(column.live for column in view._columns)
        gate.release(500)
        await until(pilot, lambda: not app.controller.live_leaves)
        await until(pilot, lambda: lengths() == [13, 13])
        assert not any(column.live for column in view._columns)


async def test_only_the_screen_in_front_is_painted_and_what_it_covered_is_right_when_seen() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        browse = app.screen
        assert isinstance(browse, BrowseScreen)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        await settle(pilot)
        front, painted = app.screen, app.screen._painted_at
        gate.release(6)
        await during(pilot, lambda: front.is_dirty or front._painted_at > painted)
        assert not browse.is_dirty
        gate.release(500)
        await until(pilot, lambda: not app.controller.live_leaves)
        before = browse._painted_at
        app.pop_screen()
        await pilot.pause()
        assert browse._painted_at > before
        assert "▶" not in screen_text(app)


async def test_a_key_is_painted_at_once_however_young_the_last_frame_is() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await ended(pilot, screen)
        screen._painted_at = time.monotonic() + 3600
        await pilot.press("down")
        assert "› 2" in screen_text(app)
        assert not screen.is_dirty


async def test_where_the_engine_is_gone_each_key_that_needs_it_says_so() -> None:
    gate = threading.Semaphore(12)
    app = make_app(options=OPTIONS, engine=(engine := FakeEngine(gate=gate)))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, app)
        await press(pilot, "F", "enter")
        await during(
            pilot, lambda: isinstance(app.screen, FuturesScreen) and app.screen.futures.live
        )
        screen = app.screen
        engine.failures[engine.passes + 1] = "die"
        gate.release()
        await until(pilot, lambda: app.controller.state == "lost")
        said: list[str] = []
        app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
        await press(pilot, "s", "space", "e")
        assert said == ["No model is loaded: space in the main screen does it."] * 3
        assert app.screen is screen
        gate.release(500)
        await press(pilot, "q", "space")
        await until(pilot, lambda: app.controller.state == "paused")
