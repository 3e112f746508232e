"""Cutting and padding by cells: exact widths whatever the text is."""

import unicodedata
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual._cells import cell_len as textual_cell_len
from wcwidth import wcwidth

from tokexplore.models.display import is_mark, safe_character, safe_text
from tokexplore.widgets.cell_text import (
    chop,
    cut,
    cut_left,
    cut_whole,
    fit,
    fitting,
    line,
    width,
    wrapped,
)

PLAIN = Style()
texts = st.text(
    st.one_of(
        st.sampled_from("abc 日本語한，。é\u0301\u3099हिन्दीကော👍🏽🇩\x1b\x9b\u202e\ufe0f\u200d[]"),
        st.characters(),
    ),
    max_size=30,
).map(safe_text)


def test_terminal_and_toolkit_agree_on_the_width_of_all_safe_characters() -> None:
    """`wcwidth` counts no spacing mark; the C library, tmux, xterm and VTE count each."""
    for code in range(0x30000):
        if unicodedata.category(chr(code)) != "Cs":
            for character in safe_character(chr(code)):
                spacing = unicodedata.category(character) == "Mc"
                wanted = 1 if spacing else wcwidth(character)
                assert wanted == cell_len(character) == textual_cell_len(character), hex(code)


@given(texts, st.integers(0, 20))
def test_chop_is_the_longest_head_and_loses_nothing(text: str, cells: int) -> None:
    head, tail = chop(text, cells)
    assert head + tail == text
    assert width(head) <= cells
    if tail:
        marks = "".join(takewhile(lambda c: is_mark(c) or not width(c), tail[1:]))
        assert width(head + tail[0] + marks) > cells
        assert not is_mark(tail[0]) or not head


@given(texts, st.integers(0, 20), st.sampled_from(["left", "right"]))
def test_fit_has_exactly_the_cells(text: str, cells: int, align: str) -> None:
    assert width(fit(text, cells, align)) == cells  # type: ignore[arg-type]


@given(texts, st.integers(0, 20))
def test_cut_keeps_what_fits_and_marks_what_does_not(text: str, cells: int) -> None:
    for shown, end in ((cut(text, cells), 0), (cut_left(text, cells), -1)):
        assert width(shown) <= cells
        if width(text) <= cells:
            assert shown == text
        elif cells:
            assert "…" in shown
            kept = shown.replace("…", "") if "…" not in text else ""
            assert text.startswith(kept) if end == 0 else text.endswith(kept)


def test_wide_characters_are_never_split() -> None:
    assert fit("日本語", 4) == "日… "
    assert fit("日本語", 5, "right") == "日本…"
    assert cut_left("日本語", 4) == "…語"
    assert cut_left("e\u0301e\u0301e\u0301", 2) == "…e\u0301"


def test_vowel_signs_stay_with_their_letters() -> None:
    assert chop("हिन्दी", 3) == ("हिन्", "दी")
    assert chop("हिन्दी", 4) == ("हिन्", "दी")
    assert cut_left("हिन्दी", 4) == "…न्दी"
    assert cut_left("हिन्दी", 2) == "…"
    assert chop("कााा", 3) == ("", "कााा")
    assert chop("कााा", 3, whole=False) == ("काा", "ा")


@given(st.lists(texts, max_size=5), st.integers(0, 30))
def test_a_line_has_exactly_the_cells(parts: list[str], cells: int) -> None:
    strip = line([Segment(part, PLAIN) for part in parts], cells, PLAIN)
    assert strip.cell_length == cells == sum(cell_len(segment.text) for segment in strip)
    assert all(segment.style is not None for segment in strip)


def test_a_number_is_shown_whole_or_not_at_all() -> None:
    said = "␣wolf -10.7115 rank 1,234 of 4,096"
    shown = {cut_whole(said, cells) for cells in range(len(said) + 1)}
    numbers = {
        word for text in shown for word in text.replace("…", " ").split() if word[-1:].isdigit()
    }
    assert numbers == {"-10.7115", "1,234", "4,096"}
    assert cut_whole(said, 22) == "␣wolf -10.7115 rank …"
    assert cut_whole("a longer word", 8) == cut("a longer word", 8)
    assert fit("-10.7115", 6, "right") == "     …"


def test_parts_that_do_not_fit_are_left_out_whole() -> None:
    parts = ["H 2.31 nats", "kept 4,096", "1.65 nats a token"]
    assert fitting(parts, 45, " · ") == "H 2.31 nats · kept 4,096 · 1.65 nats a token"
    assert fitting(parts, 40, " · ") == "H 2.31 nats · kept 4,096 · …"
    assert fitting(parts, 27, " · ") == "H 2.31 nats · …"
    assert fitting(parts, 9, " · ") == "…"
    assert fitting(parts, 0, " · ") == fitting([], 9, " · ") == ""


@given(texts, st.integers(0, 20))
def test_what_holds_no_number_is_cut_as_ever(text: str, cells: int) -> None:
    assert width(cut_whole(text, cells)) <= max(cells, 0)
    if not any(character.isdigit() for character in text):
        assert cut_whole(text, cells) == cut(text, cells)


@given(texts, st.integers(2, 20))
def test_wrapped_lines_have_room_and_lose_nothing_but_blanks(text: str, cells: int) -> None:
    lines = wrapped(text, cells)
    assert all(width(shown) <= cells for shown in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_lines_are_wrapped_at_blanks_and_long_words_where_the_line_ends() -> None:
    assert wrapped("the quick brown fox jumps", 9) == ["the quick", "brown fox", "jumps"]
    assert wrapped("a longlonglongword b", 6) == ["a long", "longlo", "ngword", "b"]
    assert wrapped("日本語のテキスト", 7) == ["日本語", "のテキ", "スト"]
    assert wrapped("", 5) == [""]
