"""A second model with tokens of its own reads the text along, in the app: two fake engines in
threads."""

import contextlib
import io
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from support.app import PROMPT, client_of, press, screen_text, settle, until
from support.fake_engine import FakeEngine, planted_text
from support.other_tokens import Pairs
from textual.pilot import Pilot

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Engine, Progress
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.diff.spans import span_totals
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import schema
from tokexplore.models.session.reader import connect
from tokexplore.models.session.timeline import open_timeline
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.diff import DiffOptions
from tokexplore.tui.cli.diff_runner import write_diff
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.presenters.second import spans_on_path
from tokexplore.widgets.candidates import CandidateTable
from tokexplore.widgets.heat import level

SAID = " a king who had a great castle in the forest"
TEXT = PROMPT + SAID
OPTIONS = AppOptions(
    load=LoadOptions("one"),
    against=LoadOptions("two"),
    prompt=PromptSpec(text=PROMPT),
    max_new_tokens=40,
)


def story(said: str = SAID, **config: object) -> FakeEngine:
    """A first model that goes on with the prompt so."""
    engine = FakeEngine(name="one", **config)  # type: ignore[arg-type]
    planted_text(engine, PROMPT, said)
    return engine


class Two:
    """Two engines by the names that they are loaded under."""

    def __init__(self, first: Engine | None = None, second: Engine | None = None) -> None:
        self.first = first or story()
        self.second = second or Pairs(name="two")

    def open(self, load: LoadOptions, report: Callable[[Progress], None]) -> Engine:
        report(Progress("weights", 1, 1, "bytes"))
        return self.first if load.model == "one" else self.second

    def app(self, options: AppOptions = OPTIONS) -> TokexploreApp:
        return TokexploreApp(options, Environment(client_of(self.open)))


def logprobs(engine: FakeEngine, ids: Sequence[int], places: range) -> float:
    """The plain sum of what a model gives its own tokens."""
    return sum(engine.standings(ids[:at], [ids[at]])[0].logprob for at in places)


def reached(app: TokexploreApp) -> int:
    """Index behind the last token of the path that was compared."""
    placed = spans_on_path(app.controller.explorer)
    return placed[-1].stop if placed else 0


async def read(pilot: Pilot[int], app: TokexploreApp, count: int) -> None:
    """Wait until so many tokens of the path are compared, and no stream is live."""
    await until(pilot, lambda: reached(app) == count and not app.controller.streaming)


def length(said: str) -> int:
    """Tokens of a text of the first one, with BOS."""
    return len(FakeEngine().encode(said))


def said(app: TokexploreApp) -> list[str]:
    return [notice.message for notice in app._notifications]


def check(app: TokexploreApp, two: Two, text: str) -> None:
    """Every span that lies on the path costs both what their own tokens cost."""
    first, second = two.first, two.second
    assert isinstance(first, FakeEngine)
    assert isinstance(second, FakeEngine)
    ours, theirs = app.controller.explorer.ids(), second.encode(text)
    ends = [len(second.vocabulary.text(theirs[:at]).encode()) for at in range(len(theirs) + 1)]
    for placed in spans_on_path(app.controller.explorer):
        span = placed.span
        places = range(ends.index(span.start, 1), ends.index(span.end))
        assert span.second.ids == tuple(theirs[places.start : places.stop])
        assert span.second.logprob == pytest.approx(logprobs(second, theirs, places), abs=1e-4)
        mine = range(placed.start, placed.stop)
        assert span.first.ids == ours[placed.start : placed.stop]
        assert span.first.logprob == pytest.approx(logprobs(first, ours, mine), abs=1e-4)
        assert first.vocabulary.text(span.first.ids) == second.vocabulary.text(span.second.ids)


def diff_totals(two: Two, text: str) -> dict[str, object]:
    """What `tokexplore diff` says of a text."""
    engines = {"one": two.first, "two": two.second}
    options = DiffOptions(other=LoadOptions("two"), format="jsonl")
    given = msgspec.structs.replace(
        options.app, prompt=PromptSpec(text=text), load=LoadOptions("one")
    )
    out = io.BytesIO()
    write_diff(
        msgspec.structs.replace(options, app=given),
        out,
        open_engine=lambda load, _: engines[load.model],
        errors=io.StringIO(),
    )
    last: dict[str, object] = json.loads(out.getvalue().splitlines()[-1])
    return last


