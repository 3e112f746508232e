"""Titled rules: exact widths, and what gives way first when there is no room."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult

from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.heat import LEVELS
from tokexplore.widgets.title_rule import Part, TitleRule, draw_rule, legend_parts

ROLES = ("line", "muted", "text", "here", "sampler", "close")
STYLES = {role: Style(color=f"color({n + 10})") for n, role in enumerate(ROLES)} | {
    f"heat-{level}": Style(bgcolor=f"color({level + 30})") for level in range(LEVELS)
}
LEFT = [Part("step 1", "here"), Part("position 12"), Part("after “who had a”")]
RIGHT = [Part("H 4.42 nats"), Part("margin 0.47"), Part("kept 9 of 4,096")]

parts = st.lists(
    st.builds(
        Part,
        st.sampled_from(["", "日本語", "\x1b[31m", "[/x]", "\n", "long " * 9])
        | st.text(max_size=9),
        st.sampled_from(["muted", "here"]),
        st.booleans(),
    ),
    max_size=5,
)


def text(columns: int, left: list[Part] = LEFT, right: list[Part] = RIGHT) -> str:
    return draw_rule(left, right, columns, STYLES).text


@given(parts, parts, st.integers(0, 90))
def test_a_rule_has_exactly_the_cells(left: list[Part], right: list[Part], columns: int) -> None:
    strip = draw_rule(left, right, columns, STYLES)
    assert strip.cell_length == columns == sum(cell_len(segment.text) for segment in strip)
    assert all(segment.style is not None for segment in strip)
    assert strip.text.isprintable()


def test_titles_stand_at_both_ends() -> None:
    assert text(100) == (
        "─ step 1 · position 12 · after “who had a” "
        + "─" * 11
        + " H 4.42 nats · margin 0.47 · kept 9 of 4,096 ─"
    )
    assert text(12, [], []) == "─" * 12


def test_without_room_the_last_title_shrinks_then_the_right_goes_from_its_end() -> None:
    whole = "─ step 1 · position 12 · after “who had a” ── "
    assert text(91) == whole + "H 4.42 nats · margin 0.47 · kept 9 of 4,096 ─"
    assert text(74) == "─ step 1 · position 12 · after “who had a” ─── H 4.42 nats · margin 0.47 ─"
    assert text(72) == "─ step 1 · position 12 · after “who had … ── H 4.42 nats · margin 0.47 ─"
    assert text(66) == "─ step 1 · position 12 · after “who had a” ───────── H 4.42 nats ─"
    assert text(40) == "─ step 1 · position 12 " + "─" * 17


def test_a_title_that_ends_in_a_number_loses_all_of_it() -> None:
    watched = [Part("watched"), Part("␣king -2.1 rank 3"), Part("␣wolf -10.7115 rank 1,234")]
    for columns in (57, 58, 59):
        assert text(columns, watched, []).rstrip("─").endswith(" · ␣wolf -10.7115 rank … ")
    assert "1,234" in text(60, watched, [])
    assert text(40, watched, []).rstrip("─") == "─ watched · ␣king -2.1 rank 3 "


def test_the_legend_is_in_the_colours_of_the_ramp() -> None:
    strip = draw_rule([], legend_parts("surprisal"), 60, STYLES)
    drawn = {segment.text: segment.style for segment in strip}
    assert strip.text.endswith(" surprisal  0  .5  1  2  4  6+  nats ─")
    assert drawn[" 0 "] == STYLES["heat-0"]
    assert drawn[" 6+ "] == STYLES["heat-5"]


async def test_the_widget_draws_its_titles() -> None:
    class RuleApp(ThemedApp[None]):
        def compose(self) -> ComposeResult:
            yield TitleRule()

    app = RuleApp()
    async with app.run_test(size=(100, 3)) as pilot:
        app.query_one(TitleRule).show(LEFT, RIGHT)
        await pilot.pause()
        assert app.query_one(TitleRule).render_line(0).text == text(100)
