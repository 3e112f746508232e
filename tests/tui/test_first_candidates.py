"""What is shown of steps of which only the first candidates are known, streamed or in a file."""

import io
import json
import math
import os
import re
from array import array
from pathlib import Path

import msgspec
import pytest
from support.app import (
    LENGTH,
    PROMPT,
    TokexploreApp,
    client_of,
    make_app,
    press,
    screen_text,
    until,
)
from support.fake_engine import FakeEngine
from support.first_candidates import LISTED, FirstCandidates, first_of
from support.lived import SIZE, ended
from support.sweeps import sweep_told
from textual.widgets import Static

from tokexplore.models.api.engine import Control, DrawnToken, Engine, StreamRequest
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli import run as run_command
from tokexplore.tui.cli.run import RunOptions
from tokexplore.tui.cli.score import ScoreOptions
from tokexplore.tui.cli.score_report import score_text
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.line_mode.session import LineSession
from tokexplore.tui.presenters.candidates import CandidateList
from tokexplore.tui.presenters.status import step_figures
from tokexplore.tui.report.step_text import step_table
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.inspect import inspect_sheet
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.heat import NONE

ROWS = FakeEngine().vocabulary.rows
OPTIONS = AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=LENGTH)
HOT = SamplingSettings(temperature=0.9, top_k=5, seed=3)


def listing_app(engine: Engine, **more: object) -> TokexploreApp:
    return make_app(options=msgspec.structs.replace(OPTIONS, **more), engine=engine)


async def test_the_main_screen_shows_no_figure_that_nobody_knows() -> None:
    engine = FirstCandidates()
    app = listing_app(engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left")
        text = screen_text(app)
        assert re.search(r"H [\d.]+–[\d.]+ nats · margin", text)
        assert "· of the first 20" in text
        table = app.screen.query_one(CandidateTable)
        page = table._page
        assert page is not None
        assert (page.total, page.note) == (LISTED, "first 20")
        assert page.rest_count == ROWS - len(page.rows)
        told = app.controller.queries.distribution()
        assert told is not None
        assert page.rest_mass == pytest.approx(told.tail_mass(len(page.rows)), abs=1e-9)
        await press(pilot, "c", "c")  # by entropy, where none is known
        view = app.screen.story.path_view
        assert view.colouring == "entropy"
        known = [view.level(index) for index in range(len(view.cells))]
        assert set(known) == {NONE}
        assert all(map(math.isnan, view.entropies))
        await press(pilot, *["pagedown"] * 4, "end")
        assert app.controller.explorer.row < LISTED
    assert engine.asked == []


async def test_bounds_speak_where_nobody_can_reshape() -> None:
    engine = FirstCandidates()
    app = listing_app(engine, settings=HOT)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "end", "right")  # to the open end, whose token is to come
        assert app.controller.explorer.taken is None
        text = screen_text(app)
        assert "kept 5 of" in text
        view = app.controller.queries.sampler_view()
        told = app.controller.queries.distribution()
        assert view is not None
        assert told is not None
        figures = view.figures(told)
        assert figures is not None
        assert figures.kept == 5
    assert engine.asked == []


async def test_the_lens_shows_bounds_and_says_of_what() -> None:
    engine = FirstCandidates()
    app = listing_app(engine, settings=HOT)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "s")
        assert isinstance(app.screen, SamplerLensScreen)
        figures = str(app.screen.query_one("#figures", Static).render())
        assert re.search(r"^entropy nats +\?", figures, re.MULTILINE)
        assert re.search(r"^perplexity +\?", figures, re.MULTILINE)
        assert re.search(rf"^kept tokens +{ROWS:,} +5 +5", figures, re.MULTILINE)
        assert "bounds of the first 20 candidates" in " ".join(figures.split())
        await press(pilot, "d")
        assert any("whole vocabulary" in n.message for n in app._notifications)
        await press(pilot, "v")  # the running sums of what is listed
        now = app.screen._columns()[-1]
        assert now.effect is None
        # A filter that needs the whole tail leaves nothing.
        for _ in range(4):
            await press(pilot, "down")
        app.screen._editor.values["typical_p"] = 0.5
        app.screen._follow()
        assert app.screen._columns()[-1].bounds is None
    assert engine.asked == []


