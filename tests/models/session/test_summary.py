"""A session in a list is told apart by what its user said."""

from support.app import make_app, until

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.session.summary import summarise
from tokexplore.tui.explore.options import AppOptions


async def test_a_chat_begins_with_the_user_s_first_words() -> None:
    turns = Message("system", "the king"), Message("user", "who was he"), Message("assistant", "a")
    chat = Chat((*turns, Message("user", "and she")))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=2))
    async with app.run_test() as pilot:
        controller = app.controller
        await until(pilot, lambda: controller.state == "paused" and not controller.busy)
        found = summarise(controller.explorer.path, "fake")
    assert (found.words, found.asked) == ("who was he", "and she")
