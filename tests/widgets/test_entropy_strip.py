"""The entropy strip: no peak lost, nothing unknown drawn as zero, every row exactly as wide."""

import math
from collections.abc import Collection
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual import on
from textual.app import ComposeResult

from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.entropy_strip import (
    BARS,
    EntropyStrip,
    Series,
    StripLooks,
    Watched,
    draw_strip,
    frame,
    index_at,
    squeeze,
)

LOOKS = StripLooks(*(Style(color=f"color({n})") for n in (10, 15, 20, 30, 40, 50)))

values = st.lists(st.just(math.nan) | st.floats(0, 12), max_size=300)


def series_of(
    steps: list[float],
    close: Collection[int] = frozenset(),
    cursor: int | None = None,
    first_step: int = 1,
) -> Series:
    numbers = np.maximum(0, np.arange(first_step, first_step + len(steps) + 1))
    return Series(np.array(steps, np.float64), np.array(sorted(close), np.int64), numbers, cursor)


def rows(series: Series, columns: int) -> list[str]:
    return [strip.text for strip in draw_strip(series, columns, LOOKS)]


@given(values, st.integers(1, 130), st.integers(0, 400), st.sets(st.integers(0, 299)))
def test_both_rows_have_exactly_the_cells(
    steps: list[float], columns: int, cursor: int, close: set[int]
) -> None:
    close = {index for index in close if index < len(steps)}
    series = series_of(steps, close, cursor if cursor < len(steps) else None)
    for strip in draw_strip(series, columns, LOOKS):
        assert strip.cell_length == columns == len(strip.text)
        assert all(segment.style is not None for segment in strip)


@given(values, st.integers(20, 130))
def test_the_peak_is_always_there(steps: list[float], columns: int) -> None:
    shape = frame(series_of(steps), columns)
    cells = squeeze(np.array(steps, np.float64), shape.per)
    known = [value for value in steps if not math.isnan(value)]
    assert len(cells) <= shape.room
    assert max((c for c in cells if not math.isnan(c)), default=None) == max(known, default=None)
    if known and max(known) >= 1:
        assert BARS[-1] in rows(series_of(steps), columns)[0]


@given(values.filter(bool), st.integers(20, 130))
def test_a_click_on_a_bar_finds_the_step_that_it_shows(steps: list[float], columns: int) -> None:
    series = series_of(steps)
    shape = frame(series, columns)
    for cell, value in enumerate(squeeze(np.array(steps, np.float64), shape.per)):
        index = index_at(series, columns, len(shape.left) + cell)
        assert index is not None
        assert math.isnan(value) or steps[index] == value
    assert index_at(series, columns, columns) is None
    assert index_at(series, columns, -1) is None


def test_a_known_zero_is_found_among_steps_that_are_not_known() -> None:
    series = series_of([math.nan] * 13 + [0.0, 10.0, math.nan] + [math.nan] * 30)
    shape = frame(series, 20)
    for cell, value in enumerate(squeeze(series.values, shape.per)):
        index = index_at(series, 20, len(shape.left) + cell)
        assert index is not None
        assert math.isnan(value) or series.values[index] == value


def test_bars_scale_and_numbers() -> None:
    series = series_of([4.0, 2.0, math.nan, 0.0, 0.5] + [1.0] * 8)
    assert rows(series, 70)[0].rstrip() == "entropy █▄ ▁▁▂▂▂▂▂▂▂▂ 4.0 nats"
    assert rows(series, 70)[1].rstrip() == "        1         11"
    assert rows(series, 40)[0].rstrip() == "█▄ ▁▁▂▂▂▂▂▂▂▂ 4.0"


def test_low_entropies_are_not_blown_up() -> None:
    assert rows(series_of([0.01, 0.02]), 40)[0].rstrip() == "▁▁ 1.0"


def test_squeezed_cells_say_so() -> None:
    steps = [0.0] * 100
    steps[41] = 5.0
    bars, numbers = rows(series_of(steps), 40)
    assert bars.count("█") == 1
    assert numbers[bars.index(" 5.0") :].rstrip() == " max of 4"
    assert numbers.split()[:3] == ["1", "41", "81"]


def test_the_current_step_and_close_calls_are_marked() -> None:
    series = series_of([1.0] * 30, {3, 12, 20}, cursor=13)  # step 21 is a close call too
    bars, numbers = draw_strip(series, 50, LOOKS)
    assert numbers.text.rstrip() == "1  ≈         14     21"
    assert [s.text for s in numbers if s.style == LOOKS.here] == ["1", "4"]
    assert [s.text for s in bars if s.style == LOOKS.here] == ["█"]
    assert sum(len(s.text) for s in bars if s.style == LOOKS.close_bar) == 3


def test_marks_leave_a_gap_around_numbers() -> None:
    marked = series_of([1.0] * 50, set(range(50)), cursor=15)
    strip = rows(marked._replace(flips=np.arange(30, 50)), 59)[1]
    assert strip.startswith("1 ≈≈≈≈≈≈≈ 11 ≈ 16 ≈ 21 ≈≈≈≈≈≈ 31 ▲▲▲▲▲▲ 41 ▲")


