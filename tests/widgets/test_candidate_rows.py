"""Drawing the candidate table: exact widths, exact figures, hostile text kept literal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import visible
from tokexplore.widgets.candidate_drawing import (
    CandidateStyles,
    head_strip,
    message_strip,
    rest_strip,
    row_strip,
)
from tokexplore.widgets.candidate_rows import (
    COLUMN_SETS,
    CandidatePage,
    CandidateRow,
    ColumnSet,
    columns_for,
    next_column_set,
    rank_digits,
    rest_of,
    window_of,
)

STYLES = CandidateStyles(*(Style(color=f"color({n})") for n in range(15)))
LIT = STYLES.on(Style(bgcolor="color(200)"))


def candidate(index: int = 0, **changes: object) -> CandidateRow:
    row = CandidateRow(
        rank=index + 1,
        tied=False,
        text=f"␣word{index}",
        special=False,
        id=1000 + index,
        logprob=-1.0 - index / 4,
        cumulative=min(1.0, 0.1 * (index + 1)),
        sampler=0.1,
    )
    return row._replace(**changes)  # type: ignore[arg-type]


def page_of(count: int, total: int = 4096, first: int = 0, **changes: object) -> CandidatePage:
    rows = [candidate(index) for index in range(first, first + count)]
    page = CandidatePage(rows, first, total, total - first - count, 0.25, -1.0)
    return page._replace(**changes)  # type: ignore[arg-type]


def drawn(row: CandidateRow, width: int = 100, **options: object) -> Strip:
    known = {"cursor": False, "bits": False, "top_logprob": -1.0, "styles": STYLES} | options
    return row_strip(row, columns_for(width), **known)  # type: ignore[arg-type]


def styled(strip: Strip, text: str) -> Style:
    """The style of the segment that holds `text`."""
    return next(style for part, style, _ in strip if text in part and style is not None)


texts = st.binary(max_size=30).map(visible) | st.sampled_from(
    ["␣中文字符很长", "[/x]", "[bold]", "arr[i]", "a" * 300, "é̂", "　", "👨‍👩‍👧"]
)
rows = st.builds(
    CandidateRow,
    rank=st.integers(1, 999_999),
    tied=st.booleans(),
    text=texts,
    special=st.booleans(),
    id=st.integers(0, 999_999),
    logprob=st.floats(-200, 0) | st.just(-math.inf),
    cumulative=st.none() | st.floats(0, 1),
    sampler=st.none() | st.floats(0, 1),
    cut=st.sampled_from(["", "p .75", "k 40", "min-p .0625"]),
    tie=st.booleans(),
    taken=st.booleans(),
    branches=st.lists(st.integers(1, 99_999), max_size=5).map(tuple),
    sampler_high=st.none() | st.floats(0, 1),
    character=st.just("") | texts,
)


@given(rows, st.integers(1, 220), st.sampled_from(COLUMN_SETS), st.booleans(), st.integers(1, 6))
def test_every_row_has_exactly_the_width(
    row: CandidateRow, width: int, column_set: ColumnSet, flag: bool, digits: int
) -> None:
    columns = columns_for(width, column_set, digits)
    strips = [
        row_strip(row, columns, -0.5, STYLES, cursor=flag, bits=flag),
        head_strip(columns, row.text, STYLES, bits=flag),
        rest_strip(columns, row.id, row.sampler, row.text, STYLES, skipped=flag),
        message_strip(width, row.text, STYLES.muted),
    ]
    for strip in strips:
        assert cell_len(strip.text) == strip.cell_length == width
        assert all(segment.style is not None for segment in strip)


def test_wide_characters_do_not_shift_the_columns_after_them() -> None:
    plain, wide = drawn(candidate(text="abcd")), drawn(candidate(text="中文"))
    assert cell_len(plain.text.split("1000")[0]) == cell_len(wide.text.split("1000")[0])


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (200, ("id", "logprob", "model", "cum", "sampler"), ()),
        (100, ("id", "logprob", "model", "cum", "sampler"), ()),
        (80, ("logprob", "model", "cum", "sampler"), ("id",)),
        (50, ("token", "logprob", "model", "sampler"), ("id", "cum")),
        (38, ("token", "model", "sampler"), ("logprob",)),
        (24, ("token",), ("sampler", "logprob")),
    ],
)
def test_columns_leave_in_the_order_of_their_worth(
    width: int, shown: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    head = head_strip(columns_for(width), "", STYLES, bits=False).text
    assert all(name in head.split() for name in shown)
    assert not any(name in head.split() for name in left_out)


@given(st.integers(26, 220), st.sampled_from(COLUMN_SETS), st.integers(1, 6))
def test_the_token_always_keeps_room(width: int, column_set: ColumnSet, digits: int) -> None:
    assert columns_for(width, column_set, digits).token >= 8


def test_the_next_set_of_columns_always_looks_different() -> None:
    assert columns_for(80, next_column_set("standard", 80)).id
    for width in (50, 80, 120):
        seen: ColumnSet = "standard"
        following = next_column_set(seen, width)
        assert columns_for(width, following) != columns_for(width, seen)


def test_a_row_says_everything_it_knows() -> None:
    strip = drawn(candidate(rank=3, tied=True, text="␣son", id=803, logprob=-2.0898,
                            cumulative=0.3219, sampler=0.243, branches=(2,)))  # fmt: skip
    assert strip.text.split() == [
        "3=", "␣son", "┬2", "803", "-2.0898", "12.4%", *strip.text.split()[6:7], "32.2%", "24.3%",
    ]  # fmt: skip


def test_bits_are_nats_over_ln_2() -> None:
    assert "-2.0000" in drawn(candidate(logprob=-2 * math.log(2)), bits=True).text
    assert "-1.3863" in drawn(candidate(logprob=-2 * math.log(2)), bits=False).text


def test_bars_are_scaled_to_the_top_row() -> None:
    bar_cells = columns_for(100).bar
    for share in (1.0, 0.5, 0.25):
        strip = drawn(candidate(logprob=-1.0 + math.log(share)))
        full = strip.text.count("█")
        assert abs(full - share * bar_cells) <= 1


def test_a_cut_row_stays_in_place_greyed_with_its_reason() -> None:
    strip = drawn(candidate(cut="p .75", sampler=None))
    assert strip.text.rstrip().endswith("p .75")
    assert styled(strip, "p .75") == STYLES.cut
    assert styled(strip, "word0") == STYLES.cut
    assert styled(strip, "█") == STYLES.cut_bar
    kept = drawn(candidate())
    assert styled(kept, "word0") == STYLES.token
    assert styled(kept, "10.0%") in (STYLES.sampler, STYLES.muted)


def test_a_cut_inside_a_tie_is_marked_on_both_sides() -> None:
    assert drawn(candidate(tie=True)).text.rstrip().endswith("10.0% tie")
    assert drawn(candidate(cut="k 40", sampler=None, tie=True)).text.rstrip().endswith("k 40 tie")
    long = drawn(candidate(cut="min-p .1", sampler=None, tie=True))
    assert long.text.rstrip().endswith("min-p .1=")


def test_taken_and_cursor_have_marks_that_need_no_colour() -> None:
    assert drawn(candidate()).text.startswith("   ")
    assert drawn(candidate(taken=True)).text.startswith(" ●")
    both = drawn(candidate(taken=True), cursor=True, styles=LIT)
    assert both.text.startswith("›●")
    assert {segment.style.bgcolor.name for segment in both if segment.style and segment.text} == {
        "color(200)"
    }


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("row", [candidate(), candidate(taken=True, tied=True, rank=512)])
def test_a_row_chosen_for_futures_has_its_mark_in_the_gap_before_the_token(
    row: CandidateRow, width: int
) -> None:
    without, with_mark = drawn(row, width), drawn(row._replace(for_futures=True), width)
    at = without.text.index("␣") - 1
    assert without.text[at] == " "
    assert with_mark.text == without.text[:at] + "+" + without.text[at + 1 :]
    assert styled(with_mark, "+") == STYLES.here


def test_a_special_token_differs_from_a_text_that_looks_like_it() -> None:
    assert styled(drawn(candidate(text="</s>", special=True)), "</s>") == STYLES.special
    assert styled(drawn(candidate(text="</s>")), "</s>") == STYLES.token


def test_what_a_part_of_a_character_leads_to_stands_beside_it_where_there_is_room() -> None:
    row = candidate(text="<E4>", character="→ 一亡似 CJK", branches=(2,))
    assert "<E4> → 一亡似 CJK ┬2" in drawn(row, 120).text
    assert styled(drawn(row, 120), "一") == STYLES.muted
    assert "<E4> → 一亡… ┬2 " in drawn(row, 83).text
    assert "<E4> ┬2" in drawn(row, 40).text


def test_many_branches_are_counted_where_there_is_no_room() -> None:
    row = candidate(text="␣child", branches=(3, 5, 7, 11, 13, 17))
    assert "┬3,5,7,11,13,17" in drawn(row, 200).text
    assert "┬3+5" in drawn(row, 60).text


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b]52;c;aGk=\x07",
        b"\x1b[31mred",
        "\x9b31m".encode(),
        b"\xe6\x97",
        "\u202egnp.exe\u2066".encode(),
        "a\u200db".encode(),
        b"[/x]",
        b"[bold]",
        b"arr[i]",
        b"\r\n\t\x00\x7f",
    ],
)
def test_hostile_tokens_are_shown_literally(data: bytes) -> None:
    text = visible(data)
    strip = drawn(candidate(text=text), 200)
    assert text in strip.text
    raw = drawn(candidate(text=data.decode("utf-8", "replace")), 200)
    for segment in (*strip, *raw):
        assert segment.text.isprintable()
        assert not segment.control


# Which rows are in view


@given(
    st.integers(1, 400), st.integers(0, 399), st.integers(0, 400), st.integers(1, 40), st.booleans()
)
def test_the_cursor_is_always_in_the_window(
    total: int, cursor: int, top: int, height: int, outside: bool
) -> None:
    cursor = min(cursor, total - 1)
    row = candidate(total + 50, taken=True) if outside else None
    page = page_of(min(total, 256), total, outside=row)
    window = window_of(page, cursor, top, height)
    assert window.top <= cursor < window.top + window.rows
    assert window.top >= 0
    assert window.top + window.rows <= total
    assert window.rows + (window.pinned is not None) <= height
    assert window.rows == min(height - (window.pinned is not None), total)


def test_a_taken_row_below_the_window_is_pinned_at_its_rank() -> None:
    page = page_of(60)
    rows = list(page.rows)
    rows[40] = rows[40]._replace(taken=True)
    page = page._replace(rows=rows)
    window = window_of(page, 0, 0, 20)
    assert window.rows == 19
    assert window.pinned is not None
    assert window.pinned.rank == 41
    assert window_of(page, 59, 0, 20).pinned is None


def test_a_cursor_on_a_taken_row_far_down_does_not_hide_the_top() -> None:
    page = page_of(60)
    rows = list(page.rows)
    rows[40] = rows[40]._replace(taken=True)
    page = page._replace(rows=rows)
    window = window_of(page, 40, 0, 20)
    assert (window.top, window.rows) == (0, 19)
    assert window.pinned == rows[40]
    assert window_of(page, 40, 25, 20) == (25, 20, None), "it is in view already"
    assert window_of(page, 39, 0, 20).top == 21
    assert window_of(page, 41, 0, 20) == (22, 20, None)


def test_a_taken_row_outside_the_page_is_pinned_until_the_view_is_past_it() -> None:
    far = candidate(2000, taken=True)
    assert window_of(page_of(20, outside=far), 0, 0, 20).pinned == far
    assert window_of(page_of(20, first=3000, outside=far), 3000, 3000, 20).pinned is None


def test_the_rest_is_everything_that_is_not_shown() -> None:
    page = page_of(30, rest_mass=0.2)
    number, rest = rest_of(page, window_of(page, 0, 0, 10))
    assert number == 4096 - 10
    assert rest == pytest.approx(0.2 + sum(math.exp(row.logprob) for row in page.rows[10:]))


def test_a_pinned_row_is_not_part_of_the_rest() -> None:
    far = candidate(2000, taken=True, logprob=math.log(0.001))
    page = page_of(20, outside=far, rest_mass=0.02)
    window = window_of(page, 0, 0, 20)
    number, rest = rest_of(page, window)
    below = sum(math.exp(row.logprob) for row in page.rows[window.rows :])
    assert number == 4096 - window.rows - 1
    assert rest == pytest.approx(0.02 + below - 0.001)


def test_the_rest_of_a_search_has_a_number_and_no_mass() -> None:
    page = page_of(20, total=20, rest_count=300, rest_mass=None)
    assert rest_of(page, window_of(page, 0, 0, 10)) == (310, None)
    text = rest_strip(columns_for(80), 310, None, "", STYLES).text
    assert text.split() == ["310", "more"]


def test_the_note_stands_over_the_bars_or_at_the_end_of_the_rest() -> None:
    wide, narrow = columns_for(100), columns_for(50)
    assert "recomputed" in head_strip(wide, "recomputed", STYLES, bits=False).text
    assert "recomputed" not in rest_strip(wide, 9, 0.5, "recomputed", STYLES).text
    assert rest_strip(narrow, 9, 0.5, "recomputed", STYLES).text.split()[-1] == "recomputed"


def test_the_rank_column_holds_the_rank_of_a_token_far_down() -> None:
    page = page_of(5, total=10, outside=candidate(151_000, taken=True))
    assert rank_digits(page) == 6
    row = candidate(151_000)
    assert (
        "151001"
        in row_strip(
            row, columns_for(80, "standard", 6), -1.0, STYLES, cursor=False, bits=False
        ).text
    )
