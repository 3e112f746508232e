"""The map: its keys at both sizes, what it tells, what it leaves out, and many nodes."""

import math
import random
import re
import threading
from itertools import pairwise

import msgspec
import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.exports import HOSTILE
from textual.pilot import Pilot

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Hidden
from tokexplore.models.tree.icicle import Icicle, logprob_since
from tokexplore.models.tree.subtree import Subtree
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.presenters.map import WIDTHS, MapLook, _heads, subtree_words
from tokexplore.tui.presenters.terms import terms_in
from tokexplore.tui.screens.map import MapScreen
from tokexplore.tui.terminal.shown import shown_strips
from tokexplore.widgets.icicle import IcicleMap
from tokexplore.widgets.numbers import probability_text

OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon"), max_new_tokens=6, ignore_eos=True,
    settings=SamplingSettings(temperature=0),
)  # fmt: skip
SIZES = [(120, 40), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES)


async def forked(pilot: Pilot[int]) -> TokexploreApp:
    """Three branches of the first step, one of which forks again; the first one is in view."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    for keys in (("home", "2"), ("home", "right", "2"), ("home", "3")):
        await press(pilot, *keys)
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    app.controller.explorer.switch(1)
    await press(pilot, "home")
    return app


async def mapped(pilot: Pilot[int]) -> tuple[TokexploreApp, MapScreen]:
    """The map of it."""
    app = await forked(pilot)
    await press(pilot, "I")
    assert isinstance(app.screen, MapScreen)
    return app, app.screen


def token(app: TokexploreApp, node: int) -> str:
    explorer = app.controller.explorer
    return explorer.vocabulary.show(explorer.tree.token[node])


@both_sizes
async def test_it_opens_on_the_token_under_the_cursor_and_tells_of_it(
    size: tuple[int, int],
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, screen = await mapped(pilot)
        explorer = app.controller.explorer
        tree, node = explorer.tree, explorer.nodes[explorer.first_step]
        assert screen.place.cursor == node
        assert screen.place.start == screen.place.focus == tree.parent[node]
        text = screen_text(app)
        assert f"map · after “{token(app, screen.place.start)}”" in text
        own, figures = (
            probability_text(tree.logprob[node]),
            tree.distribution.figures(tree.parent[node]),
        )
        assert figures is not None
        line = next(row for row in text.splitlines() if "surprisal " in row and "rank" in row)
        assert line.split(" · ")[:2] == [
            f" {token(app, node)}  step 1", own
        ]  # fmt: skip
        assert (
            f"surprisal {-tree.logprob[node]:.2f} nats · rank 1 · H {figures.entropy:.2f} nats"
            in line
        )
        assert f"path {own} of the map · +{-tree.logprob[node] / math.log(2):.1f} bits" in text
        assert "╱╱╱╱" in text


@both_sizes
async def test_arrows_go_along_the_path_and_up_and_down(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, screen = await mapped(pilot)
        tree, nodes = app.controller.explorer.tree, app.controller.explorer.nodes
        first = screen.place.cursor
        shares = [share.node for share in Icicle(tree, nodes).after(tree.parent[first]).shares]
        assert len(shares) == 3
        at = shares.index(first)
        await press(pilot, *["up"] * at)
        assert screen.place.cursor == shares[0]
        await press(pilot, "up")
        assert screen.place.cursor == shares[0], "there is none above"
        for node in shares[1:]:
            await press(pilot, "down")
            assert screen.place.cursor == node
        await press(pilot, "j")
        assert screen.place.cursor == shares[-1]
        await press(pilot, *["k"] * (len(shares) - 1 - at))
        assert screen.place.cursor == first
        await press(pilot, "right", "l")
        step = app.controller.explorer.first_step
        assert screen.place.cursor == nodes[step + 2], "right stays on the path in view"
        await press(pilot, "left", "h", "left", "left")
        assert screen.place.cursor == screen.place.focus
        assert "the whole map" in screen_text(app)
        await press(pilot, "right")
        assert screen.place.cursor == first, "and goes where one came from"


async def test_right_goes_back_to_where_left_came_from() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app, screen = await mapped(pilot)
        while screen.place.cursor == screen.icicle.onward(screen.place.focus):
            await press(pilot, "down")
        other = screen.place.cursor
        await press(pilot, "left", "right")
        assert screen.place.cursor == other


@both_sizes
async def test_a_block_becomes_the_whole_height_and_back(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, screen = await mapped(pilot)
        tree, first = app.controller.explorer.tree, screen.place.cursor
        await press(pilot, "right", "enter")
        focus = screen.place.focus
        assert tree.parent[focus] == first
        bits = -logprob_since(tree, screen.place.start, focus) / math.log(2)
        assert f"map · after “{token(app, focus)}” · +{bits:.1f} bits" in screen_text(app)
        await press(pilot, "enter")
        assert screen.place.focus == focus, "it has the whole height already"
        await press(pilot, "right")
        assert "of what has the whole height" in screen_text(app)
        await press(pilot, "enter", "home")
        assert screen.place.focus == screen.place.start
        await press(pilot, "enter", "backspace")
        assert screen.place.focus == screen.place.start
        assert app.screen is screen
        await press(pilot, "backspace")
        assert isinstance(app.screen, BrowseScreen)


@both_sizes
@pytest.mark.parametrize("key", ["q", "I", "escape", "ctrl+g"])
async def test_it_closes(size: tuple[int, int], key: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, _ = await mapped(pilot)
        await press(pilot, key)
        assert isinstance(app.screen, BrowseScreen)


@both_sizes
async def test_colours_and_columns_change(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, screen = await mapped(pilot)
        assert "surprisal  0" in screen_text(app)
        looks = {block.look for block in screen.query_one(IcicleMap)._view.blocks}
        await press(pilot, "c")
        assert "entropy  0" in screen_text(app)
        assert {block.look for block in screen.query_one(IcicleMap)._view.blocks} != looks
        await press(pilot, "c")
        assert "surprisal  0" in screen_text(app)
        before = screen.look.cells
        await press(pilot, "+")
        assert screen.look.cells > before
        await press(pilot, "minus", "minus")
        assert screen.look.cells < before
        await press(pilot, *["minus"] * len(WIDTHS))
        assert screen.look.cells == WIDTHS[0]
        assert screen.look.steps == size[0] // WIDTHS[0]


@pytest.mark.parametrize("cells", WIDTHS)
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_heads_of_columns_have_blanks_between_them(columns: int, cells: int) -> None:
    for first in (0, 1, 7, 93, 985, 9_990):
        look = MapLook(columns, 30, cells)
        heads = _heads(first, look)
        assert len(heads) == look.steps
        ends = [(at * cells, at * cells + len(head)) for at, head in enumerate(heads) if head]
        assert all(end < begin for (_, end), (begin, _) in pairwise([*ends, (columns + 1, 0)]))
        numbers = [int(head) for head in heads if head.isdigit()]
        assert all(heads[number - first] == str(number) for number in numbers)
        gaps = {after - before for before, after in pairwise(numbers)}
        assert len(gaps) == 1
        assert gaps <= {1, 2, 5}
    assert _heads(0, MapLook(120, 30, 9))[:3] == ["prompt", "1", "2"]


async def test_heads_of_narrow_columns_do_not_run_together() -> None:
    options = msgspec.structs.replace(OPTIONS, max_new_tokens=40)
    app = make_app(options=options)
    async with app.run_test(size=(120, 40)) as pilot:
        await mapped(pilot)
        await press(pilot, *["minus"] * len(WIDTHS))
        heads = next(row for row in screen_text(app).splitlines() if "prompt" in row)
        assert heads.split() == ["prompt", *(str(n) for n in range(4, 60, 2))]


@both_sizes
async def test_a_block_is_gone_to_in_the_story(size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        app, screen = await mapped(pilot)
        explorer = app.controller.explorer
        while screen.place.cursor in explorer.nodes:
            await press(pilot, "down")
        await press(pilot, "right")
        node = screen.place.cursor
        await press(pilot, "g")
        await until(pilot, lambda: isinstance(app.screen, BrowseScreen))
        assert explorer.taken == node
        assert explorer.branch is not None
        assert explorer.branch.number == explorer.tree.branch_of[node] != 1


async def test_a_click_stands_on_a_block() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app, screen = await mapped(pilot)
        first = screen.place.cursor
        await pilot.click(IcicleMap, offset=(2, 10))
        await settle(pilot)
        assert screen.place.cursor == screen.place.start != first


async def test_it_grows_with_a_stream() -> None:
    gate = threading.Semaphore(2)
    app = make_app(options=OPTIONS, gate=gate)
    async with app.run_test(size=SIZES[0]) as pilot:
        explorer = app.controller.explorer
        await during(pilot, lambda: len(explorer.nodes) > explorer.prompt_length > 0)
        await pilot.press("I")
        await during(pilot, lambda: isinstance(app.screen, MapScreen))
        screen = app.screen
        assert isinstance(screen, MapScreen)
        assert app.controller.streaming
        gate.release(100)
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, *["right"] * 6)
        assert screen.place.cursor == explorer.leaf
        assert "■ length" in screen_text(app)


async def test_hidden_branches_are_on_no_map_and_the_cursor_leaves_them() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app, screen = await mapped(pilot)
        explorer = app.controller.explorer
        while screen.place.cursor in explorer.nodes:
            await press(pilot, "down")
        gone = screen.place.cursor
        await press(pilot, "right", "enter")
        explorer.tree.history.change(Hidden(explorer.tree.branch_of[gone]))
        app.changed()
        await settle(pilot)
        assert screen.place.focus == screen.place.start
        assert screen.place.cursor == screen.place.start
        shown = {block.key for block in screen.query_one(IcicleMap)._view.blocks}
        assert gone not in shown


async def test_a_prompt_of_its_own_has_its_own_map() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[1]) as pilot:
        app, screen = await mapped(pilot)
        await press(pilot, "tab")
        assert any("one prompt" in n.message for n in app._notifications)
        await press(pilot, "q")
        await app.controller.prompt(PromptSpec(text="The king"))
        await app.controller.streams.finished()
        await settle(pilot)
        await press(pilot, "I")
        screen = app.screen
        assert isinstance(screen, MapScreen)
        assert "prompt 1 of 2" in screen_text(app)
        begin = screen.place.start
        await press(pilot, "tab")
        assert "prompt 2 of 2" in screen_text(app)
        other = screen.place.start
        assert other != begin
        assert app.controller.explorer.prompt_length == app.controller.explorer.tree.depth[begin]
        await press(pilot, "tab")
        assert screen.place.start == begin


async def test_what_is_not_known_is_told_so() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app = await forked(pilot)
        explorer = app.controller.explorer
        start = explorer.nodes[explorer.first_step - 1]
        node = explorer.tree.take(start, 77, "typed")
        explorer.tree.take(node, 78, "typed", logprob=-0.5, rank=1)
        await press(pilot, "I")
        screen = app.screen
        assert isinstance(screen, MapScreen)
        while screen.place.cursor != node:
            await press(pilot, "down")
        text = screen_text(app)
        assert "step 1 · probability ? · H " in text
        assert "path: probability ? · +? bits" in text
        assert "····" in text
        await press(pilot, "right", "enter")
        assert f"after “{token(app, screen.place.focus)}” · +? bits" in screen_text(app)


@pytest.mark.parametrize("size", [*SIZES, (60, 15)])
async def test_hostile_tokens_and_sizes_break_no_line(size: tuple[int, int]) -> None:
    options = AppOptions(prompt=PromptSpec(text="Once"), max_new_tokens=1)
    app = make_app(options=options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        explorer = app.controller.explorer
        tokens = [explorer.vocabulary.bytes_of(t) for t in range(len(explorer.vocabulary))]
        tokens[-len(HOSTILE) :] = HOSTILE
        explorer.vocabulary = type(explorer.vocabulary).pack(tokens, [0], len(tokens))
        start = explorer.nodes[explorer.first_step - 1]
        for number in range(len(HOSTILE)):
            hostile = len(tokens) - 1 - number
            explorer.tree.take(start, hostile, "picked", logprob=-1.0 - number / 4, rank=2)
        await press(pilot, "I", "home")
        for _ in range(len(HOSTILE) + 1):
            await press(pilot, "down")
            assert all(line.isprintable() for line in screen_text(app).splitlines())
        for strip in shown_strips(app):
            assert sum(segment.cell_length for segment in strip) == size[0]


async def test_ten_thousand_nodes_are_walked_by_keys() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app = await forked(pilot)
        tree, chance = app.controller.explorer.tree, random.Random(0)
        start = app.controller.explorer.nodes[app.controller.explorer.first_step - 1]
        nodes = [start]
        while len(tree) < 10_000:
            parent = nodes[int(chance.random() ** 2 * len(nodes))]
            if len(tree.children[parent]) < 8:
                place = len(tree.children[parent])
                nodes.append(tree.take(parent, 500 + place, "picked", logprob=-1 - place, rank=2))
        await press(pilot, "I", "home", "left")
        screen = app.screen
        assert isinstance(screen, MapScreen)
        count = len(tree) - 1 - tree.depth[start]
        assert f"{count:,} tokens after it" in screen_text(app)
        visited = {screen.place.cursor}
        for key in ("right", "right", "down", "down", "right", "right", "up", "down", "enter",
                    "right", "right", "left", "down"):  # fmt: skip
            await press(pilot, key)
            visited.add(screen.place.cursor)
            assert screen.icicle.holds(screen.place.focus, screen.place.cursor)
        assert len(visited) > 8


async def test_there_is_no_map_before_there_is_a_step() -> None:
    app = make_app(options=AppOptions(load=LoadOptions("other")))
    async with app.run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: app.controller.state == "asking")
        await press(pilot, "ctrl+g", "I")
        assert not isinstance(app.screen, MapScreen)
        assert any("No step yet" in n.message for n in app._notifications)


async def test_what_it_shows_is_explained() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app, _ = await mapped(pilot)
        await press(pilot, "right", "enter", "right")
        found = {term.name for term in terms_in(screen_text(app))["Map"]}
        assert found >= {
            "map", "╱╱╱", "+5.3 bits", "path 3.1% of the map", "of what has the whole height",
            "tokens after it", "mass of a block", "mean H",
        }  # fmt: skip


def test_a_mass_is_told_however_small_it_is() -> None:
    words = subtree_words(Subtree(1850, 2, -1396.0, 0, 1.0), bits=False)
    assert words[1] == f"mass {probability_text(-1396.0)}"
    assert words[1].endswith("e-607")


async def test_the_inspector_and_the_list_have_the_sums() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZES[0]) as pilot:
        app = await forked(pilot)
        await press(pilot, "i")
        assert "after it" not in screen_text(app), "one path has no sums"
        await press(pilot, "q", "left", "i")
        text = screen_text(app)
        assert re.search(r"explored +\d+ tokens after it, 4 paths · mass \S+ · mean H \d", text)
        await press(pilot, "q", "b")
        text = screen_text(app)
        tree = app.controller.explorer.tree
        assert "mass" in text
        for branch in tree.branches:
            total = math.fsum(tree.logprob[node] for node in nodes_of(app, branch.head))
            assert probability_text(total) in text


def nodes_of(app: TokexploreApp, head: int) -> list[int]:
    """The generated tokens of a branch from its first one on."""
    tree = app.controller.explorer.tree
    nodes, at = [], head
    while True:
        if tree.origin[at] != "prompt":
            nodes.append(at)
        if not tree.children[at]:
            return nodes
        at = tree.children[at][0]
