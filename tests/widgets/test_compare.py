"""Branches side by side: where texts meet again, wrapping, alignment, drawing, scrolling."""

import random
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult
from textual.pilot import Pilot

from tokexplore.models.display import safe_text
from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.compare import CompareView
from tokexplore.widgets.compare_drawing import CompareStyles, line_segments, shared_strip
from tokexplore.widgets.compare_rows import (
    NARROWEST,
    CompareCell,
    CompareColumn,
    Line,
    Meeting,
    Mode,
    Wrapper,
    column_widths,
    meeting,
    rows_of,
    shown,
)
from tokexplore.widgets.heat import LEVELS
from tokexplore.widgets.numbers import logprob_text

STYLES = CompareStyles(
    *(Style(color=f"color({n})") for n in range(6)),
    heat=tuple(Style(bgcolor=f"color({n})") for n in range(100, 100 + LEVELS)),
)

tokens = st.lists(
    st.builds(
        CompareCell,
        st.text(" abc中[]/é⏎\n\t\x1b", max_size=50),
        st.none() | st.floats(0, 40),
        st.integers(-1, LEVELS - 1),
    ),
    max_size=60,
)
modes: st.SearchStrategy[Mode] = st.sampled_from(["text", "tokens"])


def words(text: str) -> list[CompareCell]:
    return [CompareCell(f" {word}", 1.0, 2) for word in text.split()]


def column(cells: Sequence[CompareCell], number: int = 1, **changes: object) -> CompareColumn:
    made = CompareColumn(number, f"b{number}", cells, -1.25, -2.5)
    return made._replace(**changes)  # type: ignore[arg-type]


def wrapped(cells: Sequence[CompareCell], width: int, breaks: Sequence[int] = ()) -> Wrapper:
    wrapper = Wrapper(width, breaks, "text")
    assert wrapper.extend(cells)
    return wrapper


# Where they meet again


def brute_meeting(a: Sequence[int], b: Sequence[int], run: int) -> tuple[int, int] | None:
    for i in range(len(a) - run + 1):
        for j in range(len(b) - run + 1):
            if list(a[i : i + run]) == list(b[j : j + run]):
                return i, j
    return None


@given(
    st.lists(st.integers(0, 2), max_size=30),
    st.lists(st.integers(0, 2), max_size=30),
    st.integers(1, 5),
)
def test_meeting_is_the_first_place_of_a_run(a: list[int], b: list[int], run: int) -> None:
    assert meeting(a, b, run) == brute_meeting(a, b, run)


def test_a_run_of_seven_is_not_a_meeting_and_one_of_eight_is() -> None:
    run = list(range(100, 108))
    assert meeting([1, 2, 3, *run[:7], 4], [5, *run[:7], 6]) is None
    assert meeting([1, 2, 3, *run, 4], [5, *run, 6]) == (3, 1)
    assert meeting(run, run) == (0, 0)
    assert meeting([], run) is None


# Wrapping


@given(tokens, st.integers(1, 60), modes)
def test_lines_cover_all_tokens_in_order(cells: list[CompareCell], width: int, mode: Mode) -> None:
    wrapper = Wrapper(width, (), mode)
    wrapper.extend(cells)
    assert wrapper.starts == sorted(set(wrapper.starts))
    assert wrapper.starts[:1] == [0][: len(cells)]
    if mode == "tokens":
        assert wrapper.starts == list(range(len(cells)))


@given(tokens, st.integers(1, 60), modes, st.integers(0, 60), st.sets(st.integers(0, 60)))
def test_a_stream_wraps_as_the_whole_would(
    cells: list[CompareCell], width: int, mode: Mode, seen: int, breaks: set[int]
) -> None:
    whole, stream = Wrapper(width, tuple(breaks), mode), Wrapper(width, tuple(breaks), mode)
    whole.extend(cells)
    assert stream.extend(cells[:seen])
    assert stream.extend(cells)
    assert stream.starts == whole.starts


def test_another_text_is_not_taken_for_a_continuation() -> None:
    wrapper = wrapped(words("one two three"), 20)
    assert not wrapper.extend(words("one two"))
    assert not wrapper.extend(words("one two four five"))


