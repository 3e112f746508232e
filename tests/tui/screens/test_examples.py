"""The gallery: each example opens by its number and is what it says."""

import importlib

import pytest
from support.app import make_app, press, screen_text, settle, until

from tokexplore.tui.cli.examples import SUBCOMMAND
from tokexplore.tui.explore.examples import EXAMPLES
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Sheet
from tokexplore.tui.screens.examples import ExamplePicker

SIZE = (120, 40)
PROMPTS = [n for n, example in enumerate(EXAMPLES, 1) if not example.words]


def test_the_command_begins_with_the_gallery() -> None:
    app = SUBCOMMAND.read(["--seed", "3"]).options
    assert app.examples
    assert app.settings.seed == 3
    assert app.starting_prompt() is None


@pytest.mark.parametrize("number", PROMPTS)
async def test_a_prompt_is_opened_by_its_number(number: int) -> None:
    app = make_app(options=AppOptions(examples=True))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ExamplePicker))
        assert EXAMPLES[number - 1].title in screen_text(app)
        await press(pilot, str(number))
        explorer, example = app.controller.explorer, EXAMPLES[number - 1]
        await until(pilot, lambda: bool(explorer.nodes))
        await until(pilot, lambda: not app.controller.streaming and not app.controller.busy)
        assert example.text in explorer.path.words(0, len(explorer.nodes))
        assert example.prefill in explorer.path.words(0, len(explorer.nodes))
        assert explorer.settings == example.settings
        assert any(example.look in n.message for n in app._notifications)


@pytest.mark.slow
async def test_the_words_are_shown_without_a_model() -> None:
    # Takes seconds, which are not to be those of `until`.
    importlib.import_module("tokexplore.models.engine.sampler_effects")
    app = make_app(options=AppOptions(examples=True))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ExamplePicker))
        await press(pilot, "6")
        await until(pilot, lambda: isinstance(app.screen, Sheet))
        await settle(pilot)
        assert "0.66571" in screen_text(app)
        assert "0.20436" in screen_text(app)


async def test_the_palette_opens_it_and_q_closes_it() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        nodes = list(app.controller.explorer.nodes)
        await press(pilot, "colon")
        await pilot.press(*"examples", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExamplePicker))
        await press(pilot, "q")
        await settle(pilot)
        assert app.controller.explorer.nodes == nodes
