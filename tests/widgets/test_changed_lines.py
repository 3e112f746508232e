"""Only lines that changed are painted again, and a full repaint forgets nothing."""

import pytest
from rich.segment import Segment
from textual.app import ComposeResult
from textual.strip import Strip

from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.cell_text import line
from tokexplore.widgets.changed_lines import ChangedLines

pytestmark = pytest.mark.usefixtures("each_frame")


class Letters(ChangedLines):
    """One word a line, and which lines were painted."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ["one", "two", "three"]
        self.painted: list[int] = []

    def draw_line(self, y: int) -> Strip:
        word = self.words[y] if y < len(self.words) else ""
        return line([Segment(word, self.rich_style)], self.size.width, self.rich_style)

    def render_line(self, y: int) -> Strip:
        self.painted.append(y)
        return super().render_line(y)


class LettersApp(ThemedApp[None]):
    """The letters alone, with padding round them."""

    CSS = "Letters { padding: 1 2; height: 8; }"

    def compose(self) -> ComposeResult:
        yield Letters()


async def test_only_changed_lines_are_painted() -> None:
    app = LettersApp()
    async with app.run_test(size=(30, 8)) as pilot:
        letters = app.query_one(Letters)
        await pilot.pause()
        letters.painted.clear()
        letters.repaint_changed()
        await pilot.pause()
        assert letters.painted == []
        letters.words[1] = "zwei"
        letters.repaint_changed()
        await pilot.pause()
        assert letters.painted == [1]
        assert "zwei" in app.export_screenshot()


async def test_a_change_of_theme_paints_everything() -> None:
    app = LettersApp()
    async with app.run_test(size=(30, 8)) as pilot:
        letters = app.query_one(Letters)
        await pilot.pause()
        letters.painted.clear()
        app.theme = "tokexplore-light"
        await pilot.pause()
        assert set(letters.painted) >= {0, 1, 2}


async def test_what_was_drawn_to_be_compared_never_outlives_a_later_change() -> None:
    app = LettersApp()
    async with app.run_test(size=(30, 8)) as pilot:
        letters = app.query_one(Letters)
        await pilot.pause()
        letters.words[1] = "zwei"
        letters.repaint_changed()
        letters.words[1] = "deux"
        letters.refresh()
        await pilot.pause()
        assert "deux" in app.export_screenshot()
        letters.words[1] = "dos"
        letters.repaint_changed()
        letters.words[1] = "deux"
        letters.repaint_changed()
        await pilot.pause()
        assert "deux" in app.export_screenshot()
