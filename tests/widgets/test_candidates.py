"""The candidate table in an app: what it shows, and what it asks for."""

import pytest
from textual.app import ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from tokexplore.models.display import visible
from tokexplore.tui.theme import LIGHT, ThemedApp
from tokexplore.widgets.candidates import CandidatePage, CandidateRow, CandidateTable

Seen = list[tuple[str, int]]


class TableApp(ThemedApp[None]):
    """A table alone, and what it asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Seen = []

    def compose(self) -> ComposeResult:
        yield CandidateTable()

    def on_candidate_table_highlighted(self, event: CandidateTable.Highlighted) -> None:
        self._note(event, event.index)

    def on_candidate_table_picked(self, event: CandidateTable.Picked) -> None:
        self._note(event, event.index)

    def on_candidate_table_page_wanted(self, event: CandidateTable.PageWanted) -> None:
        self._note(event, event.first)

    def _note(self, event: Message, value: int) -> None:
        assert event.control is self.table
        self.seen.append((type(event).__name__, value))

    @property
    def table(self) -> CandidateTable:
        return self.query_one(CandidateTable)

    @property
    def lines(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]


def page_of(count: int = 40, first: int = 0, texts: dict[int, str] | None = None) -> CandidatePage:
    rows = [
        CandidateRow(
            rank=index + 1,
            tied=False,
            text=(texts or {}).get(index, f"␣w{index}"),
            special=False,
            id=index,
            logprob=-1 - index / 10,
            cumulative=None,
            sampler=0.5,
            taken=index == 0,
        )
        for index in range(first, first + count)
    ]
    return CandidatePage(rows, first, 500, 500 - first - count, 0.25, -1.0)


async def shown(pilot: Pilot[None], page: CandidatePage | None, cursor: int = 0) -> TableApp:
    app = pilot.app
    assert isinstance(app, TableApp)
    app.table.show(page, cursor)
    await pilot.pause()
    return app


async def test_before_the_first_page_it_says_what_it_waits_for() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, None)
        assert "waiting for the first token…" in app.lines[1]
        app.table.empty_text = "computing…"
        assert "computing…" in app.lines[1]


async def test_a_search_without_hits_shows_its_note() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, CandidatePage((), 0, 0, 0, None, -1.0, "nothing matches"))
        assert "nothing matches" in app.lines[1]


async def test_rows_fill_the_height_between_names_and_rest() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of())
        assert app.table.visible_rows == 10
        assert [line.split()[0] for line in app.lines[2:11]] == [str(n) for n in range(2, 11)]
        assert "490 more" in app.lines[-1]


async def test_a_resize_brings_the_cursor_back_into_view() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 30)) as pilot:
        await shown(pilot, page_of(), 20)
        await pilot.resize_terminal(80, 8)
        await pilot.pause()
        assert any(line.startswith("›") and "␣w20" in line for line in app.lines)


async def test_the_view_moves_no_more_than_it_must() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(), 9)
        assert app.table.top == 0
        await shown(pilot, page_of(), 12)
        assert app.table.top == 3
        await shown(pilot, page_of(), 5)
        assert app.table.top == 3


async def test_the_cursor_is_seen_on_a_pinned_row_and_another_step_begins_at_its_top() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        page = page_of()
        rows = [row._replace(taken=row.id == 30) for row in page.rows]
        await shown(pilot, page._replace(rows=rows), 30)
        assert app.table.top == 0
        assert app.lines[10].split()[:3] == ["┊", "490", "more"]
        assert app.lines[11].startswith("›●")
        assert app.lines[11].split()[1] == "31"
        await pilot.click(CandidateTable, offset=(10, 11))
        await pilot.click(CandidateTable, offset=(10, 10))
        assert app.seen == [("Highlighted", 30)]
        await shown(pilot, page, 35)
        assert app.table.top == 26
        await shown(pilot, page._replace(step=1), 30)
        assert app.table.top == 21
        await shown(pilot, page._replace(rows=rows, step=2), 30)
        assert app.table.top == 0


async def test_a_click_asks_for_the_cursor_and_a_double_click_for_the_token() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(), 12)
        await pilot.click(CandidateTable, offset=(10, 3))
        assert app.seen == [("Highlighted", 5)]
        app.seen.clear()
        await pilot.click(CandidateTable, offset=(10, 4), times=2)
        assert app.seen[-1] == ("Picked", 6)
        app.seen.clear()
        await pilot.click(CandidateTable, offset=(10, 0))
        await pilot.click(CandidateTable, offset=(10, 11))
        assert app.seen == []


async def test_the_wheel_asks_for_the_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(), 1)
        await pilot._post_mouse_events([_wheel("Down")], CandidateTable, button=0)
        await pilot._post_mouse_events([_wheel("Up")], CandidateTable, button=0)
        assert app.seen == [("Highlighted", 4), ("Highlighted", 0)]


def _wheel(direction: str) -> type:
    from textual import events

    wheel: type = getattr(events, f"MouseScroll{direction}")
    return wheel


async def test_rows_that_are_missing_are_asked_for_once() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(15), 20)
        await shown(pilot, page_of(15), 20)
        assert app.seen == [("PageWanted", 11)]
        assert any("…" in line for line in app.lines)
        await shown(pilot, page_of(20, 11), 20)
        assert app.seen == [("PageWanted", 11)]
        assert any(line.startswith("›") and "␣w20" in line for line in app.lines)


async def test_the_cursor_row_is_lit_from_edge_to_edge() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(), 1)
        for theme in ("tokexplore-dark", LIGHT.name):
            app.theme = theme
            await pilot.pause()
            quiet = app.table.rich_style.bgcolor
            lit = {style.bgcolor for text, style, _ in app.table.render_line(2) if style and text}
            assert len(lit) == 1
            assert quiet not in lit
            plain = {style.bgcolor for text, style, _ in app.table.render_line(3) if style and text}
            assert plain == {quiet}


async def test_columns_and_units_change_on_demand() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of())
        assert "id" not in app.lines[0].split()
        app.table.cycle_columns()
        assert "id" in app.lines[0].split()
        app.table.bits = True
        assert "bits" in app.lines[0].split()
        assert "-1.4427" in app.lines[1]


@pytest.mark.parametrize("data", [b"\x1b[31m", b"\x9d0;t\x07", b"[/x]", b"[bold]", b"arr[i]"])
async def test_hostile_tokens_reach_the_screen_as_text(data: bytes) -> None:
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(texts={3: visible(data)}))
        assert visible(data) in app.lines[4]
        assert visible(data).split()[0] in app.export_screenshot().replace("&#160;", " ").replace(
            "&lt;", "<"
        ).replace("&gt;", ">")


async def test_without_colour_every_mark_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = TableApp()
    async with app.run_test(size=(80, 12)) as pilot:
        await shown(pilot, page_of(), 0)
        assert app.lines[1].startswith("›●")
        assert "█" in app.lines[1]


@pytest.mark.parametrize("width", [40, 84, 120])
async def test_words_in_the_place_of_rows_are_never_cut(width: int) -> None:
    said = (
        "the model is loading; a prompt can be typed meanwhile (p) · needs 0.02 GB for weights, "
        "0.03 GB for the context, and 14.1 GB of 16.4 GB are free"
    )
    app = TableApp()
    async with app.run_test(size=(width, 12)) as pilot:
        app.table.empty_text = said
        app.table.show(None)
        await pilot.pause()
        assert " ".join(" ".join(app.lines).split()) == said


async def test_the_headings_say_rank_and_id() -> None:
    app = TableApp()
    async with app.run_test(size=(120, 12)) as pilot:
        app.table.show(page_of(), 0)
        await pilot.pause()
        assert app.lines[0].split()[:3] == ["rank", "token", "id"]
        at = app.lines[0].index("rank") + len("rank")
        assert app.lines[1][:at].split()[-1] == "1", "ranks end under their heading"
