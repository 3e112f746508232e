"""What a terminal shows after our frames is what was wanted, cell by cell."""

import random
import unicodedata

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from tokexplore.tui.terminal.ansi import PLAIN, Encoder, Ink
from tokexplore.tui.terminal.cell_grid import HALF, Grid, Styles, glyph_text, glyphs

WIDTH, HEIGHT = 24, 6
TEXTS = st.text(
    # pyte is no referee of marks of combining class 0, such as those of Devanagari and Thai
    st.sampled_from("ab .#│█▉─┬≈…␣é世界한ば😀🦊\u0301\u0302ก가\u0634\u0627"),
    min_size=1,
    max_size=30,
)
COLOURS = ("red", "#102030", "#fefefe", "color(99)", "default")
STYLES = st.builds(
    Style,
    color=st.sampled_from(COLOURS),
    bgcolor=st.sampled_from(COLOURS),
    bold=st.booleans(),
    italic=st.booleans(),
    underline=st.booleans(),
    reverse=st.booleans(),
)
PUTS = st.tuples(
    st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.lists(st.tuples(TEXTS, STYLES))
)


class Referee:
    """A terminal, and the frames that it was sent."""

    def __init__(self, system: ColorSystem | None = ColorSystem.TRUECOLOR) -> None:
        self.styles = Styles()
        self.grid = Grid(WIDTH, HEIGHT, self.styles)
        self.encoder = Encoder(self.styles, system)
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.screen.reset_mode(7, private=True)  # Textual switches wrapping off
        self.stream = pyte.Stream(self.screen)

    def frame(self) -> str:
        sent = self.encoder.frame(self.grid)
        self.stream.feed(sent)
        return sent

    def check(self) -> None:
        """Every cell of the terminal against the grid."""
        for y in range(HEIGHT):
            for x in range(WIDTH):
                glyph = int(self.grid.glyphs[y, x])
                cell = self.screen.buffer[y][x]
                if glyph == HALF:
                    continue
                shown = cell.data
                if x + 1 < WIDTH and self.grid.glyphs[y, x + 1] == HALF:
                    shown += self.screen.buffer[y][x + 1].data  # where pyte puts the marks
                assert _normal(shown) == _normal(glyph_text(glyph)), (y, x)
                style = self.styles.all[int(self.grid.inks[y, x])]
                if glyph_text(glyph) != " ":
                    assert cell.bold == bool(style.bold)
                    assert cell.italics == bool(style.italic)
                    assert cell.fg == _name(style, "color"), (y, x, glyph_text(glyph))
                assert cell.underscore == bool(style.underline)
                assert cell.reverse == bool(style.reverse)
                assert cell.bg == _name(style, "bgcolor"), (y, x, glyph_text(glyph))


def _normal(text: str) -> str:
    """As pyte keeps a character with its marks."""
    if len(text) == 1:
        return text
    data = text[0]
    for mark in text[1:]:
        data = unicodedata.normalize("NFC", data + mark)
    return data


def _name(style: Style, which: str) -> str:
    colour = getattr(style, which)
    if colour is None or colour.is_default:
        return "default"
    if colour.name == "red":
        return "red"
    if colour.name == "color(99)":
        return pyte.graphics.FG_BG_256[99]
    return str(colour.name).removeprefix("#")


@settings(max_examples=60)
@given(st.lists(PUTS, min_size=1, max_size=12))
def test_the_terminal_shows_what_is_wanted(puts: list) -> None:
    referee = Referee()
    for x, y, parts in puts:
        referee.grid.put(x, y, [Segment(text, style) for text, style in parts])
        _mend_halves(referee.grid)
        referee.frame()
        referee.check()
    assert referee.frame() == "", "nothing is sent twice"


