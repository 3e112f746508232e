"""The transcript in an app: what is in view, what is painted again, what a click means."""

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.strip import Strip

from tokexplore.tui.theme import DARK, LIGHT, ThemedApp
from tokexplore.widgets.transcript import Transcript
from tokexplore.widgets.transcript_cells import Cell
from tokexplore.widgets.transcript_lines import Aside
from tokexplore.widgets.transcript_sections import Section


class TranscriptApp(ThemedApp[None]):
    def __init__(self) -> None:
        super().__init__()
        self.picked: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Transcript()

    @on(Transcript.Picked)
    @on(Transcript.AsidePicked)
    def keep(self, message: Message) -> None:
        self.picked.append(message)

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)


def words(count: int, start: int = 0) -> list[Cell]:
    return [Cell(f" w{number:03}", "sampled") for number in range(start, start + count)]


def prompt(count: int) -> list[Cell]:
    return [Cell(f" p{number:03}", "prompt") for number in range(count)]


def screen(app: TranscriptApp) -> list[str]:
    transcript = app.transcript
    return [transcript.render_line(y).text.rstrip() for y in range(transcript.size.height)]


async def test_a_text_that_becomes_shorter_while_it_has_no_room_is_drawn_as_it_is() -> None:
    app = TranscriptApp()
    shown = words(60)
    async with app.run_test(size=(40, 8)) as pilot:
        app.transcript.show(shown, 0, lambda index: len(shown[index].text) % 2)
        await pilot.pause()
        app.transcript.styles.width = 0
        await pilot.pause()
        shown = shown[:3]
        app.transcript.show(shown, 3, app.transcript._level)
        app.transcript.styles.width = "1fr"
        await pilot.pause()
        assert screen(app)[0].strip() == "w000 w001 w002"
        assert not any(screen(app)[1:])


def marked(app: TranscriptApp) -> str:
    """The text in the accent colour."""
    here = app.theme_variables["here"]
    rows: Iterable = (app.transcript.render_line(y) for y in range(app.transcript.size.height))
    return "".join(
        segment.text
        for row in rows
        for segment in row
        if segment.style.color is not None and segment.style.color.get_truecolor().hex == here
    )


async def test_it_shows_the_path_and_marks_the_cursor() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        app.transcript.show(words(6), 0)
        app.transcript.cursor = 2
        await pilot.pause()
        assert screen(app) == [" w000 w001 w002", "w003 w004 w005", "", "", "", ""]
        assert marked(app) == "w002"
        app.transcript.cursor = 3
        assert marked(app) == "w003"


async def test_following_keeps_the_end_in_view_and_jumps_by_half_a_page() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)):
        transcript, text, tops = app.transcript, words(0), []
        transcript.live = True
        for number in range(60):
            text += words(1, number)
            transcript.show(text, number)
            shown = screen(app)
            assert any(f"w{number:03}" in row for row in shown)
            assert sum("▌" in row for row in shown) == 1
            tops.append(transcript.hidden_rows[0])
        jumps = [b - a for a, b in pairwise(tops) if a != b]
        assert jumps
        assert set(jumps) == {3}


async def test_scrolled_away_from_the_end_it_stays_there_until_told_to_follow() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)):
        transcript = app.transcript
        transcript.show(words(60), 0)
        transcript.scroll_page(-2)
        before = screen(app)
        transcript.show(words(90), 60)
        assert screen(app) == before
        transcript.following = False
        transcript.following = True
        assert screen(app)[-1].endswith("w089")


async def test_the_cursor_is_brought_into_view_by_half_a_page() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)):
        transcript = app.transcript
        transcript.show(words(60), 0)
        transcript.following = False
        tops = []
        for cursor in range(59, -1, -1):
            transcript.cursor = cursor
            assert marked(app) == f"w{cursor:03}"
            tops.append(transcript.hidden_rows[0])
        assert {a - b for a, b in pairwise(tops)} <= {0, 1, 2, 3, 4}
        assert len(set(tops)) < 8
        assert tops[-1] == 0


