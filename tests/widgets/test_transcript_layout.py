"""Wrapping: exact lines, nothing lost, and the same whether built at once or token by token."""

from hypothesis import given
from hypothesis import strategies as st

from tokexplore.widgets.cell_text import width
from tokexplore.widgets.transcript_cells import BLANK, Cell, atoms_of
from tokexplore.widgets.transcript_layout import Layout

pieces = st.one_of(
    st.sampled_from(
        ["", " ", "\n", " the", " daughter", ",", "a", "  ", "\n\n", "\t", "日", "本語", "。", "「",
         "\u0301", "\u3099", "👍🏽", "\x1b[31m", "\x9b", "\u202e", "[/x]", "x" * 25, " " * 25,
         "한국", "\u3000", "\u00a0!", "—", "\r\n", "日" * 20]
    ),
    st.text(max_size=6),
)  # fmt: skip
cells = st.builds(Cell, pieces, st.just("sampled"), st.just(0), st.booleans())
texts = st.lists(cells, max_size=40)


kept = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6)
"""Where sections begin, and whether the two cells from there on are hidden."""


def turns_of(starts: list[tuple[int, bool]], count: int) -> tuple[dict[int, int], bytearray]:
    """Titles and hidden cells of a text of `count` cells, as `Layout.update` takes them."""
    inside = {start: hides for start, hides in starts if start < count}
    hidden = bytearray(count)
    for start in (start for start, hides in inside.items() if hides):
        hidden[start : start + 2] = b"\1" * len(hidden[start : start + 2])
    return {start: number for number, start in enumerate(sorted(inside))}, hidden


def full(text: list[Cell], columns: int, starts: list[tuple[int, bool]] | None = None) -> Layout:
    layout = Layout(columns)
    layout.update(text, 0, *turns_of(starts or [], len(text)))
    return layout


def shown(layout: Layout) -> list[str]:
    return ["".join(run.text for run in line.runs) for line in layout.lines]


def wrap(columns: int, *tokens: str) -> list[str]:
    return shown(full([Cell(token, "sampled") for token in tokens], columns))


@given(texts, st.integers(4, 30))
def test_every_line_fits_and_runs_know_their_width(text: list[Cell], columns: int) -> None:
    for line in full(text, columns).lines:
        assert sum(run.width for run in line.runs) <= columns
        assert all(run.width == width(run.text) for run in line.runs)


@given(texts, st.integers(4, 30))
def test_nothing_is_lost_and_no_control_gets_through(text: list[Cell], columns: int) -> None:
    safe = "".join(a.text for cell in text for a in atoms_of(cell.text, cell.fork, cell.flip))
    joined = "".join(shown(full(text, columns)))
    assert joined.replace("◌", "") == safe.replace("◌", "")
    assert joined.isprintable() or set("".join(c for c in joined if not c.isprintable())) == {
        "\u3000"
    }


@given(texts, texts, st.integers(0, 40), st.integers(4, 24), kept, kept)
def test_a_changed_end_is_laid_out_as_the_whole_would_be(
    text: list[Cell],
    other: list[Cell],
    keep: int,
    columns: int,
    starts: list[tuple[int, bool]],
    later: list[tuple[int, bool]],
) -> None:
    keep = min(keep, len(text))
    starts = [(start, hides) for start, hides in starts if start + 1 < keep]
    layout = full(text, columns, starts)
    after = text[:keep] + other
    starts += [(start, hides) for start, hides in later if start >= keep]
    lines = list(layout.lines)
    changed = layout.update(after, keep, *turns_of(starts, len(after)))
    assert layout.lines == full(after, columns, starts).lines
    assert layout.lines[:changed] == lines[:changed]


@given(texts, st.integers(4, 24), kept)
def test_token_by_token_is_as_at_once(
    text: list[Cell], columns: int, starts: list[tuple[int, bool]]
) -> None:
    layout = full([], columns)
    for end in range(len(text)):
        layout.update(text[: end + 1], end, *turns_of(starts, end + 1))
    assert layout.lines == full(text, columns, starts).lines