def _mend_halves(grid: Grid) -> None:
    """A strip of Textual's never ends in half a character; put() in mid-character makes one."""
    for y in range(HEIGHT):
        row = grid.glyphs[y]
        for x in range(WIDTH):
            text = glyph_text(int(row[x]))
            wide = bool(text) and get_character_cell_size(text[0]) == 2
            if wide and (x + 1 == WIDTH or row[x + 1] != HALF):
                row[x] = ord("?")
            if row[x] == HALF:
                lead = glyph_text(int(row[x - 1])) if x else ""
                if not lead or get_character_cell_size(lead[0]) != 2:
                    row[x] = ord("?")
                else:
                    grid.inks[y, x] = grid.inks[y, x - 1]


def test_only_what_changed_is_sent() -> None:
    referee = Referee()
    referee.grid.put(0, 2, [Segment("probability 0.123", Style(color="red"))])
    assert len(referee.frame()) > WIDTH * HEIGHT
    referee.grid.put(0, 2, [Segment("probability 0.125", Style(color="red"))])
    assert referee.frame() == "\x1b[31m\x1b[3;17H5\x1b[m"


def shown(grid: Grid, row: int = 0) -> str:
    return "".join(glyph_text(int(glyph)) for glyph in grid.glyphs[row]).rstrip()


@pytest.mark.parametrize(
    "parts",
    [
        ("va", "\u0300", " phone", " he"),
        ("ह", "ि", "न", "्", "द", "ी भाषा", " में ", "लिखो"),
        ("ส", "ว", "ั", "ส", "ด", "ี x"),
        ("ש", "ָ", "ל", "וֹ", "ם."),
        ("\u1112", "\u1161", "\u11ab", "."),
        ("か", "\u3099", "x"),
    ],
)
def test_a_mark_joins_the_character_before_it_in_whatever_segment(parts: tuple[str, ...]) -> None:
    grid = Grid(WIDTH, HEIGHT, Styles())
    grid.put(0, 0, [Segment(part, Style(bold=bool(i % 2))) for i, part in enumerate(parts)])
    assert shown(grid) == "".join(parts)
    grid.put(0, 1, [Segment("".join(parts))])
    assert (grid.glyphs[0] == grid.glyphs[1]).all()


def test_a_mark_without_a_base_stands_on_a_circle_if_it_has_a_cell() -> None:
    grid = Grid(WIDTH, HEIGHT, Styles())
    grid.put(0, 0, [Segment("\u0300x")])
    grid.put(0, 1, [Segment("\u093f\u0902x")])
    assert (shown(grid), shown(grid, 1)) == ("x", "◌\u0902x")


@pytest.mark.parametrize(
    ("column", "left"), [(1, " "), (2, "是"), (3, "是 "), (4, "是हि"), (5, "是हि ")]
)
def test_a_character_that_is_cut_leaves_blanks(column: int, left: str) -> None:
    grid = Grid(6, 2, Styles())
    grid.put(0, 0, [Segment("是हि世")])
    grid.put(column, 0, [Segment("x" * (6 - column))])
    assert shown(grid) == left + "x" * (6 - column)


def test_only_the_half_that_changed_of_a_wide_character() -> None:
    """A cursor that is thought one cell short puts all that follows in the wrong place."""
    referee = Referee()
    for text in (" 1 是      1.25  10.0%", " 1 理      1.35  20.0%"):
        referee.grid.put(0, 0, [Segment(text)])
        sent = referee.frame()
    assert sent == "\x1b[1;4H理\x1b[8C35  2"
    referee.check()


def test_a_segment_without_text_is_nothing() -> None:
    referee = Referee()
    referee.grid.put(0, 0, [Segment("a"), Segment("", Style(bold=True)), Segment("b")])
    referee.frame()
    assert referee.screen.display[0].startswith("ab")


def test_noise_is_painted_over_once_the_screen_is_forgotten() -> None:
    referee = Referee()
    referee.grid.put(3, 1, [Segment("text", Style(bold=True))])
    referee.frame()
    referee.stream.feed("\x1b[1;1Hnoise\r\nnoise\x1b[2J")
    assert referee.frame() == ""
    referee.grid.forget()
    referee.frame()
    referee.check()


