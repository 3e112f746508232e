"""Answers that come when the dialog that asked is no more, and screens that are half there."""

import asyncio
import threading

import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.lived import OPTIONS, SIZE, ended
from textual.screen import Screen

from tokexplore.models.api.options import PromptSpec
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.session_recorder import ScreenState
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.picker import Picker
from tokexplore.tui.screens.typed import PromptDraft, PromptTyped, Typed


def parts_are_gone(screen: Screen[object]) -> None:
    """As between the removal of a dialog's parts and its own."""
    screen._nodes._clear()


@pytest.mark.parametrize("key", ["slash", "t", "p", "O", "M"])
async def test_an_answer_after_the_end_of_its_dialog_is_let_go(key: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, key)
        dialog = app.screen
        if key in "slash t p":
            await pilot.press("e")
        parts_are_gone(dialog)
        if isinstance(dialog, Picker):
            dialog.on_picker_found(Picker.Found(dialog._rows))
            dialog.on_picker_looked(Picker.Looked("nothing"))
            await dialog._list_matching("e").wait()
        for name in ("_show", "_show_tokens"):
            show = getattr(dialog, name, None)
            if show is not None:
                show()
        await asyncio.sleep(0)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not app.key_queue)
        assert app.is_running


@pytest.mark.parametrize(
    ("keys", "drawn"),
    [
        ("s", "_follow"),
        ("b", "_show"),
        ("d", "paint"),
        ("C", "paint"),
        ("D", "paint"),
        ("", "paint"),
    ],
)
async def test_a_screen_without_its_parts_is_not_drawn(keys: str, drawn: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "2")
        await until(pilot, lambda: ended(app))
        if keys:
            await press(pilot, keys)
        screen = app.screen
        if drawn == "_follow":
            drawing = screen._step._ask([])  # type: ignore[attr-defined]
        else:
            drawing = None
            screen._dirty = True
        parts_are_gone(screen)
        if drawing is None:
            getattr(screen, drawn)()
        else:
            await drawing


async def shows(*_: object) -> str:
    return "1 token"


async def test_an_editor_that_is_taken_away_while_it_opens_breaks_nothing() -> None:
    app = make_app(options=OPTIONS)
    turns = (("system", "", -1), ("user", "b", -1), ("assistant", "c", -1))
    typed = PromptTyped("new", "b", {"new": Typed(turns)}, literal=False)
    draft = PromptDraft(typed, PromptTyped("plain", "a", {"new": Typed()}, literal=False))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        for rounds in range(80):
            app.push_screen(
                PromptEditor(
                    PromptSpec(text="a"), shows, shows, lambda _: None, can_chat=True,
                    draft=draft if rounds % 2 else None,
                )
            )  # fmt: skip
            for _ in range(rounds):
                await asyncio.sleep(0)
            app.pop_screen()
            await settle(pilot)


async def test_a_screen_that_is_not_whole_yet_is_recorded_as_it_begins() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        begins = ScreenState(bits=True)
        screen = BrowseScreen(app.controller, app, state=begins)
        app.switch_screen(screen)
        rounds = 0
        while not screen.is_mounted:
            assert screen.shown_as() == begins
            rounds += 1
            await asyncio.sleep(0)
        assert rounds


async def test_the_token_that_was_taken_is_told_before_its_distribution_comes() -> None:
    app = make_app(options=OPTIONS, gate=threading.Semaphore(0))
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await during(pilot, lambda: app.controller.streaming)
        explorer.place(2)
        app._browse.step.paint(None, None)
        assert explorer.taken is not None
        shown = explorer.vocabulary.show(explorer.tree.token[explorer.taken])
        assert f"● {shown} · computing…" in screen_text(app)
        explorer.follow()
        app._browse.step.paint(None, None)
        assert "●" not in screen_text(app)
