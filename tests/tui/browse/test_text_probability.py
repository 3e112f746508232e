"""`t`, ctrl+n: how probable a text is here, beside others, without a branch."""

import math
from collections.abc import Sequence

from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates
from support.lived import OPTIONS, lived, reopened
from textual.pilot import Pilot
from textual.widgets import Static

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.scored_text import ScoredText
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import open_session
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.continuation import ContinuationEditor
from tokexplore.tui.screens.dialog import Sheet
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.writing import TextEditor

SIZE = (120, 40)


async def begin(pilot: Pilot[int], app: TokexploreApp) -> None:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home", "right", "right", "t")
    assert isinstance(app.screen, ContinuationEditor)


def asked(app: TokexploreApp) -> Sequence[ScoredText]:
    explorer = app.controller.explorer
    return explorer.scored_texts.get(explorer.before, ())


async def ask(pilot: Pilot[int], app: TokexploreApp, text: str) -> None:
    app.screen.query_one(Draft).load_text(text)
    await settle(pilot)
    await pilot.press("ctrl+n")
    await until(pilot, lambda: bool(asked(app)) and asked(app)[-1].text == text)
    await during(pilot, lambda: any(line.startswith(f"“{text[:8]}") for line in shown(app)))


def shown(app: TokexploreApp) -> list[str]:
    """The lines of the dialog's table or of a sheet, spaces of texts as they are."""
    screen = app.screen
    if isinstance(screen, Sheet):
        text = screen._content.plain
    else:
        text = str(screen.query_one("#scored", Static).render())
    return [line.replace("␣", " ").strip() for line in text.splitlines()]


def logprob(path: Sequence[int], text: str) -> float:
    """By the engine's own distributions, one token after the other."""
    engine, ids, total = FakeEngine(), list(path), 0.0
    for token in engine.encode(text, continuation=True):
        (standing,) = engine.standings(ids, [token])
        total += standing.logprob
        ids.append(token)
    return total


async def test_texts_stand_beside_each_other_and_the_tree_stays_as_it_is() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        explorer = app.controller.explorer
        nodes, path = len(explorer.tree), explorer.ids(explorer.cursor)
        for text in (" king", " there was a", " a"):
            await ask(pilot, app, text)
        assert [text.text for text in asked(app)] == [" king", " there was a", " a"]
        for text in asked(app):
            assert math.isclose(text.logprob, logprob(path, text.text), abs_tol=1e-9)
        order = sorted(asked(app), key=lambda text: -text.logprob)
        lines = shown(app)
        rows = [next(x for x in lines if x.startswith(f"“{t.text}”")) for t in order]
        assert [lines.index(row) for row in rows] == sorted(lines.index(row) for row in rows)
        for row, text in zip(rows, order, strict=True):
            assert f"{text.logprob:.4f}" in row
        assert rows[0].split()[-1] == "1"
        gap = order[0].logprob - order[1].logprob
        assert math.isclose(float(rows[1].split("1/")[-1]), math.exp(gap), rel_tol=0.01)
        assert lines[0].startswith(f"a {asked(app)[-1].logprob:.4f} ")
        assert len(explorer.tree) == nodes
        assert app.screen.query_one(Draft).text == " a"
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen is app._browse)
        assert len(explorer.tree) == nodes + 1
        await press(pilot, "t")
        assert any(line.startswith("“ there was a”") for line in shown(app)), "they are still there"


async def test_figures_of_one_text_are_not_left_under_another() -> None:
    app = make_app(options=OPTIONS)
    before = "asked for before · ctrl+n asks for the text above"
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        assert "ctrl+n asks" not in screen_text(app)
        await ask(pilot, app, " king")
        tokens = shown(app)[0]
        assert tokens.startswith("king ")
        await press(pilot, "s")
        assert shown(app)[0] == before
        assert tokens not in shown(app)
        assert any(line.startswith("“ king”") for line in shown(app)), "the table names its texts"
        await press(pilot, "backspace")
        assert shown(app)[0] == tokens
        await press(pilot, "ctrl+t")
        assert shown(app)[0] == before, "another reading is another text"