def test_a_style_is_set_once_a_frame() -> None:
    referee = Referee()
    referee.frame()
    for y in range(HEIGHT):
        red, blue = Style(color="#ff0000"), Style(color="#0000ff")
        referee.grid.put(0, y, [Segment("ab", red), Segment("cd", blue), Segment("ef", red)])
    sent = referee.frame()
    assert sent.count("38;2;255;0;0") == sent.count("38;2;0;0;255") == 1
    referee.check()


def test_spaces_of_another_text_colour_are_no_change() -> None:
    referee = Referee()
    referee.grid.put(0, 0, [Segment("   ", Style(color="red", bgcolor="#102030"))])
    referee.frame()
    referee.grid.put(0, 0, [Segment("   ", Style(color="#123456", bgcolor="#102030", bold=True))])
    assert referee.frame() == ""
    referee.grid.put(0, 0, [Segment("   ", Style(underline=True, bgcolor="#102030"))])
    assert referee.frame() != ""


@pytest.mark.parametrize("character", ["👍", "\u0e13\u0e33", "🦊", "\ufdfa", "①", "\u0915\u093f"])
def test_a_wrong_guess_of_a_width_shifts_nothing(character: str) -> None:
    """A terminal that takes any of these as one cell has the rest of the row in its place."""
    referee = Referee()
    shown = len(glyphs(character))
    referee.grid.put(0, 0, [Segment(f"a{character}bcd", Style(color="red"))])
    sent = referee.frame()
    narrow = sent
    for one in character:
        narrow = narrow.replace(one, "x")
    screen = pyte.Screen(WIDTH, HEIGHT)
    pyte.Stream(screen).feed(narrow)
    assert screen.display[0][1 + shown : 4 + shown] == "bcd"


def test_textual_marks_its_text_with_places_and_no_style_grows_of_it() -> None:
    styles = Styles()
    grid = Grid(WIDTH, HEIGHT, styles)
    for place in range(200):
        style = Style(color="red", meta={"offset": (place, 0)}, link="https://nowhere.invalid")
        grid.put(0, 0, [Segment("x", style)])
    assert len(styles.all) <= 3
    assert "nowhere" not in Encoder(styles, ColorSystem.TRUECOLOR).frame(grid)


@pytest.mark.parametrize(
    ("system", "says"),
    [
        (ColorSystem.TRUECOLOR, "38;2;254;254;254"),
        (ColorSystem.EIGHT_BIT, "38;5;231"),
        (ColorSystem.STANDARD, "97"),
        (None, "39"),
    ],
)
def test_colours_are_those_that_the_terminal_has(system: ColorSystem | None, says: str) -> None:
    assert Ink.of(Style(color="#fefefe"), system).foreground == says


def test_any_style_after_any_other_is_set_right() -> None:
    rng = random.Random(5)
    names = ("bold", "dim", "italic", "underline", "reverse", "strike")
    made = [
        Style(**{n: rng.random() < 0.5 for n in names}, color=rng.choice(COLOURS))
        for _ in range(40)
    ]
    inks = [Ink.of(style, ColorSystem.TRUECOLOR) for style in made]
    current = PLAIN
    screen = pyte.Screen(2, 1)
    stream = pyte.Stream(screen)
    for style, ink in zip(made, inks, strict=True):
        stream.feed(f"{ink.after(current)}\x1b[1;1Hx")
        cell = screen.buffer[0][0]
        assert (cell.bold, cell.italics, cell.strikethrough) == (
            bool(style.bold), bool(style.italic), bool(style.strike)
        )  # fmt: skip
        assert (cell.underscore, cell.reverse) == (bool(style.underline), bool(style.reverse))
        assert cell.fg == _name(style, "color")
        current = ink