@given(tokens, st.integers(1, 60))
def test_nothing_is_cut_off_a_line_but_the_end_of_a_token_that_is_too_long(
    cells: list[CompareCell], width: int
) -> None:
    starts = wrapped(cells, width).starts
    for first, last in pairwise([*starts, len(cells)]):
        text = "".join(shown(cell.text) for cell in cells[first:last])
        assert cell_len(text.lstrip(" ")) <= width or last - first == 1


def test_a_word_of_several_tokens_is_not_broken() -> None:
    cells = [CompareCell(text, 1.0, 0) for text in ("one", " two", " thr", "ee", ".", " four")]
    assert wrapped(cells, 11).starts == [0, 2]
    chinese = [CompareCell(text, 1.0, 0) for text in "从前有一个国王"]
    assert wrapped(chinese, 6).starts == [0, 3, 6]


def test_a_line_ends_with_its_newline() -> None:
    cells = [CompareCell(text, 1.0, 0) for text in (" end", ".\n", "New", " line")]
    assert wrapped(cells, 40).starts == [0, 2]


# Alignment


@given(tokens, st.integers(1, 60), modes, st.integers(-1, LEVELS - 1))
def test_every_line_of_a_column_has_exactly_its_width(
    cells: list[CompareCell], width: int, mode: Mode, first: int
) -> None:
    made = column(cells, live=first > 2, ended="eos" if first == 2 else "")
    wrapper = Wrapper(width, (), mode)
    wrapper.extend(cells)
    kinds = [Line("head"), Line("numbers"), Line("blank")]
    if cells:
        kinds.append(Line("meets", 0))
    for row in rows_of([made], [wrapper], (), stacked=False):
        kinds += [one for _, one in row]
    for one in kinds:
        segments = line_segments(one, made, width, mode, STYLES)
        text = "".join(segment.text for segment in segments)
        assert all(segment.style is not None for segment in segments)
        if one.kind == "cells" and mode == "tokens" and width < 16:
            continue
        assert cell_len(text) == width


@given(st.integers(1, 250), st.integers(1, 4))
def test_columns_stand_side_by_side_only_where_they_have_room(cells: int, number: int) -> None:
    widths = column_widths(cells, number)
    if len(widths) > 1:
        assert len(widths) == number
        assert min(widths) >= NARROWEST
        assert sum(widths) + 3 * (number - 1) + 2 == cells
    assert len(column_widths(80, 2)) == 2
    assert len(column_widths(118, 4)) == 4
    assert len(column_widths(56, 2)) == 1


def test_texts_that_meet_again_are_brought_to_one_height() -> None:
    long, short = words("a b c d e f g h i j k l m n"), words("x y k l m n")
    meets: list[Meeting] = [(10, 2)]
    wrappers = [wrapped(long, 6, [10]), wrapped(short, 6, [2])]
    rows = rows_of([column(long), column(short, 2)], wrappers, meets, stacked=False)
    heights = [[one.kind for _, one in row] for row in rows]
    assert ["meets", "meets"] in heights
    at = heights.index(["meets", "meets"])
    assert rows[at + 1][0][1].first == 10
    assert rows[at + 1][1][1].first == 2
    shown = [one for row in rows for c, one in row if c == 0 and one.kind == "cells"]
    assert (shown[0].first, shown[-1].last) == (0, len(long))


def test_a_column_that_does_not_meet_goes_on_undisturbed() -> None:
    a, b, c = words("a b m n"), words("m n"), words("p q r s t")
    wrappers = [wrapped(a, 40, [2]), wrapped(b, 40, [0]), wrapped(c, 2, [])]
    columns = [column(a), column(b, 2), column(c, 3)]
    rows = rows_of(columns, wrappers, [(2, 0, None)], stacked=False)
    third = [row[2][1] for row in rows]
    assert [one.kind for one in third] == ["cells"] * 5


