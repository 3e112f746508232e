"""A second model that reads along, in the app: two fake engines in threads."""

import io
import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.app import PROMPT, client_of, during, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates
from textual.pilot import Pilot

from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.diff.along import along
from tokexplore.models.diff.vocabularies import shared_ids
from tokexplore.models.errors import ModelError
from tokexplore.models.session import schema
from tokexplore.models.session.reader import open_session
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore import streams
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.export.formats import export
from tokexplore.tui.export.import_jsonl import Lines
from tokexplore.tui.export.source import Source
from tokexplore.tui.screens.models import SecondPicker
from tokexplore.widgets.candidates import CandidateTable

LENGTH = 12
OPTIONS = AppOptions(
    load=LoadOptions("one"),
    against=LoadOptions("two"),
    prompt=PromptSpec(text=PROMPT),
    max_new_tokens=LENGTH,
)


class Otherwise(FakeEngine):
    """An engine with opinions of its own: those of another path."""

    def _logits(self, ids: Sequence[int], key: bytes) -> np.ndarray:
        return super()._logits(ids, key[::-1])


class Pair:
    """Two engines by the names that they are loaded under.

    Args:
        ready: what opening the second waits for.
    """

    def __init__(self, second: Engine | None = None, first: Engine | None = None) -> None:
        self.first = first or FakeEngine(name="one")
        self.second = second or FakeEngine(name="two", sharpness=0.7)
        self.opened: list[str] = []
        self.error: Exception | None = None

    def open(self, load: LoadOptions, report: Callable[[Progress], None]) -> Engine:
        report(Progress("weights", 1, 1, "bytes"))
        self.opened.append(load.model)
        if load.model == "one":
            return self.first
        if self.error is not None:
            raise self.error
        return self.second

    def app(self, options: AppOptions = OPTIONS) -> TokexploreApp:
        return TokexploreApp(options, Environment(client_of(self.open)))


def said(app: TokexploreApp) -> list[str]:
    return [notice.message for notice in app._notifications]


def all_read(app: TokexploreApp) -> bool:
    explorer = app.controller.explorer
    return len(explorer.nodes) > LENGTH and all(
        node in explorer.tree.compared for node in explorer.nodes[1:]
    )


async def read(pilot: Pilot[int], app: TokexploreApp) -> None:
    """Wait until the stream is over and all of it was read by both."""
    await until(pilot, lambda: all_read(app) and not app.controller.streaming)


def expected(app: TokexploreApp, pair: Pair) -> dict[int, object]:
    """What `diff` says of the path in view, by position."""
    ids = app.controller.explorer.ids()
    shared = shared_ids(pair.first.vocabulary, pair.second.vocabulary)
    assert shared is not None
    steps = along(pair.first, pair.second, ids, 1, shared, Control())
    return {step.position: step for step in steps}


async def test_every_token_is_read_by_both_as_diff_reads_them() -> None:
    pair = Pair()
    app = pair.app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        told = expected(app, pair)
        assert len(told) > LENGTH
        for index, node in enumerate(explorer.nodes[1:], 1):
            assert explorer.tree.compared[node] == told[index]
        text = screen_text(app)
        assert "against two" in text
        assert "KL" in text
        assert "Δlogprob" in text


async def test_the_table_shows_what_the_second_says_of_each_row() -> None:
    pair = Pair()
    app = pair.app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        await press(pilot, "left")
        explorer, second = app.controller.explorer, app.controller.second
        ids = explorer.ids(explorer.cursor)
        page = app.screen.query_one(CandidateTable)._page
        assert page is not None
        assert page.second
        rows = [row for row in page.rows if row.second is not None]
        assert len(rows) >= 10
        ranks = pair.second.standings(ids, [row.id for row in rows])
        for row, rank in zip(rows, ranks, strict=True):
            assert row.second == pytest.approx(rank.logprob, abs=1e-6)
            assert row.delta == pytest.approx(rank.logprob - row.logprob, abs=1e-6)
        told = second.beside(explorer.before, ())
        assert told is not None
        assert told.greedy == int(np.argmax(pair.second.full(ids)))  # type: ignore[attr-defined]


def planted(app_ids: tuple[int, ...], token: int) -> FakeEngine:
    """A second model that would take another token after a path."""
    return FakeEngine(name="two", planted={app_ids: {token: 40.0}})


async def first_path() -> tuple[int, ...]:
    """The ids that the first model streams by itself."""
    app = Pair().app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        return app.controller.explorer.ids()


