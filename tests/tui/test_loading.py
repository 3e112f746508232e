"""What is asked for while a model loads is there when the model is."""

import re
import threading

import pytest
from support.app import PROMPT, during, make_app, screen_text, settle, until
from support.lived import ended, lived, reopened

from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.screens.branches import BranchesDialog
from tokexplore.tui.screens.editor import Draft, PromptEditor, TextEditor

SIZE = (120, 40)
WORDS = " big red dog"


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
