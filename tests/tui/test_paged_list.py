"""Page keys of a list that has no room, and of one that has."""

import pytest
from textual.app import App, ComposeResult

from tokexplore.tui.screens.paged_list import PagedList


class ListApp(App[None]):
    def compose(self) -> ComposeResult:
        yield PagedList(*(f"option {n}" for n in range(30)))


@pytest.mark.parametrize("action", ["page_up", "page_down"])
async def test_page_keys_do_nothing_where_the_list_has_no_room(action: str) -> None:
    app = ListApp()
    async with app.run_test(size=(20, 8)) as pilot:
        rows = app.query_one(PagedList)
        rows.display = False
        await pilot.pause()
        rows.clear_options()
        rows.add_options([f"another {n}" for n in range(30)])
        rows.highlighted = 15
        await rows.run_action(action)
        assert rows.highlighted == 15
        rows.display = True
        await pilot.pause()
        await rows.run_action(action)
        assert rows.highlighted != 15
