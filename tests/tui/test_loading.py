"""What is asked for while a model loads is there when the model is."""

import re
import threading
from pathlib import Path

import pytest
from support.app import PROMPT, during, make_app, press, screen_text, settle, until
from support.lived import ended, lived, reopened
from textual.pilot import Pilot

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.tree.conversation import conversation
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.branches import BranchesDialog
from tokexplore.tui.screens.chat_form import Turn
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.writing import TextEditor

SIZE = (120, 40)
WORDS = " big red dog"
ASKED = AppOptions(load=LoadOptions("asked"), max_new_tokens=8)
"""A model that the user is asked a prompt for."""


def told(app: TokexploreApp) -> str:
    return " | ".join(n.message for n in app._notifications)


def loads(app: TokexploreApp) -> bool:
    return app.controller.state == "loading" and app._browse is not None


def drafted(app: TokexploreApp) -> str:
    """What stands in the editor in front; nothing where there is none."""
    return "".join(draft.text for draft in app.screen.query(Draft))


async def test_typed_text_goes_into_its_editor_and_its_tokens_come_with_the_model() -> None:
    gate = threading.Semaphore(0)
    app = make_app(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: loads(app))
        await pilot.press("t", *WORDS)
        await during(pilot, lambda: drafted(app) == WORDS)
        assert isinstance(app.screen, TextEditor)
        assert loads(app)
        gate.release(10)
        await during(pilot, lambda: re.search(r"\d tokens  .*│", screen_text(app)))
        await pilot.press("enter")
        await until(pilot, lambda: "typed" in app.controller.explorer.tree.origin)


async def test_the_prompt_s_tokens_come_with_the_model_too() -> None:
    gate = threading.Semaphore(0)
    app = make_app(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: loads(app))
        await pilot.press("p")
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        gate.release(10)
        await during(pilot, lambda: re.search(r"\d tokens  .*│", screen_text(app)))


@pytest.mark.parametrize("then", ["", "cancelled", "emptied"])
async def test_typed_text_follows_the_prompt_once_there_is_a_model(then: str) -> None:
    gate = threading.Semaphore(0)
    app = make_app(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: loads(app))
        await pilot.press("t", *WORDS, "enter")
        if then:
            await pilot.press("t")
            await during(pilot, lambda: drafted(app) == WORDS)
            await pilot.press(*(["x", "ctrl+g"] if then == "cancelled" else ["ctrl+u", "enter"]))
        gate.release(10)
        tree, explorer = app.controller.explorer.tree, app.controller.explorer
        if then == "emptied":
            await until(pilot, lambda: ended(app))
            assert "typed" not in tree.origin
            return
        await until(pilot, lambda: "typed" in tree.origin)
        assert explorer.vocabulary.text(explorer.ids()).endswith(PROMPT + WORDS)
        assert "greedy" not in tree.origin, "the prompt's stream does not come before it"


