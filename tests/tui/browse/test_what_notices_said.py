"""What a notice says and has to be known later is on the screen, or in the inspector."""

import threading

from support.app import PROMPT, during, make_app, press, screen_text, settle, until
from support.lived import OPTIONS, lived, reopened

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.inspect import inspect_sheet
from tokexplore.tui.screens.terms import TermsSheet

WAITS = "what was typed waits for the model"


def ended(app: TokexploreApp) -> bool:
    return app.controller.state == "paused" and bool(app.controller.explorer.tree.ended)


def inspector(app: TokexploreApp) -> str:
    return inspect_sheet(app.controller, None, None, app.notices.past)._content.plain


async def test_what_is_to_be_known_of_a_prompt_stays_with_its_path_and_with_the_session() -> None:
    spec = PromptSpec(text="Once upon", notice="a byte order mark at the head is left out")
    app = make_app(options=AppOptions(prompt=spec, max_new_tokens=4))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ended(app))
        assert "branch 1 of 1 · remarks (i)" in screen_text(app)
        said = "remark            a byte order mark at the head is left out."
        assert said in inspector(app)
        await press(pilot, "equals_sign")
        assert isinstance(app.screen, TermsSheet)
        assert "something is to be known of the prompt" in app.screen.text().plain
        await press(pilot, "equals_sign", "p")
        await pilot.press("ctrl+u", *"the king", "enter")
        await until(pilot, lambda: ended(app) and len(app.controller.explorer.listed()) == 2)
        assert "remarks (i)" not in screen_text(app)
        assert said not in inspector(app)
        await press(pilot, "o")
        assert said in inspector(app)
        await app.action_quit()
    again = reopened()
    async with again.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "remarks (i)" in screen_text(again)
        assert said in inspector(again)


async def test_why_the_engine_was_lost_and_that_a_prompt_waits() -> None:
    app = make_app(
        options=AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=4), failures={8: "die"}
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "lost")
        why = app.controller.engine_life.why_lost
        assert why
        assert f"lost              {why.split()[0]}" in inspector(app)
        await press(pilot, "p")
        await pilot.press("ctrl+u", *"the king", "enter")
        await until(pilot, lambda: WAITS in screen_text(app))
        await press(pilot, "space")
        await until(pilot, lambda: len(app.controller.explorer.tree.branches) == 2)
        assert WAITS not in screen_text(app)


async def test_a_prompt_typed_while_the_model_loads_is_told_of_as_long_as_it_loads() -> None:
    gate = threading.Semaphore(0)
    load = LoadOptions(model="other")
    app = make_app(options=AppOptions(load=load, max_new_tokens=4), load_gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        await pilot.press("ctrl+g")
        await during(pilot, lambda: "a prompt can be typed meanwhile" in screen_text(app))
        await pilot.press("p")
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        await pilot.press(*"the king", "enter")
        await during(pilot, lambda: WAITS in screen_text(app))
        gate.release(20)
        await until(pilot, lambda: ended(app))
        assert "the king" in app.controller.explorer.text()
        assert WAITS not in screen_text(app)
        assert app.controller.engine_life.why_lost == ""


async def test_how_a_model_is_not_as_recorded() -> None:
    await lived()
    again = reopened(dtype="bfloat16")
    async with again.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "space")
        await until(pilot, lambda: bool(again.controller.engine_life.differs))
        assert "not as recorded   " in inspector(again)
        assert "bfloat16" in " ".join(again.controller.engine_life.differs)


async def test_typed_text_and_draws_have_their_figures() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "right", "r")
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "right")
        assert "number 2 of 2 here" in inspector(app)
        await press(pilot, "t")
        await pilot.press(*" king queen", "enter")
        await until(pilot, lambda: any("typed" in said for said in app.notices.past))
        told = next(said for said in app.notices.past if "tokens typed" in said)
        figures = told.partition(" them ")[2].rstrip(".")
        assert figures.split(",")[0] in inspector(app)
        await press(pilot, "right")
        assert f"typed text        2 tokens, {figures}" in inspector(app)


async def test_the_last_notices_can_be_read_again() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ended(app))
        for number in range(20):
            app.say(f"notice {number}")
            await pilot.pause()
        app.say("notice 12")
        await settle(pilot)
        text = inspector(app).partition("Notices, the latest first")[2]
        numbers = [int(line.split()[1]) for line in text.splitlines() if "notice" in line]
        assert numbers == [12, 19, 18, 17, 16, 15, 14, 13, 11, 10, 9, 8]
        await press(pilot, "i", "end")
        assert "notice 8" in app.screen._content.plain