def test_squeezed_marks_leave_a_gap_around_numbers() -> None:
    _, numbers = rows(series_of([1.0] * 60, set(range(60)), cursor=40), 40)
    assert numbers.startswith("1 ≈≈≈≈≈≈≈ 21 ≈≈≈≈≈≈ 41 ≈≈≈≈")


def test_prompt_tokens_go_without_a_number() -> None:
    series = series_of([1.0] * 30, cursor=4, first_step=-10)
    assert rows(series, 50)[1].rstrip() == "    ^      1         11"
    assert rows(series_of([1.0] * 11, cursor=4, first_step=-10), 50)[1].rstrip() == "    ^"


def test_a_turn_between_the_steps_is_not_counted() -> None:
    numbers = [0] * 4 + list(range(1, 9)) + [0] * 6 + list(range(9, 30))
    for cursor, shown in (
        (3, "^"),
        (11, "8"),
        (12, "^"),
        (17, "^"),
        (18, "9"),
        (37, "28"),
        (38, "29"),
    ):
        series = series_of([1.0] * 38, cursor=cursor)._replace(steps=np.array(numbers))
        strips = draw_strip(series, 60, LOOKS)
        here = "".join(s.text for s in strips[1] if s.style == LOOKS.here)
        assert here == shown
    series = series_of([1.0] * 38)._replace(steps=np.array(numbers))
    # From the first step on every tenth cell tells its number, where it is a step.
    assert rows(series, 60)[1].split() == ["1", "15", "25"]


@given(st.integers(0, 7000), st.integers(0, 400), st.integers(12, 200), st.data())
def test_a_prompt_is_squeezed_before_the_steps_are(
    prompt: int, steps: int, columns: int, data: st.DataObject
) -> None:
    values = np.zeros(prompt + steps)
    for index in data.draw(st.lists(st.integers(0, max(0, prompt + steps - 1)), max_size=5)):
        values[index : index + 1] = 5.0
    series = series_of(values.tolist(), first_step=1 - prompt)
    shape = frame(series, columns)
    shown = shape.squeezed(values)
    assert len(shown) <= shape.room
    cells = shape.cells(np.arange(prompt + steps)).tolist()
    assert all(shown[cell] >= value for cell, value in zip(cells, values, strict=True))
    assert all(0 <= b - a <= 1 for a, b in pairwise(cells))
    if steps <= shape.room * 3 // 4:
        assert shape.per == 1, "the steps have room"
    for cell, value in enumerate(shown):
        index = index_at(series, columns, len(shape.left) + cell)
        assert index is not None
        assert (values[index], cells[index]) == (value, cell)


def test_twenty_steps_after_a_long_prompt_stand_alone() -> None:
    series = series_of([1.0] * 6000, {5985}, 5999, first_step=-5979)
    bars, numbers = rows(series, 120)
    shape = frame(series, 120)
    assert shape.per == 1
    assert bars.split(" ")[1] == "█" * len(shape.squeezed(series.values))
    tail = numbers[len(shape.left) + shape.prompt_cells :].rstrip()
    assert tail.startswith("1    ≈    11")
    assert tail.endswith(f"max of {shape.prompt_per} ^")


def test_the_cursor_shows_on_a_step_that_is_not_known() -> None:
    bars, _ = draw_strip(series_of([1.0, math.nan], cursor=1), 30, LOOKS)
    assert [s.text for s in bars if s.style == LOOKS.here] == ["·"]


def test_a_watched_token_has_a_bar_under_each_step() -> None:
    watched = Watched("␣king", np.array([0.0, -8.0, math.nan, -40.0]))
    series = series_of([1.0] * 4, cursor=2)._replace(watched=(watched,))
    *_, row = draw_strip(series, 70, LOOKS)
    assert row.text.rstrip() == "␣king   █▄·▁"
    assert row.cell_length == 70
    wide = Watched("日本語の長い", np.array([-1.0] * 400))
    for columns in (30, 70):
        series = series_of([1.0] * 400)._replace(watched=(wide, wide))
        for strip in draw_strip(series, columns, LOOKS):
            assert strip.cell_length == columns


class StripApp(ThemedApp[None]):
    picked: int | None = None

    def compose(self) -> ComposeResult:
        yield EntropyStrip()

    @on(EntropyStrip.Picked)
    def keep(self, message: EntropyStrip.Picked) -> None:
        self.picked = message.index


async def test_the_widget_shows_and_answers_a_click() -> None:
    app = StripApp()
    async with app.run_test(size=(62, 4)) as pilot:
        strip = app.query_one(EntropyStrip)
        strip.show([1.0, 2.0, 0.5], steps=range(7, 11), close=[1], cursor=2)
        await pilot.pause()
        assert strip.render_line(0).text.rstrip() == "entropy ▄█▂ 2.0 nats"
        assert strip.render_line(1).text.rstrip() == "          9"
        await pilot.click(EntropyStrip, offset=(1 + 9, 0))
        assert app.picked == 1
        await pilot.resize_terminal(30, 4)
        await pilot.pause()
        assert strip.render_line(0).text.rstrip() == "▄█▂ 2.0"