async def test_the_same_text_again_is_one_and_another_reading_is_another() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        await ask(pilot, app, "</s>")
        await ask(pilot, app, " king")
        await ask(pilot, app, "</s>")
        assert [text.text for text in asked(app)] == [" king", "</s>"]
        await press(pilot, "ctrl+t", "ctrl+n")
        await until(pilot, lambda: len(asked(app)) == 3)
        assert [(len(t.ids), t.literal) for t in asked(app)[1:]] == [(1, False), (4, True)]


async def test_they_are_kept_with_the_session_and_shown_where_it_is_opened() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        await ask(pilot, app, " king")
        await ask(pilot, app, " there was a")
        texts, node = asked(app), app.controller.explorer.before
        await press(pilot, "ctrl+g")
        await app.action_quit()
    assert open_session(all_files()[0], to_write=False).texts == {node: texts}
    again = reopened()
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert again.controller.state == "recorded"
        await press(pilot, "i")
        lines = shown(again)
        assert "Texts at this step" in lines
        assert any("“ king”" in x and f"{texts[0].logprob:.4f} nats" in x for x in lines)
        await press(pilot, "q", "t")
        await during(pilot, lambda: any(x.startswith("“ king”") for x in shown(again)))
        again.screen.query_one(Draft).load_text(" a")
        await press(pilot, "ctrl+n")
        await during(pilot, lambda: any("model is not loaded" in x for x in shown(again)))
        assert asked(again) == texts
        await press(pilot, "ctrl+g", "right", "t")
        assert not any(x.startswith("“ king”") for x in shown(again)), "they are of one step"


async def test_another_model_s_are_not_compared() -> None:
    await lived("home", "right", "right", "3")
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        explorer = app.controller.explorer
        king = ScoredText(" king", (1,), (-0.5,), (1,), model=0)
        explorer.scored_texts[explorer.before] = (king,)
        other = explorer.tree.provenance[0]
        explorer.tree.load(type(other)(**{**_fields(other), "dtype": "bfloat16"}))
        await press(pilot, "t")
        await during(pilot, lambda: any("1 more here by another model" in x for x in shown(app)))
        assert not any(x.startswith("“ king”") for x in shown(app))
        await press(pilot, "ctrl+g", "i")
        assert any(f"by {other.model}" in x and "-0.5000 nats" in x for x in shown(app))


def _fields(struct: object) -> dict[str, object]:
    return {name: getattr(struct, name) for name in type(struct).__struct_fields__}  # type: ignore[attr-defined]


async def test_what_cannot_be_told_is_said_in_the_dialog() -> None:
    engine = FirstCandidates(abilities={"forced_tokens": True})
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        app.screen.query_one(Draft).load_text(" king")
        await press(pilot, "ctrl+n")
        sentence = "the probability of a text needs them."
        await during(pilot, lambda: any(sentence in line for line in shown(app)))
        assert engine.asked == []
        assert not asked(app)


async def test_ranks_that_are_not_told_do_not_matter() -> None:
    engine = FirstCandidates(abilities={"forced_tokens": True, "prompt_scores": True})
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        await ask(pilot, app, " king there was a")
        (text,) = asked(app)
        assert 0 in text.ranks
        path = app.controller.explorer.ids(app.controller.explorer.cursor)
        assert math.isclose(text.logprob, logprob(path, text.text), abs_tol=1e-6)


async def test_an_empty_text_and_one_that_is_too_long_are_told() -> None:
    app = make_app(options=OPTIONS, context=64)
    async with app.run_test(size=SIZE) as pilot:
        await begin(pilot, app)
        await press(pilot, "ctrl+n")
        await during(pilot, lambda: any("There is no text yet" in x for x in shown(app)))
        app.screen.query_one(Draft).load_text(" king" * 200)
        await press(pilot, "ctrl+n")
        await during(pilot, lambda: any("context holds 64: shorten it." in x for x in shown(app)))
        assert not asked(app)


async def test_the_next_turn_of_a_chat_is_no_such_text() -> None:
    chat = Chat((Message("user", "who"),))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=4))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "T")
        assert type(app.screen) is TextEditor
        assert "how probable" not in screen_text(app)


async def test_on_a_small_screen_it_all_can_be_reached() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await begin(pilot, app)
        await ask(pilot, app, " there was a king and a")
        await ask(pilot, app, " a")
        text = screen_text(app).replace("␣", " ")
        for part in ("“ a”", "“ there was a king", "⏎ done", "ctrl+g cancels"):
            assert part in text