async def test_what_is_found_is_of_the_first_candidates() -> None:
    engine = FirstCandidates()
    app = listing_app(engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "slash")
        assert isinstance(app.screen, FindToken)
        told = app.controller.queries.distribution()
        assert told is not None
        word = app.controller.explorer.vocabulary.bytes_of(told.id_view[3]).decode().strip()
        await pilot.press(*word)
        await until(pilot, lambda: "of the first 20" in screen_text(app))
    assert engine.asked == []


async def test_a_watched_token_is_not_asked_for() -> None:
    engine = FirstCandidates()
    app = listing_app(engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left")
        told = app.controller.queries.distribution()
        assert told is not None
        unlisted = next(token for token in range(ROWS) if told.index_of(token) is None)
        app.controller.watchlist.toggle(told.id_view[0])
        app.controller.watchlist.toggle(unlisted)
        app.screen.changed()
        await until(pilot, lambda: not app.screen.strip.watch_view.pending)
        assert re.search(r"rank 1\b", screen_text(app))
        shown = app.controller.explorer.vocabulary.show(unlisted)
        assert f"{shown} ·" in screen_text(app)
    assert engine.asked == []


async def test_a_session_of_them_opens_without_the_model() -> None:
    app = listing_app(FirstCandidates(), settings=HOT)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await app.action_quit()
    opened = continue_session("")
    again = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(again.controller.explorer.nodes))
        await press(pilot, "left")
        assert re.search(r"H [\d.]+–[\d.]+ nats · margin", screen_text(again))
        sheet = str(inspect_sheet(again.controller, None, None)._content)
        assert re.search(r"entropy +[\d.]+ to [\d.]+ nats \(of the first 20\)", sheet)


async def test_the_line_mode_says_what_is_not_known() -> None:
    engine, out = FirstCandidates(), io.BytesIO()
    prompt = PromptSpec(text="Once upon")
    options = AppOptions(load=LoadOptions("fake"), prompt=prompt, max_new_tokens=4)
    ours, theirs = os.pipe()
    os.write(theirs, b"back 1\ntable 5\npick 21\nfind a\n")
    os.close(theirs)
    try:
        assert await LineSession(options, client_of(lambda *_: engine), out, ours).run() == 0
    finally:
        os.close(ours)
    text = out.getvalue().decode()
    assert "entropy ? (of the first 20), margin" in text
    assert f"{ROWS - 5:,} more hold" in text
    assert "there is no row 21: the last is 20." in text
    assert re.search(r"\d+ of the first 20 tokens hold this text", text)
    assert engine.asked == []


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_a_run_says_it(form: str) -> None:
    app = AppOptions(load=LoadOptions("fake"), prompt=PromptSpec(text="Once"), max_new_tokens=3)
    out, engine = io.BytesIO(), FirstCandidates()
    options = RunOptions(app, format=form, candidates=4)
    assert run_command.run(options, out, open_engine=lambda *_: engine, errors=io.StringIO()) == 0
    text = out.getvalue().decode()
    if form == "text":
        assert len(re.findall(r"entropy \? \(of the first \d+\) · margin \d", text)) == 3
        return
    steps = [json.loads(x) for x in text.splitlines() if '"step"' in x]
    given = [step for step in steps if step["origin"] == "prompt"]
    steps = steps[len(given) :]
    assert [step["position"] for step in given] == [1]
    assert all(step["logprob"] is None and step["candidates"] == [] for step in given)
    assert len(steps) == 3
    assert all(step["complete"] is False and step["entropy"] is None for step in steps)
    for step in steps:
        mass = 1 - sum(math.exp(c["logprob"]) for c in step["candidates"])
        assert step["tail_mass"] == pytest.approx(mass, abs=1e-9)


