"""The branch list: the tree drawn exactly, only what is on screen asked for, messages."""

from collections.abc import Sequence
from typing import overload

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult
from textual.pilot import Pilot

from tokexplore.models.display import safe_text, visible
from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.branch_rows import (
    BranchRow,
    BranchStyles,
    columns_for,
    guides,
    head_strip,
    row_strip,
    tree_text,
    words_strip,
)
from tokexplore.widgets.branches import BranchList

STYLES = BranchStyles(*(Style(color=f"color({n})") for n in range(9)))

texts = st.binary(max_size=40).map(visible) | st.sampled_from(["␣中文字", "[/x]", "[bold]", ""])
branch_rows = st.builds(
    BranchRow,
    number=st.integers(1, 99_999),
    depth=st.integers(0, 40),
    fork_step=st.none() | st.integers(1, 10**6),
    fork_position=st.none() | st.integers(0, 10**6),
    token=texts,
    length=st.integers(0, 10**6),
    mean_logprob=st.none() | st.floats(-100, 0),
    words=texts,
    current=st.booleans(),
    hidden=st.booleans(),
    live=st.booleans(),
    marked=st.booleans(),
    name=texts,
    ended=st.sampled_from(["", "eos", "length"]),
    total_logprob=st.none() | st.floats(-10_000, 0),
)


def branch(number: int, depth: int = 1, **changes: object) -> BranchRow:
    row = BranchRow(number, depth, number, f"␣w{number}", 10 + number, -1.5, f"words {number}")
    return row._replace(**changes)  # type: ignore[arg-type]


def drawn(row: BranchRow, cells: int = 40, going: Sequence[bool] = (True,)) -> str:
    return row_strip(row, going, columns_for(cells), STYLES, cursor=False).text


@given(branch_rows, st.integers(1, 200), st.booleans(), st.data())
def test_every_line_has_exactly_the_width(
    row: BranchRow, cells: int, flag: bool, data: st.DataObject
) -> None:
    going = data.draw(st.lists(st.booleans(), min_size=row.depth, max_size=row.depth))
    columns = columns_for(cells, words_beside=flag)
    for strip in (
        row_strip(row, going, columns, STYLES, cursor=flag),
        words_strip(row, going, flag, columns, STYLES),
        head_strip(columns, STYLES),
    ):
        assert cell_len(strip.text) == strip.cell_length == cells
        assert all(segment.style is not None for segment in strip)


def plain_guides(depths: Sequence[int], index: int) -> list[bool]:
    """The definition, word by word: is there a later row on that level before a shallower one?"""
    result = []
    for level in range(1, depths[index] + 1):
        later = next((d for d in depths[index + 1 :] if d <= level), 0)
        result.append(later == level)
    return result


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.data())
def test_guides_follow_their_definition_in_any_window(
    depths: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(depths)))
    last = data.draw(st.integers(first, len(depths)))
    expected = [plain_guides(depths, index) for index in range(first, last)]
    assert guides(depths, first, last) == expected


def test_the_tree_is_drawn_with_lines() -> None:
    depths = [0, 1, 2, 3, 2, 1]
    drawn_tree = [
        tree_text(going, str(n), 8).rstrip()
        for n, going in enumerate(guides(depths, 0, len(depths)), start=1)
    ]
    assert drawn_tree == ["1", "├2", "│├3", "││└4", "│└5", "└6"]


def test_a_deep_branch_keeps_its_number_and_loses_its_outer_lines() -> None:
    assert tree_text([True] * 30, "1234", 8) == "…││├1234"
    assert tree_text([True] * 30, "1234", 4) == "1234"


@pytest.mark.parametrize("cells", [34, 40, 59, 70, 120])
@pytest.mark.parametrize("step", [2, 999, 9_999])
@pytest.mark.parametrize("number", [5, 215, 4321])
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_a_number_and_its_step_stand_apart(depth: int, number: int, step: int, cells: int) -> None:
    row = branch(number, depth, fork_step=step, token="␣son")
    first, second, third, *_ = drawn(row, cells, [True] * depth).split()
    assert first.endswith(str(number))
    assert (second, third) == (f"@{step}", "␣son")


def test_a_number_has_its_lines_where_its_step_leaves_them_room() -> None:
    assert drawn(branch(215, 2, fork_step=2), going=(True, True)).startswith("  │├215 @2")
    assert drawn(branch(215, 2, fork_step=None), going=(True, True)).startswith("  │├215  ")


def test_a_row_says_everything_it_knows() -> None:
    text = drawn(branch(2, token="␣son", length=23, mean_logprob=-1.444, fork_step=1))
    assert text.split() == ["├2", "@1", "␣son", "23", "-1.44"]
    assert drawn(branch(1, 0, fork_step=None, token="", name="main"), going=()).split()[:2] == [
        "1",
        "main",
    ]
    assert "-1.44" not in drawn(branch(2, mean_logprob=None))


def test_a_wide_list_has_the_probability_of_all_tokens_since_the_fork() -> None:
    for total, mass in ((-2.0, "13.53%"), (-40.0, "4.25e-18"), (None, "-1.50")):
        assert drawn(branch(2, total_logprob=total), 70).split()[-1] == mass
    assert "13.53%" not in drawn(branch(2, total_logprob=-2.0), 59)