async def test_every_span_costs_both_what_their_own_tokens_do_and_all_of_them_what_diff_says() -> (
    None
):
    two = Two()
    app = two.app()
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        explorer = app.controller.explorer
        assert explorer.text() == TEXT
        check(app, two, TEXT)
        placed = spans_on_path(explorer)
        assert [placed[0].start, *(p.stop for p in placed)] == [
            *(p.start for p in placed),
            length(TEXT),
        ]
        found = span_totals([each.span for each in placed])
        expected = diff_totals(two, TEXT)
        assert [found.spans, found.bytes, list(found.tokens)] == [
            expected["spans"], expected["bytes"], expected["tokens"]
        ]  # fmt: skip
        assert list(found.bits_per_byte) == pytest.approx(expected["bits_per_byte"], abs=1e-6)
        one, other = found.bits_per_byte
        shown = screen_text(app)
        assert f"against two · bits per byte {one:.2f} / {other:.2f}" in shown
        assert "left out" not in shown
        assert "KL" not in shown
        assert "Δlogprob" in shown
        assert "span |Δ|" in shown


async def test_the_text_is_coloured_span_by_span_and_the_table_stays_the_first_ones() -> None:
    app = Two().app()
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        view = app.screen.story.path_view  # type: ignore[attr-defined]
        assert view.colouring == "delta"
        longest = max(spans_on_path(app.controller.explorer), key=lambda p: p.stop - p.start)
        assert longest.stop - longest.start > 1
        for index in range(longest.start, longest.stop):
            assert view.level(index) == level("delta", longest.span.delta)
            assert view.comparisons.divergences[index] == abs(longest.span.delta)
        assert view.level(0) == -1, "BOS is no text"
        assert view.placed == spans_on_path(app.controller.explorer)
        await press(pilot, "left", "left")
        page = app.screen.query_one(CandidateTable)._page
        assert page is not None
        assert not page.second
        app.controller.explorer.place(longest.start + 1)
        app.screen.changed()  # type: ignore[attr-defined]
        await settle(pilot)
        one, other = longest.span.first, longest.span.second
        assert one.logprob is not None
        assert other.logprob is not None
        lengths = f"span of {len(one.ids)} / {len(other.ids)} tokens"
        assert f"{lengths}: {-one.logprob:.2f} / {-other.logprob:.2f} nats" in screen_text(app)


async def test_keys_go_to_the_spans_that_differ_most_and_there_is_no_choice_to_go_to() -> None:
    app = Two().app()
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        explorer = app.controller.explorer
        order = sorted(spans_on_path(explorer), key=lambda p: -abs(p.span.delta))
        await press(pilot, "greater_than_sign")
        assert explorer.cursor == order[0].start
        await press(pilot, "greater_than_sign", "greater_than_sign")
        assert explorer.cursor == order[2].start
        await press(pilot, "less_than_sign")
        assert explorer.cursor == order[1].start
        row = explorer.row
        await press(pilot, "asterisk")
        assert said(app)[-1] == "two has other tokens: none of these is a choice of its own."
        assert explorer.row == row


async def test_while_the_text_grows_its_end_is_not_told_yet() -> None:
    gate = threading.Semaphore(0)
    two = Two(first=story(gate=gate))
    app = two.app()
    start = length(PROMPT)
    async with app.run_test(size=(150, 40)) as pilot:
        for count in range(1, length(TEXT) - start):
            gate.release()
            await until(
                pilot,
                lambda count=count: len(app.controller.explorer.nodes) == start + count,  # type: ignore[misc]
            )
            await until(pilot, lambda: not app.controller.second._has_more)
            assert reached(app) <= max(0, start + count - 8)
            check(app, two, TEXT)
        assert app.controller.streaming
        assert 0 < reached(app) < length(TEXT)
        gate.release(5)
        await read(pilot, app, length(TEXT))
        check(app, two, TEXT)


async def test_a_text_that_goes_on_from_within_a_token_is_told_anew() -> None:
    """Paused behind `Once upon a time there was a`, the second's last token is half of a pair."""
    two = Two()
    app = two.app(msgspec.structs.replace(OPTIONS, max_new_tokens=2))
    async with app.run_test(size=(150, 40)) as pilot:
        short = PROMPT + " a king"
        await read(pilot, app, length(short))
        check(app, two, short)
        before = spans_on_path(app.controller.explorer)
        app.controller.streams.max_new_tokens = 40
        await press(pilot, "space")
        await read(pilot, app, length(TEXT))
        check(app, two, TEXT)
        after = spans_on_path(app.controller.explorer)
        assert before[0] == after[0]
        found = span_totals([each.span for each in after])
        assert list(found.bits_per_byte) == pytest.approx(
            diff_totals(two, TEXT)["bits_per_byte"], abs=1e-6
        )


