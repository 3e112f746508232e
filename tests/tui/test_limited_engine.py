"""The whole product over an engine as one behind an API is: `support.first_candidates`.

It does what the engine can do, names the rest in one sentence, and asks for nothing else.
"""

import io
import json
import math
import os
import re
from pathlib import Path

import msgspec
import pytest
from support.app import PROMPT, client_of, make_app, press, screen_text, settle, until
from support.first_candidates import LISTED, FirstCandidates
from support.lab import lab_told
from support.lived import SIZE, ended
from support.sweeps import sweep_told
from textual.command import CommandPalette

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import BoundedView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli import run as run_command
from tokexplore.tui.cli.lab.registry import EXPERIMENTS
from tokexplore.tui.cli.run import RunOptions
from tokexplore.tui.cli.score import ScoreOptions
from tokexplore.tui.cli.score_report import score_text
from tokexplore.tui.explore.open_session import continue_session, options_for, to_replay
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.export.formats import FORMATS, export
from tokexplore.tui.export.source import Source
from tokexplore.tui.line_mode.session import LineSession
from tokexplore.tui.presenters.candidates import CandidateList
from tokexplore.tui.presenters.compare import compare
from tokexplore.tui.screens.help import help_for
from tokexplore.tui.screens.lab import LabScreen
from tokexplore.tui.screens.temperatures import TemperaturesScreen
from tokexplore.widgets.heat import NONE
from tokexplore.widgets.keybar import KeyBar

WIDE = SamplingSettings(temperature=1.2, seed=4)
"""Under which tokens beyond the first twenty are drawn."""
OPTIONS = AppOptions(
    load=LoadOptions("fake"), prompt=PromptSpec(text=PROMPT), max_new_tokens=24, settings=WIDE
)
NO_LAB = "This engine computes a path in one way only: the lab needs others."
NO_TEXT = "This engine goes on only with tokens that it listed: typed text needs others."
NO_SCORES = "This engine gives no logprobs of tokens that it is given"


def said(app: TokexploreApp) -> list[str]:
    return [notice.message for notice in app._notifications]


def unlisted(app: TokexploreApp) -> list[int]:
    """The nodes of drawn tokens that were not among the candidates of their step."""
    tree = app.controller.explorer.tree
    return [node for node in app.controller.explorer.nodes if tree.is_scored(node)
            and not tree.rank[node]]  # fmt: skip


async def test_the_prompt_has_no_logprobs_and_drawn_tokens_have() -> None:
    engine = FirstCandidates()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        given = explorer.nodes[: explorer.prompt_length]
        assert not any(tree.is_scored(node) for node in given)
        view = app.screen.story.path_view
        assert {view.level(index) for index in range(len(given))} == {NONE}
        assert all(tree.is_scored(node) for node in explorer.nodes[len(given) :])
        whole = FirstCandidates(abilities={"prompt_scores": True})._model
        node = unlisted(app)[0]
        (standing,) = whole.standings(tree.ids(tree.parent[node]), [tree.token[node]])
        assert standing.rank > LISTED
        assert tree.logprob[node] == pytest.approx(standing.logprob, abs=1e-5)
        assert math.isnan(tree.sampler_logprob[node])
    assert engine.asked == []


async def test_a_token_that_was_not_listed_has_its_row_and_no_rank() -> None:
    app = make_app(options=OPTIONS, engine=FirstCandidates())
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        node = unlisted(app)[0]
        explorer.place(tree.depth[node] - 1)
        app.screen.changed()
        await settle(pilot)
        told = app.controller.queries.distribution()
        listed = CandidateList(tree.parent[node], told)
        row = listed.page(explorer, app.controller.queries.sampler_view(), range(9), "").outside
        assert row is not None
        assert (row.rank, row.id, row.sampler) == (0, tree.token[node], None)
        assert re.search(r"● +\? +", screen_text(app))
        assert re.search(r"H [\d.]+–[\d.]+ nats · margin", screen_text(app))
        await press(pilot, "i")
        assert re.search(r"rank +\?", screen_text(app))
        await press(pilot, "pagedown")
        assert "lists the first 20 candidates of a step" in screen_text(app)


