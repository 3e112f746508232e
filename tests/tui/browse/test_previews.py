"""What an editor shows of a text while it is typed costs the engine no more than it has to, and
what is sent goes ahead of it."""

import threading

from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from textual.widgets import Static

from tokexplore.models.api.chat import Chat, Message, Rendered
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import EngineLostError
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.writing import TextEditor

CHAT = Chat((Message("user", "who was he"),))
SIZE = (120, 40)
LENGTH = 6


class SlowTemplate(FakeEngine):
    """Each rendering takes a permit."""

    def __init__(self, permits: int) -> None:
        super().__init__()
        self.permits = threading.Semaphore(permits)
        self.rendered: list[str] = []
        """The last messages of what was rendered, or is."""

    def render(self, chat: Chat) -> Rendered:
        self.rendered.append(chat.messages[-1].content)
        self.permits.acquire()
        return super().render(chat)


def options() -> AppOptions:
    return AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH)


async def test_of_what_is_typed_while_the_template_renders_the_last_is_shown() -> None:
    engine = SlowTemplate(1)
    app = make_app(options=options(), engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == LENGTH)
        await press(pilot, "T")
        await pilot.press("h")
        await during(pilot, lambda: len(engine.rendered) == 2)
        await pilot.press(*"ello")
        engine.permits.release(2)
        await until(pilot, lambda: "token" in str(app.screen.query_one("#tokens", Static).render()))
        assert engine.rendered[1:] == ["h", "hello"]


async def test_a_turn_that_is_sent_goes_ahead_of_previews_and_is_seen_to_be_rendered() -> None:
    engine = SlowTemplate(1)
    app = make_app(options=options(), engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == LENGTH)
        assert "rendering the chat" not in screen_text(app)
        await press(pilot, "T")
        await pilot.press("h")
        await during(pilot, lambda: len(engine.rendered) == 2)
        await pilot.press(*"ello", "enter")
        await during(pilot, lambda: not isinstance(app.screen, TextEditor))
        engine.permits.release()
        await during(pilot, lambda: len(engine.rendered) == 3)
        await during(pilot, lambda: "rendering the chat" in screen_text(app))
        engine.permits.release()
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 2 * LENGTH)
        assert engine.rendered[1:] == ["h", "hello"], "one preview, and what was sent"
        await settle(pilot)
        assert "rendering the chat" not in screen_text(app)


async def test_the_first_turn_of_a_chat_is_seen_to_be_rendered() -> None:
    engine = SlowTemplate(0)
    app = make_app(options=options(), engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: "rendering the chat" in screen_text(app))
        await during(pilot, lambda: "the model's template renders the chat" in screen_text(app))
        engine.permits.release()
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == LENGTH)


async def test_a_turn_typed_while_the_answer_comes_says_that_sending_ends_it() -> None:
    gate = threading.Semaphore(2)
    app = make_app(options=options(), gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await during(pilot, lambda: explorer.tree.step[explorer.leaf] == 2)
        await press(pilot, "T")
        await during(pilot, lambda: "The answer still comes: ⏎ ends it there" in screen_text(app))
        gate.release(LENGTH)
        await during(pilot, lambda: "The answer still comes" not in screen_text(app))


async def test_what_was_typed_is_there_when_the_editor_is_opened_again_at_the_same_place() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == LENGTH)
        for key in ("t", "T"):
            for close in ("ctrl+c", "ctrl+g"):
                await press(pilot, key)
                app.screen.query_one(Draft).load_text("and she")
                await press(pilot, close, key)
                assert app.screen.query_one(Draft).text == "and she"
                app.screen.query_one(Draft).load_text("")
                await press(pilot, "ctrl+g")
        await press(pilot, "t")
        app.screen.query_one(Draft).load_text("and she")
        await press(pilot, "ctrl+g", "left", "t")
        assert app.screen.query_one(Draft).text == ""


async def test_a_text_that_a_lost_engine_cannot_read_stays_in_the_editor() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == LENGTH)
        await press(pilot, "t")
        app.screen.query_one(Draft).load_text("and she")
        app.controller.engine_life.lose(EngineLostError("gone."))
        await app.controller.link.client.close()
        await pilot.press("enter")
        await during(pilot, lambda: any(n.severity == "error" for n in app._notifications))
        await during(pilot, lambda: isinstance(app.screen, TextEditor))
        assert app.screen.query_one(Draft).text == "and she"