def test_stacked_columns_come_one_after_the_other_with_their_heads() -> None:
    a, b = words("a b m n"), words("m n")
    rows = rows_of(
        [column(a), column(b, 2)],
        [wrapped(a, 40, [2]), wrapped(b, 40, [0])],
        [(2, 0)],
        stacked=True,
    )
    assert [row[0][1].kind for row in rows] == [
        "head", "numbers", "cells", "meets", "cells", "blank", "head", "numbers", "meets", "cells",
    ]  # fmt: skip


# Drawing


def text_of(one: Line, made: CompareColumn, width: int = 60, mode: Mode = "text") -> str:
    return "".join(s.text for s in line_segments(one, made, width, mode, STYLES))


def test_heads_say_number_name_state_mean_and_sum() -> None:
    made = column(words("a b"), 3, live=True)
    assert text_of(Line("head"), made).split() == ["3", "b3", "▶"]
    assert text_of(Line("head"), made._replace(live=False, ended="eos")).split()[-2:] == [
        "■",
        "eos",
    ]
    assert text_of(Line("numbers"), made).rstrip() == "mean -1.25 · sum -2.50 · 2 tokens"


@given(st.floats(-9999, 0), st.floats(-99, 0), st.integers(0, 30), st.integers(0, 9), st.booleans())
def test_figures_are_shown_whole_or_not_at_all(
    total: float, mean: float, cells: int, given_cells: int, known: bool
) -> None:
    prompt = [CompareCell("a", 1.0, 1, given=True)] * given_cells
    made = column([*prompt, *[CompareCell("a", 1.0, 1)] * cells])
    known = known and cells > 0
    made = made._replace(mean=mean, sum=total) if known else made._replace(mean=None, sum=None)
    number = str(len(made.cells))
    if known and given_cells:
        number = f"{cells} of {number}"
    for room in (NARROWEST, 40, 80):
        said = text_of(Line("numbers"), made, room).rstrip()
        assert number in said
        assert ("mean" in said) == known
        assert "…" not in said
    if known:
        assert said.startswith(f"mean {logprob_text(mean, digits=2)} · sum ")
    assert ("of prompt" in said) == (given_cells > 0)


def test_a_column_whose_figures_are_not_of_all_its_tokens_says_of_how_many() -> None:
    cells = [
        CompareCell("a", 3.0, 1, given=True), CompareCell("b", None, 1, given=True),
        CompareCell("c", 1.0, 1), CompareCell("d", None, 1), CompareCell("e", 1.5, 1),
    ]  # fmt: skip
    made = column(cells)._replace(sum=None)
    assert text_of(Line("numbers"), made).rstrip() == (
        "mean -1.25 · 2 of 5 tokens · 2 of prompt · 1 not scored"
    )
    assert text_of(Line("cells", 0, 1), made, mode="tokens").startswith("    1^ a")
    assert text_of(Line("cells", 2, 3), made, mode="tokens").startswith("    3  c")


def test_the_figures_unit_says_what_they_are_of_where_there_is_prompt_after_the_fork() -> None:
    generated = column(words("a b"))
    with_prompt = column([CompareCell("a", 1.0, 1, given=True), *words("b")])
    for columns, said in (
        ([generated, generated], "  logprob since the fork, nats "),
        ([generated, with_prompt], "  logprob generated since the fork, nats "),
    ):
        assert shared_strip("Once", 9, columns, 90, STYLES).text.endswith(said)


def test_a_meeting_says_where_the_texts_meet() -> None:
    made = column(words("x and he went home again to his house and"))
    assert "═ meets again: “and he went home again to his house…”" in text_of(
        Line("meets", 1), made
    )


def test_tokens_carry_their_heat_and_the_space_before_them_does_not() -> None:
    segments = line_segments(Line("cells", 0, 2), column(words("a b")), 20, "text", STYLES)
    styles = {segment.text: segment.style for segment in segments if segment.text}
    assert styles["a"] == styles["b"] == STYLES.heat[2]
    assert styles[" "] == STYLES.base


def test_one_token_a_line_shows_its_surprisal() -> None:
    line = text_of(Line("cells", 1, 2), column(words("a b")), 40, "tokens")
    assert line.split() == ["2", "␣b", "1.00"]
    unknown = column([CompareCell("a", None, -1)])
    assert text_of(Line("cells", 0, 1), unknown, 40, "tokens").split() == ["1", "a"]


