"""A terminal of any size, whatever is in front: a pane of a multiplexer may be a few cells."""

import pytest
from support.app import make_app, press, until
from support.lived import OPTIONS, ended

TINY = ((1, 1), (2, 9), (3, 3), (5, 2), (7, 30), (12, 5), (200, 1), (1, 60))
KEYS = ("", "question_mark", "p", "O", "b", "s", "D", "colon")


@pytest.mark.parametrize("key", KEYS)
async def test_nothing_ends_in_a_few_cells(key: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: ended(app))
        if key:
            await press(pilot, key)
        for size in TINY:
            await pilot.resize_terminal(*size)
            await pilot.press("pagedown", "down", "up")
            await pilot.pause()
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert app.is_running
