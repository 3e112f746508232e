"""Rows of pieces: the head stays, the cursor's row is lit and in view, nothing is wider than the
widget."""

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown

from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.cell_text import width
from tokexplore.widgets.role_lines import Piece, RoleLines, heat_role


class Rows(ThemedApp[None]):
    def __init__(self) -> None:
        super().__init__()
        self.picked: list[int] = []

    def compose(self) -> ComposeResult:
        yield RoleLines()

    def on_role_lines_highlighted(self, event: RoleLines.Highlighted) -> None:
        self.picked.append(event.index)


def lines(app: App[None]) -> list[str]:
    widget = app.query_one(RoleLines)
    return [widget.draw_line(y).text.rstrip() for y in range(widget.size.height)]


ROWS = [[Piece(f"row {n}")] for n in range(20)]


@pytest.mark.parametrize("cursor", [0, 7, 19])
async def test_the_cursor_s_row_is_in_view_below_the_head(cursor: int) -> None:
    app = Rows()
    async with app.run_test(size=(20, 6)) as pilot:
        widget = app.query_one(RoleLines)
        widget.show(ROWS, cursor, head=[[Piece("names")]])
        await pilot.pause()

        assert lines(app)[0] == "names"
        assert f"row {cursor}" in lines(app)
        at = lines(app).index(f"row {cursor}")
        lit = {segment.style.bgcolor for segment in widget.draw_line(at) if segment.style}
        other = {s.style.bgcolor for s in widget.draw_line(1 if at != 1 else 2) if s.style}
        assert lit != other


async def test_what_was_seen_stays_where_it_is_as_the_cursor_moves_within_it() -> None:
    app = Rows()
    async with app.run_test(size=(20, 6)):
        widget = app.query_one(RoleLines)
        widget.show(ROWS, 10)
        before = lines(app)
        widget.show(ROWS, 8)
        assert lines(app) == before
        widget.show(ROWS, 3)
        assert lines(app)[0] == "row 3"


async def test_no_line_is_wider_than_the_widget_whatever_is_in_it() -> None:
    app = Rows()
    async with app.run_test(size=(20, 6)):
        widget = app.query_one(RoleLines)
        widget.show([[Piece("漢字" * 9, heat_role(3)), Piece("e" * 40, "chosen")], []], None)
        assert [width(widget.draw_line(y).text) for y in range(6)] == [20] * 6


async def test_a_click_and_the_wheel_name_a_row() -> None:
    app = Rows()
    async with app.run_test(size=(20, 6)) as pilot:
        app.query_one(RoleLines).show(ROWS, 4, head=[[Piece("names")]])
        await pilot.pause()
        await pilot.click(RoleLines, offset=(1, 0))  # the head is no row
        await pilot.click(RoleLines, offset=(1, 2))
        await pilot._post_mouse_events([MouseScrollDown], RoleLines, offset=(1, 2))
        await pilot.pause()
        assert app.picked == [1, 7]