async def test_a_long_prompt_folds_to_one_line() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 6)) as pilot:
        transcript = app.transcript
        transcript.show(prompt(60) + words(3), 0)
        assert screen(app)[:2] == ["▸ prompt: 60 tokens … p057 p058 p059", " w000 w001 w002"]
        transcript.cursor = 5
        assert marked(app) == " p005"
        assert screen(app)[0] == "▸ prompt: 60 tokens … p003 p004 p005"
        transcript.following = False
        transcript.folded = False
        assert marked(app) == "p005"
        assert len(screen(app)[0]) > 30
        transcript.folded = True
        await pilot.click(Transcript, offset=(5, 0))
        assert not transcript.folded


async def test_a_folded_prompt_that_is_edited_shows_its_new_end() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 6)) as pilot:
        app.transcript.show(prompt(60) + words(3), 0)
        await pilot.pause()
        edited = prompt(60)
        edited[-1] = Cell(" new", "prompt")
        app.transcript.show(edited + words(3), 59)
        assert screen(app)[0] == "▸ prompt: 60 tokens … p057 p058 new"


async def test_a_short_prompt_does_not_fold() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 6)):
        app.transcript.show(prompt(12) + words(1), 0)
        assert screen(app)[0].startswith(" p000 p001")


async def test_the_branch_that_was_left_stays_in_view() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(42, 6)) as pilot:
        transcript = app.transcript
        transcript.show(words(8), 0)
        transcript.aside([Aside(2, "who had a", " son, who was")])
        assert screen(app) == [
            " w000 w001 w002 w003 w004 w005 w006",
            "w007",
            "2 ┬ … who had a son, who was",
            "",
            "",
            "",
        ]
        transcript.aside([Aside(2, "", "a"), Aside(3, "", "b"), Aside(4, "", "c")], 2)
        assert screen(app)[2:] == ["2 ┬ … a", "3 ┬ … b", "+3 more", ""]
        transcript.show(words(30), 8)
        assert screen(app)[3:] == ["w023 w024 w025 w026 w027 w028 w029", "2 ┬ … a", "3 ┬ … b"]
        transcript.show(words(8), 8)
        assert screen(app)[2:] == ["2 ┬ … a", "3 ┬ … b", "+3 more", ""]
        transcript.aside([])
        transcript.show(words(100), 8)
        transcript.aside([Aside(2, "who had a", " son, who was")])
        assert screen(app)[-2:] == ["w095 w096 w097 w098 w099", "2 ┬ … who had a son, who was"]
        await pilot.click(Transcript, offset=(10, 5))
        (message,) = app.picked
        assert isinstance(message, Transcript.AsidePicked)
        assert message.branch == 2


async def test_a_click_on_a_token_picks_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        app.transcript.show(words(5), 0)
        await pilot.click(Transcript, offset=(1 + 7, 1))
        await pilot.click(Transcript, offset=(1 + 12, 1))
        await pilot.click(Transcript, offset=(1 + 2, 2))
        (message,) = app.picked
        assert isinstance(message, Transcript.Picked)
        assert message.index == 4
        assert message.control is app.transcript


async def test_a_branch_replaces_the_end_and_nothing_of_the_old_one_is_left() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        transcript = app.transcript
        transcript.show(words(60), 0)
        transcript.show(words(3) + words(2, 900), 3)
        await pilot.pause()
        assert screen(app) == [" w000 w001 w002", "w900 w901", "", "", "", ""]


async def test_recolouring_changes_colours_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)):
        transcript = app.transcript
        transcript.show(words(60), 0)
        before, plain = screen(app), [transcript.render_line(y) for y in range(6)]

        def refuse(*_: object) -> None:
            raise AssertionError("laid out again")

        monkeypatch.setattr("tokexplore.widgets.transcript_layout.Layout.update", refuse)
        transcript.show(words(60), 60, lambda _: 5)
        hot = app.theme_variables["heat-5"]
        assert screen(app) == before
        assert [transcript.render_line(y) for y in range(6)] != plain
        segment = next(s for s in transcript.render_line(0) if s.text.startswith("w"))
        assert segment.style is not None
        assert segment.style.bgcolor is not None
        assert segment.style.bgcolor.get_truecolor().hex == hot