@given(texts, st.integers(4, 24), kept)
def test_a_section_begins_under_its_title_and_hidden_cells_leave_no_trace(
    text: list[Cell], columns: int, starts: list[tuple[int, bool]]
) -> None:
    layout = full(text, columns, starts)
    titles, hidden = turns_of(starts, len(text))
    assert [line.section for line in layout.lines if line.section >= 0] == sorted(titles.values())
    begun = -1
    for row, line in enumerate(layout.lines):
        if line.section >= 0:
            begun = line.section
            assert layout.title_row(line.token) == row
            assert not line.runs
        for run in line.runs:
            assert not hidden[run.token]
            assert begun == max(
                (n for start, n in titles.items() if start <= run.token), default=-1
            )


@given(texts, st.integers(4, 24))
def test_rows_and_tokens_are_found_both_ways(text: list[Cell], columns: int) -> None:
    layout = full(text, columns)
    for row, line in enumerate(layout.lines):
        column = 0
        for run in line.runs:
            if run.width:
                assert layout.token_at(row, column) == run.token
            assert row in layout.rows_of(run.token)
            column += run.width
        assert layout.token_at(row, column) is None
    for token in range(len(text)):
        runs = [
            (row, run)
            for row, line in enumerate(layout.lines)
            for run in line.runs
            if run.token == token
        ]
        solid = [row for row, run in runs if run.kind != BLANK]
        if runs:
            assert layout.row_of(token) == (solid or [runs[0][0]])[0]


def test_words_of_several_tokens_wrap_whole_and_the_space_hangs() -> None:
    assert wrap(11, "Once", " upon", " a", " dau", "ghter") == ["Once upon ", "a daughter"]


def test_a_word_that_grows_past_the_edge_moves_down_whole() -> None:
    assert wrap(10, "a", " daughte") == ["a daughte"]
    assert wrap(10, "a", " daughte", "r") == ["a ", "daughter"]


def test_a_long_run_is_cut_by_cells() -> None:
    assert wrap(6, "x" * 12) == ["xxxxx", "xxxxx", "xx"]


def test_chinese_wraps_anywhere_but_never_before_a_stop_or_after_an_opening_mark() -> None:
    assert wrap(8, "从前有", "一个国王") == ["从前有", "一个国", "王"]
    assert wrap(8, "从前有", "。一") == ["从前", "有。一"]
    assert wrap(8, "从前「", "有") == ["从前", "「有"]


def test_a_line_break_is_shown_and_a_fork_after_it_stands_behind_it() -> None:
    assert wrap(20, "end", ".\n", "\n", "New") == ["end.⏎", "⏎", "New"]
    after, end = Cell("\n", "sampled", fork=True), Cell("x", "sampled")
    assert shown(full([Cell("end", "sampled"), after, end], 20)) == ["end⏎┬", "x"]
    before = Cell("end", "sampled", fork=True)
    assert shown(full([before, Cell("\n", "sampled"), end], 20)) == ["end┬⏎", "x"]
    both = Cell("end\n\n", "sampled", fork=True, flip=True)
    assert shown(full([both, end], 20)) == ["end⏎", "⏎┬▲", "x"]
    assert shown(full([both._replace(text="endings\n"), end], 9)) == ["endings", "⏎┬▲", "x"]


def test_indentation_is_kept() -> None:
    assert wrap(20, "def f():", "\n", "    return", " 1") == ["def f():⏎", "    return 1"]


def test_a_combining_mark_joins_the_token_before_or_gets_a_base() -> None:
    assert wrap(20, "e", "\u0301") == ["e\u0301"]
    assert wrap(20, "\n", "\u0301x") == ["⏎", "◌\u0301x"]
    assert wrap(20, "\n", "\u093fx") == ["⏎", "◌\u093fx"]


def test_a_vowel_sign_stays_with_its_letter_and_its_word() -> None:
    assert wrap(8, "aaaa ", "ह", "ि", "न्", "दी") == ["aaaa ", "हिन्दी"]
    assert wrap(6, *"aaaa", "हि") == ["aaaa", "हि"]
    assert wrap(6, "क" + "ा" * 12) == ["काााा", "◌ााााा", "◌ााा"]


def test_a_token_without_text_is_on_the_row_of_what_follows() -> None:
    text = [Cell(t, "sampled") for t in ("a", "\n", "", "", "日")]
    layout = full(text, 10)
    assert [layout.row_of(token) for token in range(5)] == [0, 0, 1, 1, 1]