@pytest.mark.parametrize(
    ("key", "action", "sentence"), [("D", "lab", NO_LAB), ("t", "type_text", NO_TEXT)]
)
async def test_what_it_cannot_do_is_disabled_and_says_why(
    key: str, action: str, sentence: str
) -> None:
    engine = FirstCandidates()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        main = app.screen
        await until(pilot, lambda: ended(app))
        assert main.check_action(action, ()) is None
        assert main.check_action("ladder", ()) is True
        assert main.active_bindings[key].enabled is False
        await press(pilot, key)
        assert app.screen is main
        assert said(app) == [sentence]
        sheet = help_for(main, app.BINDINGS, app.rebinding, main.why_not, main=True)
        assert sentence in sheet.text(columns=999).plain
        commands = [c.help for c in app.get_system_commands(main)]
        assert f"{key}  {sentence}" in commands
    assert engine.asked == []


async def test_what_the_lab_found_with_another_engine_can_be_read() -> None:
    greedy = msgspec.structs.replace(OPTIONS, settings=SamplingSettings())
    whole = make_app(options=greedy)
    async with whole.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(whole))
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(whole.screen, LabScreen))
        await until(pilot, lambda: not whole.screen.lab.running)
        await press(pilot, "q")
        await whole.action_quit()
    opened, engine = continue_session(""), FirstCandidates()
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.nodes))
        await press(pilot, "end", "space")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        assert app.screen.lab.study is not None
        hints = {hint.action: hint.disabled for hint in app.screen.query_one(KeyBar)._hints}
        assert [action for action, off in hints.items() if off] == ["edit", "vary", "again"]
        await press(pilot, "r")
        assert said(app)[-1] == NO_LAB
        assert not app.screen.lab.running
        await press(pilot, "q")
        await app.controller.prompt(PromptSpec(text="The king"))
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        assert NO_LAB in screen_text(app)
    assert engine.asked == []


async def test_noise_is_not_measured() -> None:
    engine = FirstCandidates()
    engine.info = msgspec.structs.replace(engine.info, dtype="bfloat16")
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        assert app.controller.noise._unmeasured() is not None
        await press(pilot, "left", "right")
        assert app.controller.noise.gaps == {}
    assert engine.asked == []


async def test_the_palette_says_why_too() -> None:
    app = make_app(options=OPTIONS, engine=FirstCandidates())
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"lab")
        await until(pilot, lambda: "the lab needs others" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: said(app) == [NO_LAB])


async def test_a_whole_engine_has_nothing_disabled() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        assert all(bound.enabled for bound in app.screen.active_bindings.values())


async def test_temperatures_show_bounds_and_are_kept() -> None:
    engine = FirstCandidates()
    app = make_app(options=msgspec.structs.replace(OPTIONS, settings=WIDE), engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "C")
        await until(pilot, lambda: isinstance(app.screen, TemperaturesScreen))
        await until(pilot, lambda: all(run.ended for run in app.screen.temperature_runs.runs))
        await settle(pilot)
        greedy, *hot = [line for line in screen_text(app).splitlines() if " H " in line]
        assert "H 0.00 nats · kept 1" in greedy
        assert len(hot) == len(app.screen.temperature_runs.runs) - 1
        for line, run in zip(hot, app.screen.temperature_runs.runs[1:], strict=True):
            assert "H ?" in line
            assert "of the first 20" in line
            exact = engine._model.effects(app.screen.temperature_runs.ids, [run.settings])[0]
            share = run.bounds.share(0)
            assert share.low <= exact.probability_view[0] <= share.high
        await press(pilot, "down", "enter")
        assert any(message.startswith("Kept as branch") for message in said(app))
    assert engine.asked == []


async def test_a_token_that_is_not_listed_is_taken_only_where_the_engine_goes_on_with_any() -> None:
    for forced in (False, True):
        engine = FirstCandidates(abilities={"forced_tokens": forced})
        app = make_app(options=OPTIONS, engine=engine)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: ended(app))  # noqa: B023 -- awaited here
            await press(pilot, "left")
            before = app.controller.explorer.before
            told = app.controller.queries.distribution()
            token = next(t for t in range(300, 400) if told.index_of(t) is None)
            tree = app.controller.explorer.tree
            work = app.controller.jobs.change(app.controller.take(token, before))
            await until(pilot, lambda: work.done() and not app.controller.streaming)  # noqa: B023
            taken = tree.child(before, token)
            if forced:
                assert taken is not None
                assert not tree.is_scored(taken)
            else:
                assert taken is None
                assert f"id {token} is none of those at this step." in said(app)[-1]
            await press(pilot, "t")
            assert (NO_TEXT in said(app)) is not forced
            if forced:
                await pilot.press(*"so", "enter")
                await until(pilot, lambda: any("tokens typed" in m for m in said(app)))  # noqa: B023
                typed = next(message for message in said(app) if "tokens typed" in message)
                assert re.fullmatch(rf"\d tokens typed\. {NO_SCORES}\.", typed)
                whole, part = compare(app.controller.explorer, [1, tree.branch_of[taken]], ())[0]
                assert whole.sum == pytest.approx(-sum(c.surprisal for c in whole.cells))
                assert part.sum is None
                assert part.mean is not None
        assert engine.asked == []


