"""Drawn lines: exact widths, the right styles, and nothing that a terminal would obey."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import safe_text
from tokexplore.widgets.heat import LEVELS, NONE
from tokexplore.widgets.transcript_cells import Cell
from tokexplore.widgets.transcript_layout import Layout
from tokexplore.widgets.transcript_lines import Aside, draw_aside, draw_fold, draw_line, draw_title
from tokexplore.widgets.transcript_looks import Looks

NAMES = [name for name in Looks._fields if name != "heat"]
LOOKS = Looks(
    **{name: Style(color=f"color({number + 30})") for number, name in enumerate(NAMES)},
    heat=tuple(Style(color="white", bgcolor=f"color({level + 60})") for level in range(LEVELS)),
)

hostile = st.one_of(
    st.sampled_from(
        [
            "\x1b]52;c;AAAA\x07",
            "\x9b31m",
            "\u202eabc",
            "[/x]",
            "日本",
            "👩\u200d👩",
            "\u0301",
            "a\n",
        ]
    ),
    st.text(max_size=12),
)
cells = st.builds(
    Cell,
    hostile,
    st.sampled_from(["prompt", "greedy", "sampled", "picked", "typed"]),
    st.booleans(),
    st.booleans(),
    hostile,
)


def draw(
    text: list[Cell],
    columns: int,
    cursor: int | None = None,
    *,
    live: bool = False,
    heat: Sequence[int] = (NONE,),
    boundaries: bool = False,
    looks: Looks = LOOKS,
) -> list[Strip]:
    """The lines of a text whose tokens have these levels, over and over."""
    layout = Layout(columns)
    layout.boundaries = boundaries
    layout.update(text, 0)
    rows = len(layout.lines)
    return [
        draw_line(
            line,
            columns,
            text,
            lambda token: heat[token % len(heat)],
            cursor,
            looks,
            live=live and row == rows - 1,
            reveal=cursor is not None and not text[cursor].text and layout.row_of(cursor) == row,
            boundaries=boundaries,
        )
        for row, line in enumerate(layout.lines)
    ]


def is_clean(strip: Strip, columns: int) -> bool:
    """Exactly as wide as asked, every segment styled, nothing but printable text."""
    return (
        sum(cell_len(segment.text) for segment in strip) == strip.cell_length == columns
        and all(segment.style is not None for segment in strip)
        and strip.text.replace("\u3000", "").isprintable()
    )


def styles(strip: Strip) -> dict[str, Style]:
    return {segment.text: segment.style for segment in strip if segment.style is not None}


@given(
    st.lists(cells, max_size=20), st.integers(1, 40), st.integers(0, 19), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_every_line_is_clean(
    text: list[Cell], columns: int, cursor: int, live: bool, boundaries: bool
) -> None:
    at = cursor if cursor < len(text) else None
    for strip in draw(text, columns, at, live=live, boundaries=boundaries):
        assert is_clean(strip, columns)


@given(hostile, hostile, st.integers(1, 60))
def test_asides_and_folds_are_clean(before: str, text: str, columns: int) -> None:
    assert is_clean(draw_aside(Aside(2, before, text), columns, LOOKS), columns)
    assert is_clean(draw_fold("prompt", 1234, before, text, columns, LOOKS), columns)


def test_origin_and_heat_show_in_the_style() -> None:
    text = [
        Cell("Once", "prompt"),
        Cell(" hot", "prompt"),
        Cell(" a", "sampled"),
        Cell(" b", "picked"),
        Cell(" c", "typed"),
        Cell(" d", "greedy"),
        Cell("</s>", "sampled", special=True),
    ]
    (strip,) = draw(text, 40, heat=(0, 5, 0, NONE, 0, 2, 0))
    expected = {
        "Once": LOOKS.prompt,
        "hot": LOOKS.prompt + LOOKS.heat[5],
        " a ": LOOKS.text,
        "b": LOOKS.picked,
        "c": LOOKS.typed,
        "d": LOOKS.heat[2],
        "</s>": LOOKS.special,
    }
    assert {piece: styles(strip)[piece] for piece in expected} == expected


def test_marking_the_cursor_moves_nothing() -> None:
    text = [Cell(t, "sampled") for t in ("Once", " upon", " a", " time", ",", " there", "\n")]
    plain = [strip.text for strip in draw(text, 12, heat=[3])]
    for cursor in range(len(text)):
        strips = draw(text, 12, cursor, heat=[3])
        assert [strip.text for strip in strips] == plain
        marked = [s.text for strip in strips for s in strip if s.style == LOOKS.cursor]
        assert marked == [text[cursor].text.strip(" ").replace("\n", "⏎")]


def test_a_token_of_spaces_can_be_seen_under_the_cursor_and_by_its_heat() -> None:
    text = [Cell("a", "sampled"), Cell("  ", "sampled"), Cell("b", "sampled")]
    assert styles(draw(text, 10, heat=[0, 4, 0])[0])["  "] == LOOKS.heat[4]
    assert styles(draw(text, 10, 1, heat=[0, 4, 0])[0])["  "] == LOOKS.cursor


def test_a_token_without_text_shows_its_bytes_under_the_cursor() -> None:
    text = [Cell("a", "sampled"), Cell("", "sampled", shown="<E6>"), Cell("日", "sampled")]
    assert draw(text, 10)[0].text.rstrip() == "a日"
    strip = draw(text, 10, 1)[0]
    assert strip.text.rstrip() == "a<E6>日"
    assert styles(strip)["<E6>"] == LOOKS.cursor


def begun(strips: list[Strip]) -> str:
    """What is underlined."""
    return "|".join(s.text for strip in strips for s in strip if s.style and s.style.underline)


@given(st.lists(cells, max_size=20), st.integers(1, 40), st.sampled_from([NONE, 0, 3]))
def test_boundaries_underline_and_move_nothing_where_each_token_has_text(
    text: list[Cell], columns: int, level: int
) -> None:
    text = [cell._replace(text=cell.text or "x") for cell in text]
    plain = draw(text, columns, heat=[level])
    shown = draw(text, columns, heat=[level], boundaries=True)
    assert [strip.text for strip in shown] == [strip.text for strip in plain]
    for a, b in zip(plain, shown, strict=True):
        colours = [
            [(s.style.color, s.style.bgcolor) for s in strip for _ in s.text] for strip in (a, b)
        ]
        assert colours[0] == colours[1]


def test_the_first_character_of_each_token_is_underlined() -> None:
    words = ["Once", " upon", "ass", "istant", "e\u0301t", ".\n", "日本", "語", "</s>"]
    text = [Cell(word, "sampled") for word in words]
    assert begun(draw(text, 60, heat=[3], boundaries=True)) == "O| |a|i|e\u0301|.|日|語|<"
    assert begun(draw(text, 60, heat=[3])) == ""
    assert begun(draw([Cell("abcdefghij", "sampled")], 5, boundaries=True)) == "a"


def test_picked_tokens_are_bold_where_an_underline_means_that_a_token_begins() -> None:
    looks = LOOKS._replace(picked=Style(underline=True), typed=Style(italic=True, underline=True))
    text = [Cell("ab", "picked"), Cell("cd", "typed"), Cell("ef", "sampled")]
    assert begun(draw(text, 20, looks=looks)) == "ab|cd"
    (strip,) = draw(text, 20, looks=looks.with_boundaries(), boundaries=True)
    assert begun([strip]) == "a|c|e"
    assert "".join(s.text for s in strip if s.style.bold) == "abcd"


def test_a_token_without_text_has_a_dot_beside_what_it_became() -> None:
    parts = [Cell("", "sampled", shown=f"<{byte}>") for byte in ("E4", "BD")]
    text = [Cell("ab", "sampled"), *parts, Cell("你", "sampled"), Cell("", "sampled", fork=True)]
    (strip,) = draw(text, 20, boundaries=True)
    assert strip.text.rstrip() == "ab··你·┬"
    assert begun([strip]) == "a|·|·|你|·"
    (strip,) = draw(text, 20, 2, boundaries=True)
    assert strip.text.rstrip() == "ab·<BD>你·┬"
    assert styles(strip)["<BD>"] == LOOKS.cursor


def test_the_open_end_has_a_block_even_on_a_full_line() -> None:
    text = [Cell("abcde", "sampled"), Cell(" ", "sampled")]
    assert [strip.text for strip in draw(text, 10, live=True)] == ["abcde ▌   "]
    assert [strip.text for strip in draw(text, 6, live=True)] == ["abcde▌"]


def test_an_aside_names_its_branch_and_is_cut_at_the_edge() -> None:
    aside = Aside(2, " who had a", " son, who was so clever that no one\ncould")
    assert draw_aside(aside, 60, LOOKS).text.startswith("2 ┬ … who had a son, who was so clever")
    assert draw_aside(aside, 30, LOOKS).text.rstrip() == "2 ┬ … had a son, who was so c…"


def test_a_folded_prompt_says_how_long_it_is_and_how_it_ends() -> None:
    strip = draw_fold("prompt", 1234, "and then the king had a", "", 44, LOOKS)
    assert strip.text == "▸ prompt: 1,234 tokens … the king had a     "


def test_a_folded_prompt_shows_the_cursor_in_it() -> None:
    strip = draw_fold("prompt", 1234, "and then the king", " had", 44, LOOKS)
    assert strip.text == "▸ prompt: 1,234 tokens and then the king had"
    assert styles(strip)[" had"] == LOOKS.cursor
    strip = draw_fold("prompt", 1234, "and then the king", " had", 40, LOOKS)
    assert strip.text == "▸ prompt: 1,234 tokens … the king had   "


def test_a_fold_shows_that_the_tree_forks_in_it() -> None:
    strip = draw_fold("prompt", 1234, "and then the king", "", 44, LOOKS, forks=True)
    assert strip.text == "▸ prompt: 1,234 tokens ┬ and then the king  "
    assert styles(strip)["┬ "] == LOOKS.fork
    strip = draw_title("user", ["9 tokens"], " had", 24, LOOKS, forks=True)
    assert strip.text == "user ┬  9 tokens   had  "


@given(hostile, st.lists(hostile, max_size=4), hostile, st.integers(0, 60), st.booleans())
def test_titles_are_clean(
    label: str, figures: list[str], here: str, columns: int, forks: bool
) -> None:
    safe = [safe_text(figure) for figure in figures]
    assert is_clean(draw_title(label, safe, here, columns, LOOKS, forks=forks), columns)


def test_a_figure_that_has_no_room_is_left_out_whole() -> None:
    figures = ["214 tokens", "211 generated: logprob -597.4 nats", "mean logprob -2.83"]
    whole = "assistant ┬  " + " · ".join(figures)
    for columns in range(40, len(whole) + 2):
        drawn = draw_title("assistant", figures, "", columns, LOOKS, forks=True).text.rstrip()
        shown = drawn.removeprefix("assistant ┬  ").split(" · ")
        assert drawn == whole if columns >= len(whole) else shown.pop() == "…"
        assert shown == figures[: len(shown)]
    drawn = draw_title("assistant", figures, " had", len(whole) + 5, LOOKS, forks=True).text
    assert drawn.rstrip() == f"assistant ┬  {' · '.join(figures[:2])} · …   had"


def test_a_long_name_of_a_folded_turn_leaves_its_length_whole() -> None:
    strip = draw_fold("a role of many words", 1234, "the king", "", 32, LOOKS, forks=True)
    assert strip.text == "▸ a role of ma…: 1,234 tokens ┬ "
