"""Header and key bar: always one line of exactly the width, the least important part dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult

from tokexplore.tui.theme import ThemedApp
from tokexplore.widgets.header import Header, HeaderStyles, HeaderValues, State, header_strip
from tokexplore.widgets.keybar import KeyBar, KeyHint, keybar_strip, place

STYLES = HeaderStyles(*(Style(color=f"color({n})") for n in range(7)))
VALUES = HeaderValues(
    mode="BROWSE",
    model="fable",
    parameters="5.6M",
    device="cpu",
    dtype="f32",
    sampler="T .80 p .75",
    seed=11,
    state="streaming",
    tokens_per_second=212.3,
    context_used=58,
    context_size=1024,
)
STATES: tuple[State, ...] = (
    "loading", "waiting", "rendering", "prefill", "streaming", "paused", "ended", "lost",
)  # fmt: skip

short = st.text(max_size=30) | st.sampled_from(["", "中文模型", "a" * 90])
any_values = st.builds(
    HeaderValues,
    mode=st.sampled_from(["BROWSE", "TYPE", "LENS"]),
    model=short,
    parameters=st.sampled_from(["", "5.6M"]),
    device=st.sampled_from(["", "cpu", "cuda:0"]),
    dtype=st.sampled_from(["", "bf16"]),
    sampler=st.sampled_from(["greedy", "T .80 k 40 p .75 min-p .05"]),
    seed=st.none() | st.integers(0, 2**64 - 1),
    state=st.sampled_from(STATES),
    detail=short,
    progress=st.none() | st.floats(0, 1),
    tokens_per_second=st.none() | st.floats(0, 1e7),
    context_used=st.none() | st.integers(0, 10**6),
    context_size=st.none() | st.integers(1, 10**6),
)


def header(cells: int, **changes: object) -> str:
    return header_strip(VALUES._replace(**changes), cells, STYLES).text  # type: ignore[arg-type]


@given(any_values, st.integers(1, 220))
def test_the_header_has_exactly_the_width(values: HeaderValues, cells: int) -> None:
    strip = header_strip(values, cells, STYLES)
    assert cell_len(strip.text) == strip.cell_length == cells
    assert all(segment.style is not None for segment in strip)


def test_everything_is_there_where_there_is_room() -> None:
    assert " ".join(header(120).split()) == (
        "tokexplore BROWSE fable 5.6M cpu f32 T .80 p .75 seed 11 ▶ 212 tok/s ctx 58/1024"
    )


def test_at_80_columns_only_the_seed_goes() -> None:
    assert "seed" not in header(80)
    assert header(80).split()[0] == "tokexplore"
    assert header(80).rstrip().endswith("ctx 58/1024")


def test_a_long_model_name_is_shortened_before_other_parts_go() -> None:
    text = header(100, model="Qwen/Qwen2.5-Coder-32B-Instruct-GPTQ-Int4", device="cuda:0")
    assert "Qwen/Qwen2.5" in text
    assert "…" in text
    assert "cuda:0 f32" in text


def test_mode_and_state_stay_longest() -> None:
    assert header(28).split() == ["BROWSE", "▶", "212", "tok/s"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": "streaming", "tokens_per_second": 8.44}, "▶ 8.4 tok/s"),
        ({"state": "streaming", "tokens_per_second": None}, "▶ streaming"),
        ({"state": "paused"}, "‖ paused"),
        ({"state": "ended", "detail": "eos"}, "■ ended: eos"),
        ({"state": "lost", "detail": "out of memory"}, "× engine lost: out of memory"),
        ({"state": "loading", "detail": "weights 43% 1.2/2.9 GB"}, "weights 43% 1.2/2.9 GB"),
        ({"state": "waiting"}, "waiting"),
        ({"state": "rendering"}, "rendering the chat"),
    ],
)
def test_states(changes: dict[str, object], text: str) -> None:
    assert text in header(120, **changes)


def test_progress_is_a_bar_to_scale() -> None:
    text = header(120, state="loading", detail="weights", progress=0.5)
    assert "█" * 6 in text
    assert "█" * 7 not in text


hints = st.lists(
    st.builds(
        KeyHint,
        st.sampled_from(["d", "space", "←→", "⏎"]),
        st.text("abc ", min_size=1, max_size=12),
        st.integers(0, 9),
    ),
    max_size=14,
)
HELP = KeyHint("?", "help", action="help")


@given(hints, st.integers(1, 160))
def test_the_key_bar_has_exactly_the_width(keys: list[KeyHint], cells: int) -> None:
    placed = place(keys, HELP, cells)
    strip = keybar_strip(placed, cells, Style(bold=True), Style())
    assert cell_len(strip.text) == cells
    for start, hint in placed:
        assert strip.text[start:].startswith(f"{hint.key} {hint.label}")


@given(hints, st.integers(10, 160))
def test_a_hint_that_was_left_out_is_not_more_important_than_one_that_stayed(
    keys: list[KeyHint], cells: int
) -> None:
    kept = [hint for _, hint in place(keys, HELP, cells)]
    assert kept[-1] is HELP
    left_out = [hint for hint in keys if hint not in kept]
    for hint in left_out:
        assert all(other.priority >= hint.priority for other in kept[:-1])


def test_the_order_is_kept_and_help_stands_at_the_right() -> None:
    keys = [KeyHint("a", "one", 1), KeyHint("b", "two", 9), KeyHint("c", "three", 5)]
    text = keybar_strip(place(keys, HELP, 40), 40, Style(), Style()).text
    assert text.split() == ["a", "one", "b", "two", "c", "three", "?", "help"]
    assert text.endswith("? help ")
    narrow = keybar_strip(place(keys, HELP, 22), 22, Style(), Style()).text
    assert narrow.split() == ["b", "two", "c", "three"] or narrow.split()[:2] == ["b", "two"]
    assert "a one" not in narrow


class BarApp(ThemedApp[None]):
    """Header and key bar, and the hints that were clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def compose(self) -> ComposeResult:
        yield Header()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Header).show(VALUES._replace(model="[/x]\x1b[1mb[bold]arr[i]"))
        self.query_one(KeyBar).show([KeyHint("d", "compare", 1, "compare")], HELP)

    def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        assert event.control is self.query_one(KeyBar)
        self.seen.append(event.hint.action)


async def test_a_click_on_a_hint_is_its_key() -> None:
    app = BarApp()
    async with app.run_test(size=(60, 4)) as pilot:
        await pilot.pause()
        await pilot.click(KeyBar, offset=(3, 0))
        await pilot.click(KeyBar, offset=(56, 0))
        await pilot.click(KeyBar, offset=(30, 0))
        assert app.seen == ["compare", "help"]


async def test_a_model_name_is_neither_markup_nor_control() -> None:
    app = BarApp()
    async with app.run_test(size=(120, 4)) as pilot:
        await pilot.pause()
        assert "[/x]␛[1mb[bold]arr[i]" in app.query_one(Header).render_line(0).text


def test_the_key_of_a_disabled_hint_does_not_stand_out() -> None:
    bold = Style(bold=True)
    for disabled in (False, True):
        hint = KeyHint("d", "draw", 1, "draw", disabled=disabled)
        strip = keybar_strip(place([hint], None, 20), 20, bold, Style())
        style = next(segment.style for segment in strip if segment.text == "d")
        assert (style == bold) is not disabled
