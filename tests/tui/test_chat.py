"""Chats in the app: the rendered template first, then the answer, then the next turn."""

from support.app import make_app, press, settle, until
from support.fake_vocabulary import ASSISTANT, USER

from tokexplore.models.options import PromptSpec
from tokexplore.models.protocol import Chat, Message
from tokexplore.tui.options import AppOptions
from tokexplore.tui.screens.editor import PromptEditor, TextEditor

CHAT = Chat((Message("system", "the king"), Message("user", "who was he")), prefill=" he was")
SIZE = (120, 40)


def options(chat: Chat = CHAT) -> AppOptions:
    return AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6)


async def test_the_rendered_template_is_shown_before_it_is_used() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.driver.explorer
        await until(pilot, lambda: app.driver.state == "paused" and bool(explorer.nodes))
        tokens = [explorer.tree.token[n] for n in explorer.nodes]
        assert USER in tokens
        assert ASSISTANT in tokens
        assert explorer.tree.step[explorer.leaf] == 0, "nothing is generated yet"
        assert any("rendered template" in n.message for n in app._notifications)
        await press(pilot, "space")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)


async def test_the_next_user_turn_follows_the_answer_on_the_same_path() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.driver.explorer
        await until(pilot, lambda: app.driver.state == "paused" and bool(explorer.nodes))
        await press(pilot, "space")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)
        answered = list(explorer.nodes)
        await press(pilot, "T")
        assert isinstance(app.screen, TextEditor)
        await pilot.press(*"and she", "enter")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 12)
        assert explorer.nodes[: len(answered)] == answered
        tokens = [explorer.tree.token[n] for n in explorer.nodes]
        assert tokens.count(USER) == 2
        assert app.driver.chat is not None
        assert [m.role for m in app.driver.chat.messages] == ["system", "user", "assistant", "user"]


async def test_a_turn_without_a_chat_is_refused() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.driver.explorer.tree.ended))
        await press(pilot, "T")
        assert any("no chat" in n.message for n in app._notifications)


async def test_the_prompt_editor_changes_between_plain_text_and_chat() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.driver.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        await press(pilot, "p")
        assert isinstance(app.screen, PromptEditor)
        await pilot.press("ctrl+u", *"who is she", "ctrl+r", "enter")
        await settle(pilot)
        await until(pilot, lambda: app.driver.chat is not None)
        assert app.driver.chat is not None
        assert app.driver.chat.messages == (Message("user", "who is she"),)


async def test_a_chat_without_a_template_ends_the_program_with_2() -> None:
    app = make_app(options=options(), chat_template=False)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(200):
            await pilot.pause(0.01)
            if app.return_code is not None:
                break
    assert app.return_code == 2