async def test_pages_draws_and_recorded_steps_of_another_engine_ask_for_nothing() -> None:
    """A session of an engine that knew everything goes on with this one."""
    whole = make_app(options=OPTIONS)
    async with whole.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(whole))
        await press(pilot, "home", "3")
        await until(pilot, lambda: not whole.controller.streaming)
        await whole.action_quit()
    opened, engine = continue_session(""), FirstCandidates()
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.nodes))
        await press(pilot, "end", "space")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home")
        assert app.controller.explorer.came(app.controller.explorer.cursor) == "picked"
        assert isinstance(app.controller.queries.sampler_view(), BoundedView)
        await press(pilot, *["pagedown"] * 20)
        app.controller.watchlist.toggle(7)
        app.screen.changed()
        await settle(pilot)
        await press(pilot, "s")
        hints = app.screen.query_one(KeyBar)._hints
        assert [hint.action for hint in hints if hint.disabled] == ["draw"]
        await press(pilot, "d")
        assert said(app)[-1] == (
            "This engine lists the first 20 candidates of a step: drawing needs the whole "
            "vocabulary."
        )
    assert engine.asked == []


async def test_its_session_opens_exports_and_is_replayed(tmp_path: Path) -> None:
    app = make_app(options=OPTIONS, engine=FirstCandidates())
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        nodes, missing = list(app.controller.explorer.nodes), len(unlisted(app))
        await app.action_quit()
    assert missing
    opened = continue_session("")
    tree = opened.session.tree
    here = [node for node in nodes if tree.is_scored(node) and not tree.rank[node]]
    assert len(here) == missing
    source = Source(tree, opened.session.vocabulary, nodes[-1], "x", WIDE)
    written = {form: _exported(source, form) for form in FORMATS if form != "messages"}
    steps = [json.loads(line) for line in written["jsonl"].splitlines() if '"step"' in line]
    known = [step for step in steps if step["logprob"] is not None]
    assert sum(step["rank"] is None for step in known) == missing
    assert all(step["entropy"] is None for step in steps)
    assert written["markdown"].count("| ? | ? |") == missing
    assert written["html"].count("rank ?") == missing
    lines = tmp_path / "x.jsonl"
    lines.write_text(written["jsonl"])
    again = continue_session(str(lines)).session.tree
    assert again.rank[1:] == tree.rank[1:]
    assert again.logprob[1:] == pytest.approx(tree.logprob[1:], nan_ok=True)

    timeline, options = to_replay(OpenOptions(app=AppOptions(speed=50.0)))
    replayed = make_app(options=options, timeline=timeline)
    async with replayed.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: replayed.controller.state == "recorded")
        assert replayed.controller.explorer.tree.rank == tree.rank
        await press(pilot, "left")
        assert re.search(r"H [\d.]+–[\d.]+ nats · margin", screen_text(replayed))


def _exported(source: Source, form: str) -> str:
    out = io.BytesIO()
    export(source, form, "path", LISTED, out)
    return out.getvalue().decode()


def ran(engine: FirstCandidates, form: str, **more: object) -> str:
    out = io.BytesIO()
    options = RunOptions(msgspec.structs.replace(OPTIONS, **more), format=form, candidates=4)
    assert run_command.run(options, out, open_engine=lambda *_: engine, errors=io.StringIO()) == 0
    return out.getvalue().decode()


