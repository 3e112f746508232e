"""What is typed or pasted into an editor is not lost, whatever becomes of it."""

import threading

from support.app import during, make_app, press, screen_text, settle, until
from support.tapes import forget_pauses
from textual.message import Message as Event
from textual.pilot import Pilot
from textual.widgets import Input

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.sessions import SessionPicker
from tokexplore.tui.screens.writing import TextEditor
from tokexplore.tui.terminal.input.key_events import Paste, Reader
from tokexplore.tui.terminal.input.splitter import Pasted, Splitter

LONG = "a king " * 80


def said(app: TokexploreApp) -> str:
    return "\n".join(n.message for n in app._notifications)


def app_of(context: int = 64, prompt: PromptSpec | None = None) -> TokexploreApp:
    prompt = prompt or PromptSpec(text="Once upon a time")
    return make_app(options=AppOptions(prompt=prompt, max_new_tokens=4), context=context)


async def begin(pilot: Pilot[int], app: TokexploreApp) -> None:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)


async def paste(pilot: Pilot[int], text: str) -> None:
    pilot.app.post_message(Paste(Pasted(text, 0, 0, 0, True)))
    await settle(pilot)


async def test_a_prompt_that_is_too_long_stays_in_the_editor() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        nodes = app.controller.explorer.ids()
        await press(pilot, "p", "ctrl+a", "ctrl+k")
        await paste(pilot, LONG)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert app.screen.query_one(Draft).text.endswith(LONG)
        assert "the model's context holds 64" in said(app)
        assert app.controller.explorer.ids() == nodes
        await press(pilot, "ctrl+g")
        assert app.screen is app._browse


async def test_typed_text_and_a_turn_that_are_too_long_stay_too() -> None:
    chat = Chat((Message("user", "Hello"),))
    app = app_of(context=96, prompt=PromptSpec(chat=chat))
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        for key in ("t", "T"):
            await press(pilot, key)
            await paste(pilot, LONG)
            await press(pilot, "enter")
            await until(pilot, lambda: isinstance(app.screen, TextEditor))
            assert app.screen.query_one(Draft).text == LONG
            assert "holds 96" in said(app)
            await press(pilot, "ctrl+g")
            app.clear_notifications()


async def test_a_long_prompt_that_was_typed_while_loading_ends_nothing() -> None:
    gate = threading.Semaphore(0)
    app = make_app(options=AppOptions(max_new_tokens=4), context=64, load_gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("p")
        app.post_message(Paste(Pasted(LONG, 0, 0, 0, True)))
        await pilot.press("enter")
        await during(pilot, lambda: not app.key_queue)
        gate.release(100)
        await until(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert LONG in app.screen.query_one(Draft).text
        assert app.return_code is None


async def test_a_paste_without_an_editor_is_told_and_does_nothing() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        await paste(pilot, "xqq2\r")
        assert "goes into an editor" in said(app)
        assert app.screen is app._browse
        assert len(app.controller.explorer.tree.branches) == 1


async def test_a_paste_that_is_too_large_leaves_what_was_typed() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        await press(pilot, "t", "k")
        for text in ("\n" * 1_000_000, "x" * 600_000):
            await paste(pilot, text)
            assert app.screen.query_one(Draft).text == "k"
            assert f"{len(text):,} characters" in said(app)


async def test_lines_that_a_field_does_not_take_are_told() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        await press(pilot, "B")
        assert isinstance(app.screen, Ask)
        await paste(pilot, "one\ntwo\nthree")
        assert app.screen.query_one(Input).value == "one"
        assert "2 more" in said(app)


def typed(text: str) -> list[Event]:
    """What the driver makes of characters that are typed."""
    reader = Reader()
    return [e for token in Splitter().feed(text.encode(), 0.0) for e in reader.events(token)]


async def test_what_is_typed_is_what_is_read() -> None:
    joined = "a👩\u200d👩b❤\ufe0fc क\u094d\u200dष \u0645\u06cc\u200c\u062e 🇩🇪"
    text = f"{joined} 1\u00a0kg\u3000\u2060\u200e\U000e0067\ue000"
    app = app_of(prompt=PromptSpec(chat=Chat((Message("user", "Hello"),))))
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        for key in ("p", "t", "f"):
            await press(pilot, key, "ctrl+a", "ctrl+k")
            for event in typed(text):
                app.key_queue.receive(event)
            await settle(pilot)
            field = app.focused
            assert isinstance(field, Draft | Input)
            assert (field.text if isinstance(field, Draft) else field.value) == text, key
            assert "DE 1␣kg␣" in screen_text(app), key
            await press(pilot, "ctrl+g")
        forget_pauses(app.recordings.keys)
        tape = app.recordings.keys.tape(app.options, (120, 40))
        assert tape.count(f"Type {text}\n") == 3


async def test_a_dialog_that_is_closed_before_its_answer_breaks_nothing() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(pilot, app)
        for keys, kind in ((("slash", "e", "ctrl+g"), FindToken), (("O", "ctrl+g"), SessionPicker)):
            for key in keys:
                app.simulate_key(key)
            await until(pilot, lambda: not app.key_queue)
            await until(pilot, lambda kind=kind: not isinstance(app.screen, kind))
        await pilot.pause(0.1)
        assert app.return_code is None