def test_the_shared_prefix_is_folded_to_its_end() -> None:
    strip = shared_strip("Once upon a time " * 20 + "there was a king", 100, (), 80, STYLES)
    assert cell_len(strip.text) == 80
    assert strip.text.startswith(" shared 100 tokens  …")
    assert "there was a king" in strip.text
    assert "nats" in strip.text


# The widget


class CompareApp(ThemedApp[None]):
    """A compare view alone."""

    def compose(self) -> ComposeResult:
        yield CompareView()

    @property
    def view(self) -> CompareView:
        return self.query_one(CompareView)

    @property
    def lines(self) -> list[str]:
        return [self.view.render_line(y).text for y in range(self.view.size.height)]


async def mounted(pilot: Pilot[None], *columns: CompareColumn) -> CompareApp:
    app = pilot.app
    assert isinstance(app, CompareApp)
    app.view.show(columns, "there was a king", 5)
    await pilot.pause()
    return app


async def test_side_by_side_when_wide_and_stacked_when_narrow() -> None:
    app = CompareApp()
    async with app.run_test(size=(90, 14)) as pilot:
        await mounted(pilot, column(words("alpha beta")), column(words("gamma delta"), 2))
        assert any("alpha beta" in line and "gamma delta" in line for line in app.lines)
        await pilot.resize_terminal(50, 14)
        await pilot.pause()
        assert any("alpha beta" in line for line in app.lines)
        assert not any("alpha beta" in line and "gamma delta" in line for line in app.lines)
        assert {cell_len(line) for line in app.lines} == {app.view.scrollable_content_region.width}


async def test_columns_scroll_together_under_heads_that_stay() -> None:
    app = CompareApp()
    async with app.run_test(size=(90, 10)) as pilot:
        first = words(" ".join(f"a{n}" for n in range(400)))
        second = words(" ".join(f"b{n}" for n in range(400)))
        await mounted(pilot, column(first), column(second, 2))
        app.view.focus()
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert "b1" in app.lines[1]
        assert "a0" not in app.lines[4]
        assert any("a3" in line and "b3" in line for line in app.lines[4:])


async def test_a_live_column_keeps_its_end_in_view_unless_the_user_looks_elsewhere() -> None:
    app = CompareApp()
    async with app.run_test(size=(90, 10)) as pilot:
        known = column(words("one two"))
        for count in range(0, 300, 30):
            live = words(" ".join(f"t{n}" for n in range(count)))
            await mounted(pilot, known, column(live, 2, live=True))
        assert any("t269" in line for line in app.lines)
        app.view.scroll_to(y=0, animate=False, immediate=True)
        live += words("more " * 60)
        await mounted(pilot, known, column(live, 2, live=True))
        assert any("t0" in line for line in app.lines)


async def test_the_mode_changes_between_text_and_tokens() -> None:
    app = CompareApp()
    async with app.run_test(size=(90, 14)) as pilot:
        await mounted(pilot, column(words("alpha beta")), column(words("gamma delta"), 2))
        assert app.view.toggle_mode() == "tokens"
        assert any("1  ␣alpha" in line and "1  ␣gamma" in line for line in app.lines)
        assert app.view.toggle_mode() == "text"


async def test_hostile_tokens_are_shown_literally() -> None:
    app = CompareApp()
    async with app.run_test(size=(90, 14)) as pilot:
        hostile = ("\x1b[31m", "[/x]", "[bold]", "arr[i]", "\u202e")
        await mounted(pilot, column([CompareCell(t, 1.0, 1) for t in hostile]), column([], 2))
        assert "".join(map(safe_text, hostile)) in "".join(app.lines)
        assert all(line.isprintable() for line in app.lines)


def test_long_random_branches_are_quick_to_extend() -> None:
    rng = random.Random(3)
    cells = [CompareCell(f" w{rng.randrange(999)}", 1.0, 1) for _ in range(5_000)]
    wrapper = wrapped(cells[:4_999], 40)
    before = list(wrapper.starts)
    assert wrapper.extend(cells)
    assert wrapper.starts[: len(before)] == before