def test_a_run_tells_every_position_and_makes_up_none(tmp_path: Path) -> None:
    engine, file = FirstCandidates(), tmp_path / "a.tokx"
    head, *steps, end = map(
        json.loads, ran(engine, "jsonl", session=str(file)).splitlines()
    )  # fmt: skip
    fields = "type position origin id text bytes logprob sampler_logprob chosen_by rank entropy "
    fields += "margin lse tail_mass candidates"
    assert [step["position"] for step in steps] == list(range(1, len(steps) + 1))
    assert [head["prompt_ids"][0], *(s["id"] for s in steps)][: len(head["prompt_ids"])] == (
        head["prompt_ids"]
    )
    for step in steps:
        assert [name for name in step if name != "complete"] == fields.split()
        assert step["entropy"] is step["sampler_logprob"] is None
        assert (step["logprob"] is None) == (step["origin"] == "prompt")
    assert any(step["rank"] is None for step in steps if step["origin"] == "generated")
    assert end["reason"] in ("length", "eos")
    tree = continue_session(str(file)).session.tree
    assert [tree.token[n] for n in tree.path(len(tree) - 1)][1:] == [s["id"] for s in steps]
    assert engine.asked == []


def test_a_run_in_text_has_bounds_and_question_marks() -> None:
    engine = FirstCandidates()
    text = ran(engine, "text")
    steps = text.split("\nstep ")[1:]
    assert len(re.findall(r"rank \? of \d+: model [\d.]+% \(logprob -[\d.]+\), sampler \?", text))
    assert all("entropy ? (of the first 20)" in step for step in steps if " of the first" in step)
    assert re.search(r"\d\.\d\d% to \d+\.\d\d%", text)
    narrow = msgspec.structs.replace(WIDE, typical_p=0.9)
    assert re.search(r"sampler \?", ran(engine, "text", settings=narrow))
    assert engine.asked == []


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_no_experiment_of_the_lab_begins(experiment: str) -> None:
    engine = FirstCandidates()
    with pytest.raises(UsageError) as refused:
        lab_told(experiment, "--prompt", "Once upon", engine=engine)
    lacks = "computes a path in one way only", "others"
    if experiment != "repeat":  # the others look at every logit
        lacks = "lists the first 20 candidates of a step", "the whole vocabulary"
    assert str(refused.value) == f"This engine {lacks[0]}: lab {experiment} needs {lacks[1]}."
    assert refused.value.exit_code == 2
    assert engine.asked == []


def test_score_and_a_grid_are_refused(tmp_path: Path) -> None:
    file, engine = tmp_path / "a.txt", FirstCandidates()
    file.write_text("Once upon a time")
    with pytest.raises(UsageError, match=NO_SCORES):
        score_text(
            ScoreOptions(str(file)), io.BytesIO(), open_engine=lambda *_: engine,
            errors=io.StringIO(),
        )  # fmt: skip
    with pytest.raises(UsageError, match="sweep --grid needs the whole vocabulary"):
        sweep_told("--grid", engine=engine)
    assert engine.asked == []


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
def test_a_sweep_runs_without_what_only_the_whole_vocabulary_tells(form: str) -> None:
    engine = FirstCandidates()
    arguments = ("--temperature", "1,2", "--runs", "2", "--max-new-tokens", "4", "--format", form)
    text = sweep_told(*arguments, engine=engine)
    if form == "table":
        assert len(re.findall(r"^T \S+ +\? +\? +2 ", text, re.MULTILINE)) == 2
    elif form == "jsonl":
        for line in map(json.loads, text.splitlines()[1:]):
            assert line["model_entropy"] is line["entropy"] is line["kept"] is line["kl"] is None
            assert line["candidates"] == []
            assert len(line["continuations"]) == 2
    else:
        assert [line.split(",")[3:8] for line in text.splitlines()[1:]] == [[""] * 5] * 2
    assert engine.asked == []


def test_ids_that_the_engine_gave_out_itself_cannot_be_named() -> None:
    engine = FirstCandidates(abilities={"own_ids": False})
    with pytest.raises(UsageError, match=r"--watch-id needs the ids of the model's tokenizer\.$"):
        ran(engine, "text", watch_ids=(5,))


async def test_the_line_mode_goes_as_far_as_it_can() -> None:
    engine, out = FirstCandidates(), io.BytesIO()
    ours, theirs = os.pipe()
    os.write(theirs, b"step -1\ntable 30\ntype so\ntake 5\nfind a\n")
    os.close(theirs)
    try:
        session = LineSession(OPTIONS, client_of(lambda *_: engine), out, ours)
        assert await session.run() == 0
    finally:
        os.close(ours)
    text = out.getvalue().decode()
    assert "\nThis engine lists the first 20 candidates of a step.\n" in text
    assert NO_TEXT in text
    assert re.search(r"id 5 is none of those at this step", text)
    assert re.search(r"of the first 20 tokens hold this text", text)
    assert engine.asked == []
