"""The icicle in cells: exact widths, edges to an eighth of a row, names where they have room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult

from tokexplore.models.display import visible
from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.heat import LEVELS
from tokexplore.widgets.icicle import IcicleMap
from tokexplore.widgets.icicle_drawing import (
    EIGHTHS,
    IcicleBlock,
    IcicleGap,
    IcicleStyles,
    IcicleView,
    columns_of,
    draw,
    hit,
)

LOOKS = {
    **{f"heat-{n}": Style(color="white", bgcolor=f"color({20 + n})") for n in range(LEVELS)},
    "focus": Style(color="white", bgcolor="color(40)"),
    "unknown": Style(color="white", bgcolor="color(41)"),
}
STYLES = IcicleStyles(
    Style(color="white", bgcolor="black"), Style(color="color(1)"), Style(color="color(2)"),
    Style(color="color(3)"), Style(color="black", bgcolor="color(4)"), LOOKS,
)  # fmt: skip
texts = st.binary(max_size=20).map(visible) | st.sampled_from(["␣中文字", "[/x]", "e\u0301", ""])


@st.composite
def views(draw: st.DrawFn) -> IcicleView:
    """Columns of blocks, each from the end of the one before it."""
    blocks, rests, crumbs = list[IcicleBlock](), list[IcicleGap](), list[IcicleGap]()
    heads = draw(st.lists(texts, min_size=1, max_size=6))
    for column in range(len(heads)):
        top = draw(st.floats(0.0, 0.9))
        for key in range(draw(st.integers(0, 12))):
            height = draw(st.floats(0.0, 1.0 - top))
            look, label = draw(st.sampled_from(sorted(LOOKS))), draw(texts)
            flags = draw(st.booleans()), draw(st.booleans())
            blocks.append(IcicleBlock(key, column, top, height, look, label, "1%", *flags))
            top += height
        kind = draw(st.sampled_from([rests, crumbs]))
        kind.append(IcicleGap(column, top, 1.0 - top))
    return IcicleView(draw(st.integers(1, 16)), heads, blocks, rests, crumbs)


@given(views(), st.integers(1, 130), st.integers(1, 40))
def test_every_line_has_exactly_the_width(view: IcicleView, width: int, rows: int) -> None:
    lines = draw(view, width, rows, STYLES)
    assert len(lines) == rows + 1
    for strip in lines:
        assert cell_len(strip.text) == strip.cell_length == width
        assert all(segment.style is not None for segment in strip)
        assert strip.text.isprintable()


@given(views(), st.integers(1, 40))
def test_a_part_takes_as_many_eighths_as_its_height(view: IcicleView, rows: int) -> None:
    size = rows * EIGHTHS
    plain = view._replace(blocks=[block._replace(cursor=False) for block in view.blocks])
    for column, parts in enumerate(columns_of(plain, rows)):
        assert len(parts) == size
        for at, block in enumerate(plain.blocks):
            if block.column == column:
                assert abs(parts.count(at) - block.height * size) <= 1 + EIGHTHS
        order = [what for what in parts if what >= 0]
        assert order == sorted(order), "blocks stand in their order"


def view_of(*blocks: IcicleBlock, cells: int = 8, **gaps: list[IcicleGap]) -> IcicleView:
    return IcicleView(cells, ["1"], blocks, **gaps)  # type: ignore[arg-type]


def shown(view: IcicleView, rows: int) -> list[str]:
    return [strip.text for strip in draw(view, view.cells, rows, STYLES)[1:]]


def test_names_stand_in_the_middle_and_figures_below_them() -> None:
    block = IcicleBlock(1, 0, 0.0, 1.0, "heat-1", "␣king", "34%")
    assert shown(view_of(block), 4) == ["▏       ", "▏␣king  ", "▏34%    ", "▏       "]
    assert shown(view_of(block), 1) == ["▏␣king  "]
    assert shown(view_of(block._replace(label="␣something")), 1) == ["▏␣somet…"]
    assert shown(view_of(block, cells=2), 1) == ["  "], "a narrow column has no names"


def test_a_name_that_nobody_made_safe_is_safe() -> None:
    block = IcicleBlock(1, 0, 0.0, 1.0, "heat-1", "a\x1b]0;x\x07\u202e\n", "\x9b1m")
    assert all(text.isprintable() for text in shown(view_of(block, cells=16), 2))


def test_an_edge_between_two_colours_is_exact_to_an_eighth() -> None:
    for eighth in range(1, EIGHTHS):
        share = eighth / EIGHTHS / 2
        upper = IcicleBlock(1, 0, 0.0, share, "heat-1")
        lower = IcicleBlock(2, 0, share, 1 - share, "heat-3")
        (first, *_), *_ = draw(view_of(upper, lower), 8, 2, STYLES)[1:]
        assert first.text == "▇▆▅▄▃▂▁"[eighth - 1] * 8
        assert first.style is not None
        assert first.style.color == LOOKS["heat-3"].bgcolor
        assert first.style.bgcolor == LOOKS["heat-1"].bgcolor


def test_blocks_of_one_colour_are_parted_by_a_line() -> None:
    def both(share: float) -> list[str]:
        blocks = (
            IcicleBlock(1, 0, 0.0, share, "heat-1"),
            IcicleBlock(2, 0, share, 1 - share, "heat-1"),
        )
        return shown(view_of(*blocks, cells=2), 2)

    assert both(1 / 16)[0] == "▔▔"
    assert both(4 / 16)[0] == "──"
    assert both(7 / 16)[0] == "▁▁"
    assert both(8 / 16) == ["▁▁", "  "]


def test_a_block_of_a_row_has_a_row_for_its_name_wherever_it_begins() -> None:
    for begin in range(1, EIGHTHS):
        share = begin / (4 * EIGHTHS)
        block = IcicleBlock(1, 0, share, 0.25, "heat-1", "␣king")
        assert sum("␣king" in line for line in shown(view_of(block), 4)) == 1


def test_what_is_no_block_is_hatched_or_dotted_and_a_block_without_figure_has_dots() -> None:
    rest, crumbs = [IcicleGap(0, 0.0, 0.5)], [IcicleGap(0, 0.5, 0.25)]
    lines = shown(view_of(rests=rest, crumbs=crumbs), 4)
    assert lines == ["╱" * 8, "╱" * 8, "░" * 8, " " * 8]
    unknown = IcicleBlock(1, 0, 0.0, 1.0, "unknown", "x", "?")
    assert shown(view_of(unknown), 4) == ["▏·······", "▏x      ", "▏?      ", "▏·······"]


def test_the_cursor_is_seen_however_low_its_block_is() -> None:
    for top in (0.0, 0.5, 1.0):
        block = IcicleBlock(1, 0, top, 1e-12, "heat-1", cursor=True)
        lines = draw(view_of(block), 8, 4, STYLES)[1:]
        cells = [segment.style for strip in lines for segment in strip]
        colours = {colour for style in cells if style for colour in (style.color, style.bgcolor)}
        assert STYLES.cursor.bgcolor in colours


def test_a_click_finds_the_block_that_has_most_of_a_cell() -> None:
    one = IcicleBlock(7, 0, 0.0, 0.3, "heat-1")
    other = IcicleBlock(8, 0, 0.3, 0.2, "heat-2")
    view = view_of(one, other)
    assert [hit(view, 2, 3, y) for y in range(2)] == [7, None]
    assert hit(view, 2, 8, 0) is None
    assert hit(view, 2, 0, 2) is None


class Shown(ThemedApp[None]):
    def compose(self) -> ComposeResult:
        yield IcicleMap()


@pytest.mark.parametrize("theme", ["tokexplore-dark", "tokexplore-light", "tokexplore-ansi"])
async def test_the_widget_draws_in_every_theme_and_tells_of_clicks(theme: str) -> None:
    told = list[int]()

    class Clicked(Shown):
        def on_icicle_map_picked(self, event: IcicleMap.Picked) -> None:
            assert event.control is event.icicle
            told.append(event.key)

    app = Clicked()
    async with app.run_test(size=(40, 12)) as pilot:
        app.theme = theme
        await pilot.pause()
        picture = app.query_one(IcicleMap)
        picture.show(view_of(IcicleBlock(5, 0, 0.0, 1.0, "heat-2", "␣king", path=True)))
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert any("␣king" in segment.text for strip in strips for segment in strip)
        await pilot.click(IcicleMap, offset=(2, 4))
        await pilot.click(IcicleMap, offset=(20, 4))
        assert told == [5]