async def test_a_key_goes_to_where_the_choices_part_and_its_choice_can_be_taken() -> None:
    ids = await first_path()
    at = len(ids) - 4
    other = FakeEngine(name="one").describe(ids[:at]).id_view[2]
    app = Pair(planted(ids[:at], other)).app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        await press(pilot, "greater_than_sign")
        assert explorer.cursor == at
        await press(pilot, "greater_than_sign")
        assert explorer.cursor == at
        assert any("last one this way" in text for text in said(app))
        await until(pilot, lambda: "◇" in screen_text(app))
        assert explorer.row == 0
        await press(pilot, "asterisk")
        assert (explorer.cursor, explorer.row) == (at, 2)
        await press(pilot, "enter")
        await read(pilot, app)
        assert explorer.ids()[: at + 1] == (*ids[:at], other)


async def test_the_second_may_choose_and_the_first_reads_along() -> None:
    pair = Pair(Otherwise(name="two"))
    app = pair.app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        start = len(explorer.nodes)
        await press(pilot, "W")
        assert "which chooses" in screen_text(app)
        await press(pilot, "space")
        await until(
            pilot,
            lambda: (
                len(explorer.nodes) == start + LENGTH
                and all_read(app)
                and all(map(explorer.tree.is_scored, explorer.nodes[1:]))
            ),
        )
        ids, tree = explorer.ids(), explorer.tree
        for index in range(start, len(ids)):
            node = explorer.nodes[index]
            assert tree.origin[node] == "second"
            assert ids[index] == int(np.argmax(pair.second.full(ids[:index])))  # type: ignore[attr-defined]
            (rank,) = pair.first.standings(ids[:index], [ids[index]])
            assert tree.logprob[node] == pytest.approx(rank.logprob, abs=1e-6)
        for index in range(start, len(ids)):  # of the first model, whoever chose
            told = tree.distribution.get(explorer.nodes[index - 1])
            assert told is not None
            assert told.logits == pair.first.describe(ids[:index]).logits
        await press(pilot, "W")
        assert not app.controller.second.leads


async def test_a_lost_second_one_loses_nothing_of_the_first() -> None:
    second = FakeEngine(name="two", sharpness=0.7)
    app = Pair(second).app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        before = dict(explorer.tree.compared)
        second.on_death()
        await until(pilot, lambda: app.controller.second.state == "lost")
        assert app.controller.state == "paused"
        assert any("The first goes on without it" in text for text in said(app))
        await press(pilot, "space")
        await until(pilot, lambda: not app.controller.streaming)
        assert len(explorer.nodes) > len(before) + 1
        assert {node: explorer.tree.compared[node] for node in before} == before
        await press(pilot, "ampersand")
        await read(pilot, app)


async def test_one_that_cannot_be_loaded_is_told_and_the_first_goes_on() -> None:
    pair = Pair()
    pair.error = ModelError("there is no model two.")
    app = pair.app()
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: any("no model two" in text for text in said(app)))
        assert app.controller.second.state == "absent"
        await until(pilot, lambda: not app.controller.streaming)
        assert len(app.controller.explorer.nodes) > LENGTH


async def test_a_key_picks_one_and_takes_it_away() -> None:
    options = AppOptions(
        load=LoadOptions("one"), prompt=PromptSpec(text=PROMPT), max_new_tokens=LENGTH
    )
    pair = Pair()
    app = pair.app(options)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.nodes))
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "greater_than_sign")
        assert any("second model" in text for text in said(app))
        await press(pilot, "ampersand")
        assert isinstance(app.screen, SecondPicker)
        await press(pilot, "ctrl+g")
        app.controller.jobs.run(app.controller.second.open(LoadOptions("two")))
        await read(pilot, app)
        figures = dict(app.controller.explorer.tree.compared)
        await press(pilot, "ampersand")
        assert app.controller.second.state == "absent"
        assert app.controller.explorer.tree.compared == figures
        assert pair.opened == ["one", "two"]


async def test_one_that_lists_its_first_candidates_is_compared_by_logprobs_alone() -> None:
    server = FirstCandidates(model=FakeEngine(name="two"), abilities={"prompt_scores": True})
    app = Pair(server).app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        steps = [explorer.tree.compared[node] for node in explorer.nodes[1:]]
        assert all(step.kl is None and step.acceptance is None for step in steps)
        for step in steps:
            assert step.delta == pytest.approx(0.0, abs=1e-5)
        assert "|Δ|" in screen_text(app)
        assert "mean KL" not in screen_text(app)