async def test_a_path_that_did_not_change_paints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)):
        transcript = app.transcript
        transcript.show(words(60), 0)

        def refuse(*_: object) -> None:
            raise AssertionError("painted again")

        monkeypatch.setattr(transcript, "refresh", refuse)
        transcript.show(words(60), 60)
        with pytest.raises(AssertionError, match="painted again"):
            transcript.show(words(61), 60)


def sections_of(count: int, said: int) -> list[Section]:
    """A turn every nine cells: two of the template, three of reasoning, then the answer."""
    return [
        Section(
            start, min(start + 9, count), f"role {start % 2}",
            (f"{said} tokens",) if start + 9 > count else (), foldable=start % 2 == 0,
            template=((start, min(start + 2, count)),),
            reasoning=((min(start + 2, count), min(start + 5, count)),),
        )
        for start in range(0, count, 9)
    ]  # fmt: skip


@pytest.mark.parametrize("turns", [False, True])
async def test_what_is_painted_in_part_is_what_would_be_painted_whole(turns: bool) -> None:
    """Only some rows are painted again after a change: the screen must not keep an old one."""
    app, chance = TranscriptApp(), random.Random(5)
    async with app.run_test(size=(30, 9)) as pilot:
        transcript, text = app.transcript, prompt(40)
        levels: dict[int, int] = {}

        def show(keep: int) -> None:
            sections = sections_of(len(text), turn) if turns else ()
            transcript.show(text, keep, level, sections)

        def level(token: int) -> int:
            return levels.get(token, 0)

        turn = 0
        show(0)
        for turn in range(120):
            change = chance.randrange(9)
            if change < 4:
                keep = len(text)
                text = text + words(chance.randrange(1, 4), turn)
                show(keep)
            elif change == 4:
                keep = chance.randrange(len(text))
                text = text[:keep] + words(3, 500 + turn)
                show(keep)
            elif change == 5:
                transcript.cursor = chance.randrange(len(text))
            elif change == 6:
                at = chance.randrange(len(text))
                levels[at] = chance.randrange(6)
                show(chance.choice([0, at]))
            elif change == 7:
                transcript.aside([Aside(n, "x", f"y{turn}") for n in range(chance.randrange(3))])
            else:
                name = chance.choice(["following", "live", "folded", "reasoning_folded"])
                setattr(transcript, name, not getattr(transcript, name))
            await pilot.pause()
            painted = app.screen._compositor.render_strips()
            transcript._strips.clear()
            whole = [transcript.render_line(y) for y in range(9)]
            assert [strip.crop(1, 29).text for strip in painted] == [s.text for s in whole], change
            assert [colours(s.crop(1, 29)) for s in painted] == [colours(s) for s in whole], change


def colours(strip: Strip) -> list[object]:
    """The style of each cell."""
    return [
        (segment.style.color, segment.style.bgcolor, segment.style.reverse)
        for segment in strip
        if segment.style is not None
        for _ in range(segment.cell_length)
    ]


async def test_it_wraps_again_when_its_width_changes() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        app.transcript.show(words(6), 0)
        await pilot.resize_terminal(14, 6)
        await pilot.pause()
        assert screen(app)[:3] == [" w000 w001", "w002 w003", "w004 w005"]


