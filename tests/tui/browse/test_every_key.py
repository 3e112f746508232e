"""Each key of the main screen does something that can be seen; none is listed and dead."""

from collections.abc import Callable
from typing import Any

import pytest
from support.app import LENGTH, make_app, press, screen_text, settle, until
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.keymap import keys_of
from tokexplore.tui.keys import COMMANDS, bindings
from tokexplore.tui.screens.branches import BranchesDialog
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.dialog import Ask, Sheet
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.help import HelpSheet
from tokexplore.tui.screens.lab import LabScreen
from tokexplore.tui.screens.map import MapScreen
from tokexplore.tui.screens.models import ModelPicker, SecondPicker
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.tui.screens.sessions import SessionPicker
from tokexplore.tui.screens.temperatures import TemperaturesScreen
from tokexplore.tui.screens.terms import TermsSheet
from tokexplore.tui.screens.why import WhyScreen
from tokexplore.tui.screens.writing import TextEditor
from tokexplore.widgets.candidates import CandidateTable

See = Callable[[TokexploreApp], object]
LINES = "Once\nupon\na time\nthere was"
BEFORE: dict[str, tuple[str, ...]] = {
    "right": ("home",),
    "L": ("home",),
    ")": ("home", "H"),
    "n": ("home",),
    "]": ("home",),
    "enter": ("down", "down", "down"),
    "backspace": ("home", "g", "5", "enter"),
    "up": ("down", "down"),
    "pageup": ("pagedown",),
    "0": ("down", "down"),
    "asterisk": ("down", "down"),
    "U": ("u",),
    "X": ("x",),
    "end": ("home",),
    "J": ("K",),
    "semicolon": ("f", "a", "enter"),
    "comma": ("f", "a", "enter"),
    "quotation_mark": ("apostrophe", "home"),
    "A": (),
    "S": (),
}
"""Keys pressed first, where the start is no place to see a key's effect."""


WITH_SECOND = {"act.lead", "row.second"}
"""Commands that need a second model."""


def cursor(app: TokexploreApp) -> object:
    return app.controller.explorer.cursor, app.controller.explorer.following


def row(app: TokexploreApp) -> object:
    return app.controller.explorer.row


def tree(app: TokexploreApp) -> object:
    explorer = app.controller.explorer
    return len(explorer.tree), explorer.leaf, [b.hidden for b in explorer.tree.branches]


def told(app: TokexploreApp) -> object:
    return [n.message for n in app._notifications]


EFFECTS: dict[str, See] = {
    **dict.fromkeys(("step.previous", "step.next", "step.back10", "step.on10"), cursor),
    **dict.fromkeys(("step.line_back", "step.line_on", "step.first", "step.follow"), cursor),
    "step.back": cursor,
    **dict.fromkeys(("row.up", "row.down", "row.page_up", "row.page_down", "row.taken"), row),
    "row.pane": lambda app: app._browse.navigation.pages_story,
    "act.take": tree,
    **{f"act.take{n}": lambda app: (tree(app), told(app)) for n in range(1, 10)},
    "act.play": tree,
    "act.one": tree,
    "act.draw": lambda app: (tree(app), told(app)),
    "act.answer": told,
    "act.choose": told,
    "act.single": lambda app: app.controller.streams.single_step,
    "act.turn": told,
    "act.adopt": lambda app: app.controller.explorer.settings,
    "act.lead": lambda app: app.controller.second.leads,
    "act.undo": tree,
    "act.redo": tree,
    **dict.fromkeys(("branch.next", "branch.previous", "branch.last", "branch.hide"), tree),
    "branch.bookmark": lambda app: set(app.controller.explorer.tree.bookmarks),
    "branch.hidden": lambda app: app.controller.explorer.show_hidden,
    "branch.mark": lambda app: list(app.controller.explorer.marked),
    **dict.fromkeys(("jump.close", "jump.close_back", "jump.fork_back", "jump.fork"), cursor),
    **dict.fromkeys(("jump.parted", "jump.parted_back"), told),
    "row.second": row,
    **dict.fromkeys(("jump.match", "jump.match_back", "jump.bookmark"), cursor),
    "file.record": lambda app: app.recordings.recorder,
    "file.mark": told,
    "file.picture": told,
    "file.copy": lambda app: (app.clipboard, told(app)),
    **dict.fromkeys(("view.colour", "view.columns", "view.unit"), screen_text),
    "view.fold": screen_text,
    "view.reasoning": told,
    **dict.fromkeys(("step.turn_back", "step.turn_on"), told),
    "view.boundaries": screen_text,
    "view.theme": lambda app: app.theme,
    "program.quit": told,
}
"""By command: what is not the same after its key."""

OPENS: dict[str, type[Screen[Any]]] = {
    "step.goto": Ask,
    "row.find": FindToken,
    "act.futures": Ask,
    "act.grow": Ask,
    "act.type": TextEditor,
    "act.prompt": PromptEditor,
    "branch.list": BranchesDialog,
    "branch.note": Ask,
    "branch.label": Ask,
    "branch.name": Ask,
    "branch.compare": CompareScreen,
    "jump.text": Ask,
    "file.models": ModelPicker,
    "view.against": SecondPicker,
    "file.export": Ask,
    "file.sessions": SessionPicker,
    "view.inspect": Sheet,
    "view.settings": SamplerLensScreen,
    "view.watch": Ask,
    "view.ladder": TemperaturesScreen,
    "view.lab": LabScreen,
    "view.why": WhyScreen,
    "view.map": MapScreen,
    "program.help": HelpSheet,
    "program.terms": TermsSheet,
    "program.palette": CommandPalette,
}
"""By command: the screen that its key opens."""


def test_every_command_has_an_effect_to_see() -> None:
    assert set(EFFECTS) | set(OPENS) == {c.id for c in COMMANDS} - {"program.redraw"}