async def test_a_session_keeps_its_figures_and_exports_tell_them(tmp_path: Path) -> None:
    file = tmp_path / "both.tokx"
    app = Pair().app(msgspec.structs.replace(OPTIONS, session=str(file)))
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        compared = dict(app.controller.explorer.tree.compared)
        ids, leaf = app.controller.explorer.ids(), app.controller.explorer.leaf
        await settle(pilot)
        await app.ending.leave(0)
    opened = open_session(file)
    assert opened.tree.compared == compared
    assert [by.model for by in opened.tree.seconds] == ["two"]
    connection = schema.sqlite3.connect(file)
    assert schema.version_of(connection) == schema.COMPARED == 6
    connection.close()
    again = continue_session(str(file))
    source = Source(opened.tree, opened.vocabulary, leaf, "both", OPTIONS.settings)
    lines = [json.loads(line) for line in exported(source, "jsonl").splitlines()]
    assert lines[0]["second"]["model"] == "two"
    steps = [line for line in lines if line["type"] == "step"]
    assert len(steps) == len(ids) - 1
    for line in steps:
        assert line["second"]["logprob"] == pytest.approx(line["logprob"] + line["second"]["delta"])
        assert line["second"]["kl_ab"] > 0
    tree = TokenTree()
    Lines(exported(source, "jsonl").encode().splitlines(), "a.jsonl").make(tree)
    again_told = {step.position: step for step in tree.compared.values()}
    assert again_told.keys() == {step.position for step in compared.values()}
    for step in compared.values():
        back = again_told[step.position]
        assert (back.token, back.second.greedy, back.second.rank) == (
            step.token, step.second.greedy, step.second.rank
        )  # fmt: skip
        assert back.kl == pytest.approx(step.kl)
        assert back.delta == pytest.approx(step.delta, abs=1e-5)
    page = exported(source, "html")
    assert "against two" in page
    assert "second model" in page
    head = exported(source, "csv").splitlines()[0]
    assert "second_logprob,second_rank,delta,kl_ab,js,acceptance" in head
    # Looked at without any model, the figures are there.
    later = TokexploreApp(options_for(again, OpenOptions(app=OPTIONS)), opened=again)
    async with later.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        assert "against two, not loaded" in screen_text(later)


def exported(source: Source, form: str) -> str:
    out = io.BytesIO()
    export(source, form, "path", 5, out)
    return out.getvalue().decode()


async def test_reading_keeps_up_with_a_stream_and_with_branches() -> None:
    gate = threading.Semaphore(0)
    pair = Pair(first=FakeEngine(name="one", gate=gate))
    app = pair.app(msgspec.structs.replace(OPTIONS, max_new_tokens=400))
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.controller.second.is_there)
        explorer = app.controller.explorer

        def some_are_read() -> bool:
            gate.release()  # a question is answered between two tokens
            return len(explorer.tree.compared) >= 3

        await during(pilot, some_are_read)
        assert app.controller.streaming
        gate.release(1000)
        await read(pilot, app)
        await press(pilot, "left", "left", "2")
        await read(pilot, app)
        told = expected(app, pair)
        for index, node in enumerate(explorer.nodes[1:], 1):
            assert explorer.tree.compared[node] == told[index]


async def test_the_second_ones_full_context_is_not_the_first_ones() -> None:
    pair = Pair(Otherwise(name="two", context=24))
    app = pair.app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        explorer = app.controller.explorer
        await press(pilot, "W", "space")
        await until(pilot, lambda: any("second model's context" in text for text in said(app)))
        assert len(explorer.nodes) == 24
        await press(pilot, "W", "space")
        await until(pilot, lambda: len(explorer.nodes) == 24 + LENGTH)


async def test_units_and_colours_follow_the_user_and_the_model() -> None:
    app = Pair().app()
    async with app.run_test(size=(140, 40)) as pilot:
        await read(pilot, app)
        assert re.search(r"mean KL [\d.e-]+ nats", screen_text(app))
        await press(pilot, "V")
        assert re.search(r"mean KL [\d.e-]+ bits", screen_text(app))
        await press(pilot, "i")
        assert "Inspect" in screen_text(app)
        await press(pilot, "q", "c")
        assert "surprisal" in screen_text(app).splitlines()[1]
        await press(pilot, "c", "c", "c")
        assert "Δlogprob" in screen_text(app).splitlines()[1]


async def test_a_first_that_is_scored_late_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long prompt on a server has its logprobs once its answer is there."""
    monkeypatch.setattr(streams, "SCORE_AT_ONCE", 0)
    gate = threading.Semaphore(0)
    model = FakeEngine(name="one", gate=gate)
    app = Pair(first=FirstCandidates(model=model, abilities={"prompt_scores": True})).app()
    async with app.run_test(size=(140, 40)) as pilot:
        explorer = app.controller.explorer
        await during(pilot, lambda: app.controller.second.is_there)

        def some_are_read() -> bool:
            gate.release()
            return bool(explorer.tree.compared)

        await during(pilot, some_are_read)
        assert not explorer.tree.is_scored(explorer.nodes[1])
        gate.release(1000)
        await read(pilot, app)
        assert all(node in explorer.tree.compared for node in explorer.nodes[1:])
