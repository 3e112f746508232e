"""Watched tokens: what is shown of them is what the engine says, at every step."""

import math

import pytest
from msgspec.structs import replace
from support.app import make_app, press, screen_text, settle, until

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import FindStandings
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import MOST_WATCHED as MOST
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.presenters.status import watch_parts
from tokexplore.tui.presenters.watchlist import WatchView
from tokexplore.tui.screens.dialog import Ask
from tokexplore.widgets.entropy_strip import EntropyStrip

SIZE = (120, 40)
RARE = 3
"""A byte of the fake vocabulary: never among the stored candidates."""
OPTIONS = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8)


async def idle(pilot, app) -> None:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await settle(pilot)


def told(app) -> str:
    parts = watch_parts(app.controller, app._browse.strip.watch_view, bits=False)
    return " ".join(part.text for part in parts)


def all_known(app) -> bool:
    view = app._browse.strip.watch_view
    return not (app.controller.busy or view.pending or view._missing)


async def assert_true(app) -> None:
    """Every known figure is the engine's, and all of the path that has a distribution is known."""
    controller, view = app.controller, app._browse.strip.watch_view
    nodes, lines = controller.explorer.nodes, view.update(0)
    assert list(lines) == controller.watchlist.tokens
    for index in range(1, len(nodes)):
        ids = controller.explorer.tree.ids(nodes[index - 1])
        found = await controller.link.client.ask(FindStandings(ids, controller.watchlist.tokens))
        for standing in found:
            assert lines[standing.token][index] == pytest.approx(standing.logprob, abs=1e-5)
            assert controller.watchlist.at(nodes[index - 1], standing.token).rank == standing.rank


async def test_a_token_is_followed_at_every_step_whatever_its_rank() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        await press(pilot, "w")
        assert isinstance(app.screen, Ask)
        await pilot.press(*f"id {RARE}", "enter")
        await until(pilot, lambda: RARE in app.controller.watchlist.tokens)
        await press(pilot, "w", "enter")
        await until(pilot, lambda: len(app.controller.watchlist.tokens) == 2)
        await until(pilot, lambda: all_known(app))
        await settle(pilot)
        await assert_true(app)
        assert app._browse.query_one(EntropyStrip).size.height == 4
        here = app.controller.watchlist.at(app.controller.explorer.before, RARE)
        assert f"{here.logprob:.4f} rank {here.rank}" in screen_text(app)


async def test_naming_a_token_again_leaves_it_out() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        for _ in range(2):
            await press(pilot, "w", *f"#{RARE}", "enter")
            await settle(pilot)
        assert app.controller.watchlist.tokens == []
        assert app._browse.query_one(EntropyStrip).size.height == 2


async def test_a_stream_tells_of_watched_tokens_as_it_goes() -> None:
    options = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=8, watch_ids=(RARE,))
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        await until(pilot, lambda: all_known(app))
        await assert_true(app)
        await press(pilot, "home", "3")
        await idle(pilot, app)
        await until(pilot, lambda: all_known(app))
        await assert_true(app)


async def test_no_more_are_watched_than_can_be_shown_and_only_tokens() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        for token in range(2, 2 + MOST):
            await press(pilot, "w", *f"#{token}", "enter")
        for refused, said in (
            ("#40", f"{MOST} tokens are watched"), ("#99999", "99999"), ("zqzq", "tokens (")
        ):  # fmt: skip
            await press(pilot, "w", *refused, "enter")
            assert said in screen_text(app)
            await press(pilot, "ctrl+g")
        assert len(app.controller.watchlist.tokens) == MOST


async def test_the_watch_list_is_there_again_with_the_session_and_without_the_model() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        first = app.controller.queries.distribution().id_view[0]
        for token in (first, RARE):
            await press(pilot, "w", *f"#{token}", "enter")
            await settle(pilot)
        await pilot.press("q", "q")
    opened = continue_session("")
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert app.controller.watchlist.tokens == [first, RARE]
        lines = app._browse.strip.watch_view.update(0)
        assert not all(map(math.isnan, lines[first]))
        assert all(map(math.isnan, lines[RARE])), "what is not recorded is blank"
        assert "…" not in told(app)
        assert told(app).endswith("·"), "nobody is asked for it"


async def test_a_long_path_is_looked_at_in_pieces_and_near_the_cursor_first(monkeypatch) -> None:
    monkeypatch.setattr("tokexplore.tui.presenters.watchlist.AT_ONCE", 3)
    app = make_app(options=replace(OPTIONS, watch_ids=(RARE,)))
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot, app)
        await until(pilot, lambda: all_known(app))
        view, cursor = WatchView(app.controller), app.controller.explorer.cursor
        line = view.update(0)[RARE]
        known = [index for index in range(len(line)) if not math.isnan(line[index])]
        assert 0 < len(known) <= 3
        assert max(abs(index - cursor) for index in known) <= 2
        assert view.pending
        count = len(line)
        for _ in range(count):
            view.update(count)
        assert not view.pending
        assert not any(map(math.isnan, view.update(count)[RARE][1:]))


async def test_more_on_the_command_line_than_can_be_shown_are_refused() -> None:
    app = make_app(options=replace(OPTIONS, watch_ids=(1, 2, 3, 4, 5)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.return_code == 2)