def test_a_step_of_one_candidate_has_no_margin_that_is_known() -> None:
    engine = FakeEngine()
    ids = tuple(engine.encode("Once"))
    drawn = next(
        event
        for event in engine.stream(StreamRequest(ids, SamplingSettings(), 1), Control())
        if isinstance(event, DrawnToken)
    )
    told = drawn.distribution
    alone = type(told)(
        told.ids[:4], array("f", [told.logprob(0)]).tobytes(), told.vocabulary, 0.0, None
    )
    event = msgspec.structs.replace(drawn, distribution=alone)
    heading = step_table(1, event, ids, engine.vocabulary, 5)[0]
    assert heading.endswith("entropy ? (of the first 1) · margin ?")


def test_a_score_has_a_question_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Once upon a time")
    out = io.BytesIO()
    options = ScoreOptions(str(file), candidates=2)
    engine = FirstCandidates(abilities={"prompt_scores": True})
    assert score_text(options, out, open_engine=lambda *_: engine, errors=io.StringIO()) == 0
    rows = out.getvalue().decode().partition("Every token:")[2].strip().splitlines()
    column = rows[0].index(" H ") + 1
    assert all(row[column] == "?" for row in rows[1:])


def test_a_sweep_leaves_out_the_curve_that_nobody_knows(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    arguments = ("--temperature", "1", "--runs", "2", "--max-new-tokens", "5", "--batch", "1")
    text = sweep_told(*arguments, engine=FirstCandidates())
    assert "the model's next token: entropy not known, of the first 20 candidates" in text
    assert re.search(r"^  surprisal ", text, re.MULTILINE)
    assert not re.search(r"^  entropy ", text, re.MULTILINE)
    line = json.loads(
        sweep_told(*arguments, "--format", "jsonl", engine=FirstCandidates()).splitlines()[1]
    )
    assert line["entropy_curve"] == []
    assert line["continuations"][0]["entropies"] == [None] * 5
    sweep_told(*arguments, "--plot", str(tmp_path / "a.svg"), engine=FirstCandidates())
    assert (tmp_path / "a.svg").stat().st_size
    assert not recwarn.list


def test_a_list_of_candidates_ends_where_nobody_knows_more() -> None:
    engine = FirstCandidates()
    told = engine.describe(engine.encode("Once"))
    known = CandidateList(0, told)
    assert len(known) == LISTED == told.available


async def test_one_candidate_that_is_computed_again_has_no_margin() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left")
        explorer = app.controller.explorer
        found = app.controller.queries.distribution()
        assert found is not None
        explorer.tree.recomputed[explorer.before] = first_of(found, 1)
        figures = step_figures(app.controller, found, None, None, bits=False)
        assert [part.text for part in figures[:2]] == [
            f"H {found.entropy:.2f} nats", f"margin {found.margin:.2f} nats",
        ]  # fmt: skip
        sheet = str(inspect_sheet(app.controller, None, None)._content)
        assert "entropy ?, margin ?\n" in sheet
        assert re.search(r"logprobs at most \S+ nats apart, over 1 candidates", sheet)
        unlisted = next(t for t in range(found.vocabulary) if found.index_of(t) is None)
        explorer.tree.recomputed[explorer.before] = msgspec.structs.replace(
            first_of(found, 1), ids=array("I", [unlisted]).tobytes()
        )
        sheet = str(inspect_sheet(app.controller, None, None)._content)
        assert "no candidate is listed by both" in sheet
        explorer.tree.recomputed[explorer.before] = found
        figures = step_figures(app.controller, found, None, None, bits=False)
        assert figures[1].text.endswith(f"nats (now {found.margin:.2f})")