async def test_another_branch_is_read_from_where_it_leaves_and_the_first_is_not_read_again() -> (
    None
):
    two = Two()
    app = two.app()
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        explorer, first = app.controller.explorer, spans_on_path(app.controller.explorer)
        explorer.place(length(PROMPT) + 3)
        app.controller.jobs.run(app.controller.prompts.type_text(" so the wolf", literal=True))
        await until(
            pilot,
            lambda: (
                explorer.text().endswith(" so the wolf") and reached(app) == len(explorer.nodes)
            ),
        )
        check(app, two, explorer.text())
        assert isinstance(two.second, Pairs)
        passes = two.second.passes
        two.second.encode = None  # type: ignore[method-assign,assignment]
        explorer.switch(1)
        await settle(pilot)
        assert explorer.text() == TEXT
        assert spans_on_path(explorer) == first
        assert two.second.passes == passes
        assert app.controller.second.is_there, "it was asked nothing"


async def test_a_chat_is_read_with_its_template_and_says_what_is_left_out() -> None:
    first = FakeEngine(name="one")
    chat = Chat((Message("user", "Once upon a time"),))
    ids = list(first.render(chat).ids)
    for token in [*first.encode(" the king said so", continuation=True), 1]:
        first.planted[tuple(ids)] = {token: 30.0}
        ids.append(token)
    two = Two(first=first)
    app = two.app(msgspec.structs.replace(OPTIONS, prompt=PromptSpec(chat=chat)))
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, len(ids) - 1)
        explorer = app.controller.explorer
        text = "<|user|>Once upon a time<|end|><|assistant|> the king said so"
        theirs = two.second.encode(text)
        assert 2 in theirs, "the end of a turn is a token of both"
        placed = spans_on_path(explorer)
        for each in placed:
            data = text.encode()[each.span.start : each.span.end]
            for side, engine in ((each.span.first, two.first), (each.span.second, two.second)):
                assert b"".join(map(engine.vocabulary.bytes_of, side.ids)) == data
            assert b"user" not in data
            assert b"assistant" not in data
        told = "".join(text[each.span.start : each.span.end] for each in placed)
        assert told.endswith("the king said so")
        assert "left out" in screen_text(app)


async def test_a_tokenizer_that_changes_the_text_is_refused_once() -> None:
    class Lower(Pairs):
        def encode(self, text: str, **how: bool) -> list[int]:  # type: ignore[override]
            return super().encode(text.lower(), **how)

    app = Two(second=Lower(name="two")).app()
    async with app.run_test(size=(150, 40)) as pilot:
        await until(pilot, lambda: any("do not spell the text" in words for words in said(app)))
        await until(pilot, lambda: not app.controller.streaming)
        assert app.controller.explorer.text() == TEXT
        assert not app.controller.explorer.tree.spans
        assert sum("do not spell the text" in words for words in said(app)) == 1


async def test_a_context_that_ends_is_told_by_what_was_read() -> None:
    class Short(Pairs):
        def score(self, ids, start, control):  # type: ignore[no-untyped-def]
            self.info.check(ids)
            return super().score(ids, start, control)

    two = Two(second=Short(name="two", context=32))
    app = two.app()
    async with app.run_test(size=(150, 40)) as pilot:
        await until(
            pilot,
            lambda: (
                not app.controller.streaming
                and app.controller.explorer.text() == TEXT
                and not app.controller.second._has_more
            ),
        )
        check(app, two, TEXT)
        assert 0 < reached(app) < length(TEXT)
        assert f"read {reached(app) - 1} of {length(TEXT) - 1} tokens" in screen_text(app)


def keeping(path: Path) -> AppOptions:
    return msgspec.structs.replace(OPTIONS, session=str(path))


async def test_a_session_keeps_the_spans_and_shows_them_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    app = Two().app(keeping(path))
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        placed = spans_on_path(app.controller.explorer)
        await press(pilot, "ctrl+q")
    with contextlib.closing(connect(path)) as connection:
        assert schema.version_of(connection) == schema.COMPARED
    again = continue_session(str(path))
    alone = msgspec.structs.replace(OPTIONS, against=None)
    later = TokexploreApp(options_for(again, OpenOptions(app=alone)), opened=again)
    async with later.run_test(size=(150, 40)) as pilot:
        await settle(pilot)
        assert spans_on_path(later.controller.explorer) == placed
        one, other = span_totals([each.span for each in placed]).bits_per_byte
        told = f"against two, not loaded · bits per byte {one:.2f} / {other:.2f}"
        assert told in screen_text(later)
        await press(pilot, "greater_than_sign")
        largest = max(placed, key=lambda each: abs(each.span.delta))
        assert later.controller.explorer.cursor == largest.start


async def test_a_session_is_lived_again_with_its_spans(tmp_path: Path) -> None:
    path = tmp_path / "a.tokx"
    app = Two().app(keeping(path))
    async with app.run_test(size=(150, 40)) as pilot:
        await read(pilot, app, length(TEXT))
        placed = spans_on_path(app.controller.explorer)
        await press(pilot, "ctrl+q")
    again = Explorer(SamplingSettings(), 0.5)
    await Replay(open_timeline(path), again, speed=1000.0).run()
    assert spans_on_path(again) == placed