async def test_a_change_of_theme_reaches_the_lines() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        app.transcript.show(words(6), 0)
        app.transcript.cursor = 1
        assert marked(app) == "w001"
        for theme in (LIGHT, DARK):
            app.theme = theme.name
            await pilot.pause()
            assert marked(app) == "w001"


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 1), (200, 60)])
async def test_any_size_and_any_text_can_be_painted(size: tuple[int, int]) -> None:
    app = TranscriptApp()
    texts = ("\x1b]0;x\x07", "日本", "\u0301", "[/x]", "")
    hostile = [Cell(text, "sampled", fork=True) for text in texts]
    async with app.run_test(size=size) as pilot:
        transcript = app.transcript
        transcript.show(hostile, 0, lambda _: 5)
        transcript.aside([Aside(2, "[/x]", "\x9b31m"), Aside(3, "", "")])
        for cursor in (0, 4, None):
            transcript.cursor = cursor
            await pilot.pause()
        transcript.show([], 0)
        await pilot.pause()
        assert all(row.isprintable() for row in screen(app))


async def test_without_colour_the_cursor_and_the_hottest_tokens_still_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = TranscriptApp()
    async with app.run_test(size=(40, 6)) as pilot:
        text = [Cell(f"w{level} ", "sampled") for level in range(6)]
        app.transcript.show([*text, Cell("here", "sampled")], 0, lambda token: token)
        app.transcript.cursor = 6
        await pilot.pause()
        looks = {s.text: s.style for s in app.transcript.render_line(0) if s.style}
        assert not looks["w1"].bold
        assert looks["w3"].bold
        assert looks["w5"].bold
        assert looks["w5"].italic, "underlined is what was picked"
        assert not looks["w5"].underline
        assert looks["here"].reverse
        assert not any(looks[f"w{level}"].reverse for level in range(1, 6))


def chat() -> tuple[list[Cell], list[Section]]:
    """A question, and an answer after some thought."""
    cells = [
        Cell("<u>", "prompt", kind="template", shown="<u>"),
        *(Cell(f" q{n}", "prompt") for n in range(3)),
        Cell("<a>", "prompt", kind="template", shown="<a>"),
        Cell(" hm", "sampled", kind="reasoning"),
        Cell(" so", "sampled", kind="reasoning"),
        Cell("</t>", "sampled", kind="template", shown="</t>"),
        *(Cell(f" w{n}", "sampled") for n in range(3)),
    ]
    sections = [
        Section(0, 4, "user", ("3 tokens",), foldable=True, template=((0, 1),)),
        Section(4, 11, "assistant", ("5 tokens",), template=((4, 5), (7, 8)), reasoning=((5, 7),)),
    ]
    return cells, sections


async def test_turns_have_titles_and_what_the_template_wrote_is_hidden() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 8)) as pilot:
        transcript = app.transcript
        transcript.show(chat()[0], 0, sections=chat()[1])
        assert screen(app)[:4] == [
            "user  3 tokens", " q0 q1 q2", "assistant  5 tokens", " hm so w0 w1 w2"
        ]  # fmt: skip
        transcript.cursor = 4
        assert marked(app) == "<a>"
        assert screen(app)[2] == "assistant  5 tokens  <a>"
        transcript.reasoning_folded = True
        assert screen(app)[3] == " w0 w1 w2"
        transcript.cursor = 6
        assert screen(app)[2] == "assistant  5 tokens   so"
        transcript.folded = False
        assert screen(app)[1] == "<u> q0 q1 q2"
        assert screen(app)[3] == "<a></t> w0 w1 w2"
        await pilot.click(Transcript, offset=(3, 0))
        assert transcript.folded


async def test_a_long_turn_is_one_line_and_figures_change_alone() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 8)):
        transcript, (cells, sections) = app.transcript, chat()
        cells[1:4] = [Cell(f" q{n:03}", "prompt") for n in range(60)]
        sections = [
            sections[0]._replace(stop=61),
            Section(61, 68, "assistant", ("5 tokens",), template=((61, 62), (64, 65))),
        ]
        transcript.show(cells, 0, sections=sections)
        assert screen(app)[0] == "▸ user: 60 tokens … q057 q058 q059"
        assert screen(app)[1:3] == ["assistant  5 tokens", " hm so w0 w1 w2"]
        sections[1] = sections[1]._replace(figures=("6 tokens",))
        transcript.show(cells, len(cells), transcript._level, sections)
        assert screen(app)[1] == "assistant  6 tokens"
        transcript.folded = False
        assert transcript.hidden_rows[0] + transcript.hidden_rows[1] > 2


