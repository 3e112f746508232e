"""Where tokens begin, and what tokens with parts of characters lead to, on the main screen."""

from support.app import make_app, press, screen_text, until
from textual.widgets import Input

from tokexplore.models.api.options import PromptSpec
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Sheet


def options(text: str) -> AppOptions:
    return AppOptions(prompt=PromptSpec(text=text), max_new_tokens=3)


async def test_a_character_over_three_tokens_is_told_in_inspector_and_rows() -> None:
    app = make_app(options=options("the 你好"))
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "home", "left", "left", "left", "left")
        texts = []
        for _ in range(3):
            await press(pilot, "i")
            assert isinstance(app.screen, Sheet)
            texts.append(screen_text(app))
            await press(pilot, "q", "right")
        assert "U+4000 to U+4FFF, mostly CJK: 一" in texts[0]
        assert "你 U+4F60, with the 2 tokens after it" in texts[0]
        assert "after E4: U+4F40 to U+4F7F" in texts[1]
        assert "你 U+4F60, with the 2 tokens before it" in texts[2]
        await press(pilot, "left")
        assert app.controller.explorer.taken is not None
        assert "<A0> = 你" in screen_text(app), "it is the most probable one there"
        await press(pilot, "slash")
        app.screen.query_one(Input).value = "\ufffd"
        await until(pilot, lambda: "<A0> = 你" in screen_text(app))


async def test_boundaries_are_kept_with_how_the_screen_shows_things() -> None:
    app = make_app(options=options("the 你好"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        assert "begins a token" not in screen_text(app)
        await press(pilot, "vertical_line")
        assert "_ begins a token" in screen_text(app)
        assert "··你好" in screen_text(app)
        state = app._browse.shown_as()
        assert state.boundaries
        again = make_app(options=options("the 你好"))
    again.sessions.screen_state = state
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "··你好" in screen_text(again))
        await press(pilot, "vertical_line")
        assert "··你好" not in screen_text(again)
        assert "begins a token" not in screen_text(again)