async def start(pilot: Pilot[int]) -> None:
    """Two branches, the cursor in the middle of the second one."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(
        pilot, lambda: app.controller.state == "paused" and bool(app.controller.explorer.tree.ended)
    )
    await press(pilot, "home", "l", "l", "3")
    await until(pilot, lambda: not app.controller.streaming)
    await press(pilot, "g")
    await pilot.press("9", "enter")
    await settle(pilot)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        pytest.param(c, c.keys.split(",")[0], id=f"{c.id}-{c.keys.split(',')[0]}")
        for c in COMMANDS
        if c.id in EFFECTS
    ],
)
async def test_the_key_does_what_it_says(command: object, key: str) -> None:
    prompt = LINES + " a king" * (200 if command.id == "view.fold" else 1)  # type: ignore[attr-defined]
    options = AppOptions(
        prompt=PromptSpec(text=prompt),
        max_new_tokens=LENGTH,
        settings=SamplingSettings(temperature=1.2, seed=4),
        against=LoadOptions("second") if command.id in WITH_SECOND else None,  # type: ignore[attr-defined]
    )
    app = make_app(options=options)
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot)
        second = app.controller.second
        await until(pilot, lambda: options.against is None or second.is_there)
        await press(pilot, *BEFORE.get(key, ()))
        effect = EFFECTS[command.id]  # type: ignore[attr-defined]
        before = effect(app)
        await pilot.press(key)
        await until(pilot, lambda: effect(app) != before)


async def test_a_key_opens_what_it_says() -> None:
    options = AppOptions(
        prompt=PromptSpec(text=LINES), max_new_tokens=LENGTH, settings=SamplingSettings(1.2, seed=4)
    )
    app = make_app(options=options)
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot)
        for command in COMMANDS:
            if kind := OPENS.get(command.id):
                await pilot.press(command.keys.split(",")[0])
                await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]
                await pilot.press("ctrl+g")
                await until(pilot, lambda: isinstance(app.screen, BrowseScreen))


async def test_the_other_keys_of_a_command_do_the_same() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)):
        bound = {key: active.binding for key, active in app.screen.active_bindings.items()}
        for binding in bindings():
            first, *others = keys_of(binding)
            assert all(bound[key].priority for key in (first, *others))
            assert {bound[key].action for key in others} <= {bound[first].action}


async def test_redraw_asks_for_the_whole_screen() -> None:
    app = make_app()
    asked: list[bool] = []
    app.frames.forget = lambda: asked.append(True)  # type: ignore[method-assign]
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        asked.clear()
        await press(pilot, "ctrl+l")
        assert asked == [True]


async def test_keys_typed_ahead_move_in_the_list_of_branches() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        for number in ("2", "3", "4"):
            await press(pilot, "home", number)
            await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "b")
        app.simulate_key("home")
        for _ in range(2):
            app.simulate_key("down")
        app.simulate_key("m")
        app.simulate_key("enter")
        await until(pilot, lambda: not isinstance(app.screen, BranchesDialog))
        await settle(pilot)
        explorer = app.controller.explorer
        assert explorer.branch is not None
        assert explorer.marked == [explorer.branch.number]
        assert explorer.row_of(explorer.branch.number) == 2


async def test_a_dialog_closed_before_its_tokens_are_counted_breaks_nothing() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        tree = app.controller.explorer.tree
        for end in ("enter", "ctrl+g"):
            app.simulate_key("t")
            app.simulate_key("a")
            app.simulate_key(end)
            await until(pilot, lambda: len(tree.branches) == 2)
        await until(pilot, lambda: not isinstance(app.screen, TextEditor))


async def test_a_prompt_that_is_not_edited_keeps_its_line_breaks() -> None:
    text = "one\x0ctwo\u2028three\x85four\r\nfive"
    app = make_app(options=AppOptions(prompt=PromptSpec(text=text), max_new_tokens=3))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        nodes = app.controller.explorer.prompt_length
        ids = app.controller.explorer.ids(nodes)
        await press(pilot, "p", "enter")
        await until(pilot, lambda: not app.controller.streaming)
        assert app.controller.explorer.ids(nodes) == ids
        assert len(app.controller.explorer.tree.branches) == 1


async def test_a_shorter_prompt_makes_what_follows_it_generated() -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text="Once upon a time"), max_new_tokens=3))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        tree = app.controller.explorer.tree
        await app.controller.prompt(PromptSpec(text="The king"))
        await app.controller.streams.finished()
        await settle(pilot)
        assert tree.begins_prompt(tree.branch(2).head)
        listed = app.controller.explorer.listed()
        assert [depth for _, depth in listed] == [0, 0], "a prompt is no branch of another"
        assert "“The" in screen_text(app)


async def test_a_terminal_that_was_too_small_shows_all_again() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), tooltips=True) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await pilot.resize_terminal(50, 12)
        await until(pilot, lambda: "needs 60 x 15" in screen_text(app))
        assert "story" not in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: screen_text(app).splitlines()[1].startswith("─ story"))
        assert screen_text(app).splitlines()[2].startswith(" <s>Once")
        assert not app.screen.query_one("#textual-tooltip").display


async def test_the_table_is_there_on_a_small_screen_with_hints() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "slash", "e")
        await until(pilot, lambda: "ctrl+g cancels" in screen_text(app))
        table = app.screen.query_one(CandidateTable)
        assert table.region.bottom < 23


async def test_branches_made_on_a_narrow_screen_are_listed_on_a_wider_one() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        for number in ("2", "3"):
            await press(pilot, "home", number)
            await until(pilot, lambda: not app.controller.streaming)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "lp/tok" in screen_text(app))
        assert "main" in screen_text(app)