async def test_typed_text_goes_to_the_step_of_a_recorded_session_that_was_looked_at() -> None:
    await lived("home", "l")
    gate = threading.Semaphore(0)
    app = reopened(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        explorer = app.controller.explorer
        await pilot.press("space")
        await during(pilot, lambda: loads(app))
        await pilot.press("home", "l", "l")
        before = explorer.before
        await pilot.press("t", *WORDS, "enter")
        gate.release(10)
        await until(pilot, lambda: "typed" in explorer.tree.origin)
        first = explorer.tree.origin.index("typed")
        assert explorer.tree.parent[first] == before
        assert explorer.on_path(first)


async def test_a_branch_list_that_is_opened_meanwhile_follows() -> None:
    gate = threading.Semaphore(0)
    app = make_app(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: loads(app))
        await pilot.press("b")
        await during(pilot, lambda: isinstance(app.screen, BranchesDialog))
        gate.release(10)
        await during(pilot, lambda: ended(app))
        await during(pilot, lambda: re.search(r"●.*main|main.* 24 ", screen_text(app)))


async def chat_is_typed(pilot: Pilot[int], app: TokexploreApp, words: str) -> None:
    await during(pilot, lambda: loads(app))
    await during(pilot, lambda: isinstance(app.screen, PromptEditor))
    await pilot.press("ctrl+r", *words)
    assert isinstance(app.screen, PromptEditor)
    assert [turn.text for turn in app.screen.query(Turn)] == ["", words]


async def test_a_chat_that_is_typed_meanwhile_starts_with_the_model() -> None:
    gate = threading.Semaphore(0)
    app = make_app(options=ASKED, load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await chat_is_typed(pilot, app, "why red")
        await pilot.press("enter")
        await during(pilot, lambda: not isinstance(app.screen, PromptEditor))
        assert loads(app)
        gate.release(10)
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        assert explorer.path.chat is not None
        assert [m.content for m in explorer.path.chat.messages] == ["why red"]
        assert "greedy" in explorer.tree.origin
        assert len(explorer.tree.prompts) == 1, "and no other prompt before it"


@pytest.mark.parametrize("when", ["typed", "handed over"])
async def test_a_chat_with_a_model_that_can_have_none_comes_back_before_the_weights(
    when: str,
) -> None:
    gate, files = threading.Semaphore(0), threading.Semaphore(0)
    app = make_app(options=ASKED, load_gate=gate, files_gate=files, chat_template=False)
    async with app.run_test(size=SIZE) as pilot:
        await chat_is_typed(pilot, app, "why red")
        if when == "typed":
            files.release()
            await during(pilot, lambda: "has no chat template" in screen_text(app))
        await pilot.press("enter")
        files.release()
        await during(pilot, lambda: "has no chat template" in told(app))
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert loads(app), "the weights are not read yet"
        assert [turn.text for turn in app.screen.query(Turn)] == ["", "why red"]
        await pilot.press("ctrl+r", *"Once", "enter")
        await during(pilot, lambda: not isinstance(app.screen, PromptEditor))
        gate.release(10)
        await until(pilot, lambda: ended(app))
        assert app.controller.explorer.path.chat is None
        assert app.controller.explorer.text().startswith("Once")


async def test_a_chat_that_the_command_line_asks_for_ends_a_model_that_can_have_none() -> None:
    gate = threading.Semaphore(0)
    options = AppOptions(prompt=PromptSpec(chat=Chat((Message("user", "why red"),))))
    app = make_app(options=options, load_gate=gate, chat_template=False)
    async with app.run_test(size=SIZE) as pilot:
        left: list[object] = []
        exit_app = app.exit
        app.exit = lambda *given, **more: (left.append((given, more)), exit_app(*given, **more))  # type: ignore[assignment]
        await during(pilot, lambda: app.return_code is not None)
    assert app.return_code == 2
    assert "has no chat template" in str(left)
    assert not app.controller.explorer.nodes


async def test_a_chat_that_is_refused_once_the_model_is_there_is_kept() -> None:
    gate = threading.Semaphore(0)
    app = make_app(options=ASKED, load_gate=gate, context=4)
    async with app.run_test(size=SIZE) as pilot:
        await chat_is_typed(pilot, app, "why is it so red and big")
        await pilot.press("enter")
        gate.release(10)
        await during(pilot, lambda: "shorten it" in told(app))
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert [turn.text for turn in app.screen.query(Turn)][-1] == "why is it so red and big"


@pytest.mark.parametrize("template", ["{{ messages }}", ""])
async def test_a_model_whose_files_hold_a_chat_template_is_asked_as_a_chat(
    tmp_path: Path, template: str
) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    gate = threading.Semaphore(0)
    options = AppOptions(load=LoadOptions(str(tmp_path)), max_new_tokens=8)
    app = make_app(options=options, load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert loads(app)
        assert isinstance(app.focused, Turn) == bool(template)
        if not template:
            return
        assert "ctrl+r plain/chat" in screen_text(app)
        assert "turns after an edited one" not in screen_text(app)
        await pilot.press("enter")
        assert "Nothing to send yet: type what the user says." in told(app)
        await pilot.press(*"why red", "ctrl+g", "p")
        await during(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert isinstance(app.focused, Turn)
        assert (app.focused.role, app.focused.text) == ("user", "why red")
        await pilot.press("ctrl+r", *"Once", "ctrl+g", "p")
        await during(pilot, lambda: getattr(app.focused, "id", "") == "plain")
        assert app.screen.query_one("#plain", Draft).text == "Once", "what was chosen is kept"
        await pilot.press("ctrl+r", "enter")
        gate.release(10)
        await until(pilot, lambda: ended(app))
        assert app.controller.explorer.path.chat == Chat((Message("user", "why red"),))


async def test_a_loaded_model_without_a_prompt_is_asked_as_a_chat_where_it_has_a_template() -> None:
    for template in (True, False):
        app = make_app(options=ASKED, chat_template=template)
        async with app.run_test(size=SIZE) as pilot:
            await during(pilot, lambda: app.controller.state == "asking")  # noqa: B023
            await settle(pilot)
            await press(pilot, "ctrl+g", "p")
            assert isinstance(app.focused, Turn) == template, "it may have opened before"


@pytest.mark.parametrize("first", ["T", "t", "p"])
async def test_what_is_typed_in_a_session_is_said_to_wait_and_is_done_once(first: str) -> None:
    chat = Chat((Message("user", "who was he"),))
    await lived(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6))
    gate = threading.Semaphore(0)
    app = reopened(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        explorer = app.controller.explorer
        tree, before = explorer.tree, len(explorer.tree)
        await press(pilot, first)
        await pilot.press(*"and she", "enter")
        await during(pilot, lambda: "what was typed waits for the model" in screen_text(app))
        assert loads(app)
        for key in "Ttp":
            app.clear_notifications()
            await pilot.press(key)
            await during(pilot, lambda: "What was typed waits for the model" in told(app))
            assert app.screen is app._browse
        gate.release(10)
        await until(pilot, lambda: len(tree) > before and ended(app) and not app.controller.busy)
        assert "waits for the model" not in screen_text(app)
        given = [turn.role for turn in conversation(explorer.path) if turn.words]
        assert given == ["user", "assistant", *(["user", "assistant"] if first == "T" else [])]
        assert len(tree.prompts) == (1 if first == "t" else 2)
        await press(pilot, "T")
        assert isinstance(app.screen, TextEditor)
