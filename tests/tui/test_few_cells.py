"""A terminal of any size, whatever is in front: a pane of a multiplexer may be a few cells."""

import asyncio

import pytest
from support.app import make_app, press, screen_text, until
from support.lived import OPTIONS, ended
from textual.geometry import Size
from textual.screen import Screen

pytestmark = pytest.mark.usefixtures("each_frame")
TINY = ((1, 1), (2, 9), (3, 3), (5, 2), (7, 30), (12, 5), (200, 1), (1, 60))
KEYS = ("", "question_mark", "equals_sign", "p", "O", "b", "s", "D", "C", "d", "I", "colon")


async def rests(counted: list[None]) -> bool:
    """Whether the layout comes to rest: a scroll bar that has no room may come and go for ever."""
    for _ in range(40):
        before = len(counted)
        await asyncio.sleep(0.05)
        if len(counted) == before:
            return True
    return False


async def test_no_key_acts_on_what_a_small_terminal_hides() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "2", "left")
        explorer = app.controller.explorer
        await until(pilot, lambda: ended(app))
        before = explorer.tree.branches, explorer.nodes, explorer.cursor
        await pilot.resize_terminal(50, 10)
        app.say("Something happened meanwhile.")
        await press(pilot, "o", "space", "p", "question_mark", "colon", "left", "q", "q")
        await until(pilot, lambda: len(app._notifications) > 0)
        assert (explorer.tree.branches, explorer.nodes, explorer.cursor) == before
        assert app.screen is app._browse
        lines = screen_text(app).splitlines()
        assert "tokexplore needs 60 x 15 cells" in " ".join(lines)
        assert "meanwhile" not in " ".join(lines)
        await press(pilot, "ctrl+c", "ctrl+c")
        assert app.return_code == 130


@pytest.mark.parametrize("key", KEYS)
async def test_nothing_ends_in_a_few_cells(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts: list[None] = []
    lay_out = Screen._refresh_layout

    def counting(self: Screen[object], size: Size | None = None, scroll: bool = False) -> None:
        layouts.append(None)
        lay_out(self, size, scroll)

    monkeypatch.setattr(Screen, "_refresh_layout", counting)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: ended(app))
        if key:
            await press(pilot, key)
        for size in TINY:
            await pilot.resize_terminal(*size)
            await pilot.press("pagedown", "down", "up")
            assert await rests(layouts), size
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert app.is_running
