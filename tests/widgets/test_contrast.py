"""Every word that these widgets draw can be read: contrast 4.5 and more, in both themes."""

import pytest
from support.contrast import contrast_of
from textual.app import ComposeResult
from textual.color import Color
from textual.strip import Strip

from tokexplore.tui.theme import DARK, LIGHT, ThemedApp
from tokexplore.widgets.bars import EIGHTHS
from tokexplore.widgets.branches import BranchList, BranchRow
from tokexplore.widgets.candidates import CandidatePage, CandidateRow, CandidateTable
from tokexplore.widgets.compare import CompareCell, CompareColumn, CompareView
from tokexplore.widgets.header import Header, HeaderValues, State
from tokexplore.widgets.heat import LEVELS
from tokexplore.widgets.keybar import KeyBar, KeyHint

NOT_TEXT = set(EIGHTHS) | set("│├└┊═─ ")


def candidate(index: int) -> CandidateRow:
    return CandidateRow(
        index + 1, True, f"␣w{index}", index == 3, index, -1.0 - index, 0.5, 0.1,
        "p .75" if index > 4 else "", index == 4, index == 1, (2, 3) if index == 2 else (),
    )  # fmt: skip


class AllApp(ThemedApp[None]):
    """Every widget with every kind of part."""

    CSS = "CandidateTable, BranchList, CompareView { height: 10; }"

    def compose(self) -> ComposeResult:
        yield Header()
        yield CandidateTable()
        yield BranchList()
        yield CompareView()
        yield KeyBar()

    def on_mount(self) -> None:
        rows = [candidate(index) for index in range(9)]
        self.query_one(CandidateTable).show(CandidatePage(rows, 0, 99, 90, 0.1, -1.0, "live"), 5)
        self.query_one(BranchList).show(
            [
                BranchRow(1, 0, None, "", 5, -1.0, "words", current=True, name="main"),
                BranchRow(2, 1, 1, "␣a", 5, -1.0, "words", live=True, marked=True),
                BranchRow(3, 1, 2, "␣b", 5, -1.0, "words", hidden=True, ended="eos"),
            ],
            2,
        )
        cells = [CompareCell(f" level{n}", 1.0, n) for n in range(-1, LEVELS)] * 3
        columns = [
            CompareColumn(1, "a", cells, -1.0, -2.0, live=True),
            CompareColumn(2, "b", cells, -1.0, -2.0, ended="eos"),
        ]
        self.query_one(CompareView).show(columns, "shared", 3, [(4, 2)])
        self.query_one(KeyBar).show([KeyHint("d", "compare")], KeyHint("?", "help"))


def unreadable(strip: Strip) -> list[tuple[str, float]]:
    """Texts of a strip whose contrast is under 4.5."""
    found = []
    for text, style, _ in strip:
        if not set(text) - NOT_TEXT:
            continue
        assert style is not None
        assert style.color is not None
        assert style.bgcolor is not None
        assert not style.dim
        front, back = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
        contrast = contrast_of(front, back)
        if contrast < 4.5:
            found.append((text, contrast))
    return found


STATES: tuple[State, ...] = ("loading", "waiting", "streaming", "paused", "ended", "lost")


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name])
async def test_all_text_is_readable(theme: str) -> None:
    app = AllApp()
    app.theme = theme
    async with app.run_test(size=(110, 34)) as pilot:
        await pilot.pause()
        for widget in app.screen.children:
            for y in range(widget.size.height):
                assert unreadable(widget.render_line(y)) == []
        header = app.query_one(Header)
        for state in STATES:
            header.show(
                HeaderValues("BROWSE", "m", "5M", "cpu", "f32", "T 1", 1, state, "why", 0.5)
            )
            assert unreadable(header.render_line(0)) == []