def test_states_have_signs_that_need_no_colour() -> None:
    assert drawn(branch(2, current=True)).startswith(" ●")
    assert drawn(branch(2, current=True, live=True)).startswith(" ▶")
    assert drawn(branch(2, hidden=True)).startswith(" ×")
    assert "2◆" in drawn(branch(2, marked=True))
    words = words_strip(branch(2, ended="eos"), (True,), False, columns_for(40), STYLES)
    assert "■ eos" in words.text
    stopped = words_strip(branch(2, ended="interrupted"), (True,), False, columns_for(40), STYLES)
    assert "‖ words 2" in stopped.text


class LazyRows(Sequence[BranchRow]):
    """Rows made on demand, counting how many were."""

    def __init__(self, count: int) -> None:
        self.count, self.made = count, 0
        self.depths = [min(1, index) for index in range(count)]

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> BranchRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[BranchRow]: ...
    def __getitem__(self, index: int | slice) -> BranchRow | list[BranchRow]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self.count))]
        self.made += 1
        return branch(index + 1, min(1, index))


class ListApp(ThemedApp[None]):
    """A branch list alone, and what it asked for."""

    def __init__(self, focusable: bool = False) -> None:
        super().__init__()
        self.focusable = focusable
        self.seen: list[tuple[str, int]] = []

    def compose(self) -> ComposeResult:
        yield BranchList(focusable=self.focusable)

    def on_branch_list_highlighted(self, event: BranchList.Highlighted) -> None:
        assert event.control is self.list
        self.seen.append(("Highlighted", event.number))

    def on_branch_list_chosen(self, event: BranchList.Chosen) -> None:
        self.seen.append(("Chosen", event.number))

    @property
    def list(self) -> BranchList:
        return self.query_one(BranchList)

    @property
    def lines(self) -> "list[str]":  # type: ignore[valid-type]
        return [self.list.render_line(y).text for y in range(self.list.size.height)]


async def shown(pilot: Pilot[None], rows: Sequence[BranchRow], cursor: int = 0) -> None:
    app = pilot.app
    assert isinstance(app, ListApp)
    app.list.show(rows, cursor, getattr(rows, "depths", None))
    await pilot.pause()


async def test_two_lines_a_branch_where_there_is_room_and_one_where_not() -> None:
    app = ListApp()
    async with app.run_test(size=(40, 9)) as pilot:
        await shown(pilot, [branch(n) for n in range(1, 5)])
        assert app.list.visible_rows == 4
        assert "words 1" in app.lines[2]
        await shown(pilot, [branch(n) for n in range(1, 6)])
        assert app.list.visible_rows == 8
        assert not any("words" in line for line in app.lines)


async def test_a_wide_list_has_the_words_beside_the_numbers() -> None:
    app = ListApp()
    async with app.run_test(size=(80, 9)) as pilot:
        await shown(pilot, [branch(n) for n in range(1, 4)])
        assert "words 1" in app.lines[1]
        assert "-1.50" in app.lines[1]


async def test_only_rows_on_screen_are_made() -> None:
    app = ListApp()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = LazyRows(10_000)
        await shown(pilot, rows, 5_000)
        assert app.lines[-1].startswith("› 5001 @5001 ")
        assert rows.made < 100


async def test_clicks_choose_and_go() -> None:
    app = ListApp()
    async with app.run_test(size=(40, 9)) as pilot:
        await shown(pilot, [branch(n) for n in range(1, 5)])
        await pilot.click(BranchList, offset=(10, 4))
        assert app.seen == [("Highlighted", 2)]
        app.seen.clear()
        await pilot.click(BranchList, offset=(10, 5), times=2)
        assert app.seen[-1] == ("Chosen", 3)
        app.seen.clear()
        await pilot.click(BranchList, offset=(10, 0))
        assert app.seen == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("down", ("Highlighted", 3)),
        ("j", ("Highlighted", 3)),
        ("up", ("Highlighted", 1)),
        ("end", ("Highlighted", 9)),
        ("home", ("Highlighted", 1)),
        ("pagedown", ("Highlighted", 7)),
        ("enter", ("Chosen", 2)),
    ],
)
async def test_keys_of_a_list_that_has_the_focus(key: str, expected: tuple[str, int]) -> None:
    app = ListApp(focusable=True)
    async with app.run_test(size=(40, 6)) as pilot:
        await shown(pilot, [branch(n) for n in range(1, 10)], 1)
        app.list.focus()
        await pilot.press(key)
        assert app.seen == [expected]


async def test_a_list_beside_the_table_leaves_the_keys_to_the_screen() -> None:
    app = ListApp()
    async with app.run_test(size=(40, 6)) as pilot:
        await shown(pilot, [branch(n) for n in range(1, 10)], 1)
        await pilot.press("down", "tab", "down", "enter")
        assert app.seen == []


async def test_hostile_names_and_words_are_shown_literally() -> None:
    app = ListApp()
    async with app.run_test(size=(80, 6)) as pilot:
        name, words = "\x1b]0;x\x07", "\u202e[/b] [red]"
        await shown(pilot, [branch(1, 0, token="", name=name, words=words)])
        assert safe_text(name) in app.lines[1]
        assert safe_text(words) in app.lines[1]
        assert app.lines[1].isprintable()
