"""An engine that lists the first candidates of a step, and gives all of them when asked."""

import re

import msgspec
import pytest
from support.app import (
    LENGTH,
    PROMPT,
    TokexploreApp,
    make_app,
    press,
    screen_text,
    until,
)
from support.fake_engine import FakeEngine
from support.first_candidates import LISTED, FirstCandidates
from support.lived import SIZE, ended
from textual.widgets import Static

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.inspect import inspect_sheet
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.widgets.candidates import CandidateTable

ROWS = FakeEngine().vocabulary.rows
OPTIONS = AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=LENGTH)


def giving_app(**more: object) -> tuple[TokexploreApp, FirstCandidates]:
    engine = FirstCandidates(abilities={"on_demand": True, "forced_tokens": True})
    return make_app(options=msgspec.structs.replace(OPTIONS, **more), engine=engine), engine


def here(app: TokexploreApp) -> Distribution | None:
    return app.controller.explorer.tree.distribution.get(app.controller.explorer.before)


def whole(app: TokexploreApp) -> bool:
    told = here(app)
    return told is not None and told.complete


async def test_what_was_not_listed_comes_when_the_cursor_goes_past_the_last() -> None:
    app, engine = giving_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left")
        assert "more: ↓ asks for them" in screen_text(app)
        listed = here(app)
        assert listed is not None
        assert not listed.complete
        while app.controller.explorer.row < LISTED - 1:
            await press(pilot, "down")
        assert not whole(app)
        await press(pilot, "down")
        await until(pilot, lambda: whole(app))
        explorer = app.controller.explorer
        ids = explorer.tree.ids(explorer.before)
        assert here(app) == msgspec.structs.replace(
            engine._model.describe(ids), seconds=here(app).seconds
        )
        text = screen_text(app)
        assert "asks for them" not in text
        assert re.search(r"H \d+\.\d\d nats", text)
        await press(pilot, *["pagedown"] * 20)
        await until(pilot, lambda: explorer.row > LISTED)
        page = app.screen.query_one(CandidateTable)._page
        assert page is not None
        assert page.total == ROWS
        told = str(inspect_sheet(app.controller, None, None)._content)
        assert "as listed at first" in told
        assert re.search(r"logprobs at most \S+ nats apart, over 20 candidates", told)
    assert engine.asked == []


async def test_a_step_that_is_only_looked_at_is_not_asked_for() -> None:
    app, _ = giving_app()
    async with app.run_test(size=(SIZE[0], 60)) as pilot:  # more rows than are listed
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "left", "up", "right")
        tree = app.controller.explorer.tree
        assert not any(map(tree.distribution.is_complete, range(len(tree))))


async def test_the_lens_is_exact() -> None:
    app, _ = giving_app(settings=SamplingSettings(temperature=0.9, top_p=0.95, seed=3))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "s")
        lens = app.screen
        assert isinstance(lens, SamplerLensScreen)
        await until(pilot, lambda: lens._columns()[-1].effect is not None)
        figures = str(lens.query_one("#figures", Static).render())
        assert re.search(r"^entropy nats +\d", figures, re.MULTILINE)
        assert "bounds" not in figures
        await press(pilot, "d")
        await until(pilot, lambda: bool(lens._step.draws))


async def test_a_search_looks_at_the_whole_vocabulary() -> None:
    app, engine = giving_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "slash")
        await until(pilot, lambda: isinstance(app.screen, FindToken))
        await press(pilot, "a")
        await until(pilot, lambda: whole(app))
        explorer = app.controller.explorer
        truth = engine._model.search(explorer.tree.ids(explorer.before), "a", 50)
        found = await app.controller.queries.search(explorer.before, "a", 50)
        assert (found.ids, found.total, found.of) == (truth.ids, truth.total, 0)


async def test_a_token_that_is_not_listed_gets_its_rank() -> None:
    app, engine = giving_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left")
        explorer = app.controller.explorer
        before = explorer.before
        ids = explorer.tree.ids(before)
        order = memoryview(engine._model.rows(ids, 0, ROWS).ids).cast("I")
        await app.controller.take(order[LISTED + 30], before)
        node = explorer.tree.child(before, order[LISTED + 30])
        assert node is not None
        assert explorer.tree.rank[node] == LISTED + 31
        assert explorer.tree.logprob[node] == pytest.approx(
            engine._model.standings(ids, [order[LISTED + 30]])[0].logprob, abs=1e-6
        )


async def test_an_error_is_told_and_can_be_tried_again() -> None:
    app, engine = giving_app()
    engine.describe = _once(engine.describe)  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", *["down"] * LISTED)
        await until(pilot, lambda: bool(app._notifications))
        assert any("no answer" in n.message for n in app._notifications)
        assert not whole(app)
        await press(pilot, "down")
        await until(pilot, lambda: whole(app))


def _once(describe):  # type: ignore[no-untyped-def]
    """Raises the first time."""
    from tokexplore.models.errors import ServerError

    failed = []

    def asked(ids, *, whole=False):  # type: ignore[no-untyped-def]
        if whole and not failed:
            failed.append(1)
            raise ServerError("the server gave no answer.")
        return describe(ids, whole=whole)

    return asked