async def test_boundaries_are_shown_and_hidden_without_a_new_layout() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 6)) as pilot:
        transcript, text = app.transcript, words(12)
        transcript.show(text, 0)
        await pilot.pause()
        plain, laid_out = screen(app), []
        layout = transcript._text.layout
        assert layout is not None
        update = layout.update
        layout.update = lambda *given: laid_out.append(given[1]) or update(*given)  # type: ignore[method-assign, func-returns-value]
        transcript.boundaries = True
        assert screen(app) == plain
        assert underlined(app) == " " * 12
        transcript.boundaries = False
        assert underlined(app) == ""
        assert not laid_out
        text = [*text[:8], Cell("", "sampled", shown="<E4>"), *text[8:]]
        transcript.show(text, 8)
        plain = screen(app)
        laid_out.clear()
        transcript.boundaries = True
        assert laid_out == [8], "what comes before the first token without text stays"
        assert screen(app) != plain
        assert "w007·" in "".join(screen(app)).replace(" ", "")
        transcript.show([*text, Cell("", "sampled")], len(text))
        assert screen(app)[3].endswith("w011·")
        transcript.boundaries = False
        assert screen(app) == plain


def underlined(app: TranscriptApp) -> str:
    rows = (app.transcript.render_line(y) for y in range(app.transcript.size.height))
    return "".join(s.text for row in rows for s in row if s.style and s.style.underline)


def forked(cells: list[Cell], *at: int) -> list[Cell]:
    return [cell._replace(fork=index in at) for index, cell in enumerate(cells)]


async def test_a_fork_that_is_hidden_is_seen_on_the_line_that_stands_for_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(30, 10)) as pilot:
        cells = [*prompt(20), *words(8)]
        turns = [
            Section(0, 20, "user", foldable=True),
            Section(20, 28, "assistant", ("8 tokens",), template=((20, 22), (27, 28))),
        ]
        app.transcript.show(cells, 0, sections=turns)
        await pilot.pause()
        assert "┬" not in "".join(screen(app))
        for at, line in ((3, 0), (21, 1), (27, 1)):
            app.transcript.show(forked(cells, at), 0, sections=turns)
            titles = [row for row in screen(app) if row.startswith(("▸", "assistant"))]
            assert ["┬" in title for title in titles] == [line == 0, line == 1]
            assert "".join(screen(app)).count("┬") == 1
        app.transcript.show(forked(cells, 24), 0, sections=turns)
        assert "┬" in next(row for row in screen(app) if "w004" in row)
        app.transcript.show(forked(cells, 3, 27), 0, sections=turns)
        app.transcript.folded = False
        await pilot.pause()
        assert not any("┬" in row for row in screen(app) if row.startswith(("user", "assistant")))


@pytest.mark.parametrize("folded", [True, False])
async def test_a_turn_comes_into_view_with_its_title(folded: bool) -> None:
    app = TranscriptApp()
    async with app.run_test(size=(22, 8)) as pilot:
        cells = words(120)
        turns = [
            Section(at, at + 30, "assistant", (f"turn {at}",), template=((at, at + 4),))
            for at in range(0, 120, 30)
        ]
        app.transcript.folded = folded
        app.transcript.show(cells, 0, sections=turns)
        app.transcript.following = False
        await pilot.pause()
        for at in (90, 60, 30):
            for start in range(120):
                for cursor in (0, start, at + 4):
                    app.transcript.cursor = cursor
                assert any(f"turn {at}" in row for row in screen(app))
                assert any(f"w{at + 4:03}" in row for row in screen(app))
