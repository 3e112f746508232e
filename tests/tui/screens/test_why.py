"""Why a step came out as it did: what the screen shows is what the engine's inside tells."""

import re
from collections.abc import Sequence

import pytest
from support.app import client_of, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_interpreter import LAYERS, effect_of
from textual.pilot import Pilot

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import EngineLostError, UsageError
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.why import Side, WhyScreen
from tokexplore.widgets.cell_text import width
from tokexplore.widgets.role_lines import RoleLines

SIZE = (120, 40)
TEXT = "Once upon a time there was a king. He had a red house.\nAnd"
OPTIONS = AppOptions(prompt=PromptSpec(text=TEXT), max_new_tokens=8, ignore_eos=True)
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])


async def opened(pilot: Pilot[int], app: TokexploreApp, *keys: str) -> WhyScreen:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home", *keys, "Y")
    await until(pilot, lambda: isinstance(app.screen, WhyScreen))
    assert isinstance(app.screen, WhyScreen)
    return app.screen


def ids_of(screen: WhyScreen) -> tuple[int, ...]:
    return screen.why.step.subject.ids


def told(app: TokexploreApp) -> list[str]:
    return [notice.message for notice in app._notifications]


@SIZES
async def test_the_lens_has_a_row_for_each_layer_whose_last_is_the_model(
    size: tuple[int, int],
) -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app, "down")
        step = screen.why.step
        first, second = step.subject.tokens
        assert first == screen.explorer.tree.token[screen.explorer.taken]
        assert second == screen.explorer.tree.distribution[screen.explorer.before].id_view[1]
        (found,) = engine.interpreter.lens(
            step.subject.ids, len(step.subject.ids), len(step.subject.ids), Control(),
            tokens=(first, second),
        )  # fmt: skip
        assert step.lens == found
        text = screen_text(app)
        for at, layer in enumerate(found.layers):
            row = next(line for line in text.splitlines() if line.startswith(f" {at or 'emb'} "))
            assert screen.explorer.vocabulary.show(layer.top[0].token)[:5] in row
            assert f"{layer.entropy:.2f}" in row
            assert f"{layer.divergence:.2f}" in row
            assert f"#{layer.asked[0].rank:,}" in row
        assert "early layers were not trained for that" in " ".join(text.split())


@SIZES
async def test_the_parts_are_shown_with_their_sum_and_by_head(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app, "down")
        await press(pilot, "3", "s")
        split = engine.interpreter.split(ids_of(screen), screen.why.step.subject.tokens)
        assert screen.why.step.split == split
        rows = screen_text(app)
        names = [
            "embedding",
            *(f"{n} {k}" for n in range(1, LAYERS + 1) for k in ("attention", "MLP")),
        ]
        places = [rows.index(f" {name} ") for name in names]
        assert places == sorted(places), "in the order of the layers"
        for part in split.parts:
            assert f"{part.difference:+.3f}" in rows
        assert f"sum to {split.total:+.4f}, the model's difference is {split.difference:+.4f}" in (
            " ".join(rows.split())
        )
        await press(pilot, "h")
        assert told(app)[-1] == "No attention under the cursor."
        await press(pilot, "down", "h")
        assert "1 attention · head 0" in screen_text(app)
        assert "1 attention · head 1" in screen_text(app)
        await press(pilot, "h")
        assert "head 0" not in screen_text(app)


@SIZES
async def test_the_words_are_hidden_round_by_round_and_listed_by_their_effects(
    size: tuple[int, int],
) -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "4")
        step = screen.why.step
        ids = ids_of(screen)
        assert {each.unit.kind for each in step.occluded} == {
            "template",
            "sentence",
            "word",
            "token",
        }
        for each in step.occluded:
            expected = sum(effect_of(ids[at]) for at in each.unit.tokens)
            assert each.effect == pytest.approx(expected)
        text = screen_text(app)
        figures = [float(f) for f in re.findall(r" ([+-]\d\.\d{3})  ", text)]
        assert figures == sorted(figures, key=lambda figure: -abs(figure))
        assert f"{len(step.occluded)} of {step.planned} stretches hidden" in text
        assert "two that say the same cover for each other" in " ".join(text.split())
        assert "He had a red house." in text

        await press(pilot, "g")
        text = " ".join(screen_text(app).split())
        assert "grad·x" in text
        assert "int. grad" in text
        assert "completeness error 0.01 nats" in text
        assert re.search(r"rank correlation \+1.00 over \d+ \w+ with occlusion", text)

        before = {each.unit for each in step.occluded}
        await press(pilot, "e")
        every = {each.unit for each in step.occluded}
        assert every > before
        tokens = {at for unit in every if unit.kind == "token" for at in unit.tokens}
        whole = {u.start for u in every if u.end == u.start + 1}
        assert tokens | whole == set(range(len(ids) - 1)), "down to every token but the last"


async def test_words_tell_what_did_the_one_token_over_the_other() -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "down")
        await press(pilot, "4")
        alone = screen.why.step.occluded
        await press(pilot, "d")
        step = screen.why.step
        assert "and not" in screen_text(app)
        for each in step.occluded:
            both = sum(effect_of(ids_of(screen)[at]) for at in each.unit.tokens)
            assert each.effect == pytest.approx(both / 2), (
                "the fake takes half as much of the other"
            )
        await press(pilot, "d")
        assert screen.why.step.occluded is alone


async def test_what_is_hidden_stops_and_begins_anew() -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "4")
        whole = list(screen.why.step.occluded)
        hidden = len(engine.interpreter.hidden)
        await press(pilot, "space")
        assert screen.why.step.occluded == whole, "it had ended: all is done again"
        assert len(engine.interpreter.hidden) == 2 * hidden


async def test_turns_of_a_chat_and_what_its_template_wrote_are_told_apart() -> None:
    chat = Chat((Message("system", "Be brief."), Message("user", "Who are you?")))
    options = AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=4, ignore_eos=True)
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "right")
        await press(pilot, "4", "s")
        units = [each.unit for each in screen.why.step.occluded]
        assert {(u.kind, u.role) for u in units if u.kind == "turn"} >= {
            ("turn", "system"), ("turn", "user"),
        }  # fmt: skip
        assert any(u.kind == "template" for u in units)
        assert any(line.startswith(" system ") for line in screen_text(app).splitlines())


@SIZES
async def test_attention_is_shown_of_all_heads_and_of_one(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "5")
        found = engine.interpreter.attention(ids_of(screen))
        assert "the first token: a sink" in screen_text(app)
        assert "all layers, all heads (mean)" in screen_text(app)
        await press(pilot, "]", "]", "}")
        assert "layer 2, head 0" in screen_text(app)
        weights = found.row(1, 0)
        best = max(range(1, len(weights)), key=weights.__getitem__)
        line = next(x for x in screen_text(app).splitlines() if x.startswith(f" {best:>6} "))
        assert f"{100 * weights[best]:.1f}%" in line
        await press(pilot, "[", "[", "{")
        assert "all layers, all heads (mean)" in screen_text(app)


@SIZES
async def test_the_grid_has_the_story_over_what_each_layer_would_have_said(
    size: tuple[int, int],
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "2")
        grid = screen.why.grid
        assert screen.why.index in grid.steps
        before = screen.why.index
        await press(pilot, "right", "right")
        assert screen.why.index == before + 2
        show = screen.explorer.vocabulary.show
        rows = screen_text(app).splitlines()
        last = next(line for line in rows if line.startswith(f" {LAYERS} "))
        for at in range(before, before + 3):
            assert show(grid.steps[at].layers[-1].top[0].token)[:6] in last
        await press(pilot, "q")
        assert isinstance(app.screen, BrowseScreen)
        assert app.controller.explorer.cursor == before + 2, "the story stands where one looked"


async def test_another_token_can_be_asked_about_and_nonsense_is_refused() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "t", *"id", "space", *"300", "enter")
        assert screen.why.step.subject.tokens[0] == 300
        await press(pilot, "o", *"id", "space", *"301", "enter")
        assert screen.why.step.subject.tokens == (300, 301)
        await press(pilot, "o", *"id", "space", *"99999", "enter")
        assert isinstance(app.screen, Ask)
        assert "id 99999 is no token" in screen_text(app)
        await press(pilot, "ctrl+u", *"king", "space", *"king", "enter")
        assert "ask about one of them" in screen_text(app)
        await press(pilot, "ctrl+g", "right")
        assert screen.why.step.subject.tokens[0] != 300, "they belong to that step"


async def test_two_branches_stand_beside_each_other_after_their_fork() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home", "3")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "d")
        assert isinstance(app.screen, CompareScreen)
        await press(pilot, "Y")
        screen = app.screen
        assert isinstance(screen, WhyScreen)
        tree, why = screen.explorer.tree, screen.why
        ones, others = (tree.path(tree.branch(n).tip) for n in (2, 1))
        fork = why.fork_index
        assert ones[:fork] == others[:fork]
        assert why.step.subject.tokens == (tree.token[ones[fork]], tree.token[others[fork]])
        assert screen.view == "layers"
        assert why.other_step is None
        await press(pilot, "1", "right")
        beside = why.other_step
        assert beside is not None
        assert beside.subject.ids == tuple(tree.token[n] for n in others[: fork + 1])
        assert why.step.subject.ids == tuple(tree.token[n] for n in ones[: fork + 1])
        assert "branch 1" in screen_text(app)
        assert beside.lens is not None
        await press(pilot, "b")
        assert why.other_step is None


async def test_two_models_are_held_against_each_other_layer_by_layer() -> None:
    engines = {"one": FakeEngine(name="one"), "two": FakeEngine(name="two", sharpness=0.7)}
    environment = Environment(client_of(lambda load, _report: engines[load.model]))
    options = AppOptions(
        load=LoadOptions("one"), against=LoadOptions("two"), prompt=PromptSpec(text=TEXT),
        max_new_tokens=4, ignore_eos=True,
    )  # fmt: skip
    app = TokexploreApp(options, environment)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.second.is_there)
        screen = await opened(pilot, app)
        await press(pilot, "6")
        gaps = screen.why.gaps
        assert gaps is not None
        assert len(gaps) == LAYERS + 1
        assert f"{gaps[-1].divergence:.4f}" in screen_text(app)
        await press(pilot, "1", "b")
        beside = screen.why.other_step
        assert beside is not None
        assert beside.lens != screen.why.step.lens
        assert "two" in screen_text(app)


async def test_what_was_left_before_it_told_anything_begins_anew() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        for key, view in ("3", "layers"), ("4", "words"), ("5", "attention"):
            screen.action_view(view)  # type: ignore[arg-type]
            screen.paint_parts()  # asks, and is left at once
            screen.action_view("lens")
            await press(pilot, key)
            step = screen.why.step
            assert not step.runs(view)  # type: ignore[arg-type]
        assert step.split is not None
        assert step.occluded
        assert step.attention is not None
        screen.action_view("words")
        screen.action_everything()
        screen.action_stop()
        await press(pilot, "left", "right", "4")
        assert "stopped before any was hidden" in screen_text(app), "the user said so"
        await press(pilot, "space")
        assert screen.why.step.occluded
        screen.action_gradients()
        screen.action_stop()
        await press(pilot, "g")
        assert len(screen.why.step.estimates) == 2


async def test_a_second_model_that_is_lost_takes_nothing_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = {"one": FakeEngine(name="one"), "two": FakeEngine(name="two")}
    environment = Environment(client_of(lambda load, _report: engines[load.model]))
    options = AppOptions(
        load=LoadOptions("one"), against=LoadOptions("two"), prompt=PromptSpec(text=TEXT),
        max_new_tokens=4, ignore_eos=True,
    )  # fmt: skip
    app = TokexploreApp(options, environment)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.second.is_there)
        screen = await opened(pilot, app)

        async def gone(_question: object) -> object:
            raise EngineLostError("it ended.")

        monkeypatch.setattr(app.controller.second.client, "ask", gone)
        monkeypatch.setattr(app.controller.second.client, "interpret", _lost)
        await press(pilot, "6")
        assert "it ended." in screen_text(app)
        await press(pilot, "1", "b")
        assert "it ended." not in screen_text(app), "this line is of the first one"
        assert screen.why.other_step is not None
        assert screen.why.other_step.refused == {"lens": "it ended."}
        assert app.controller.link.state == "ready", "the first one is there"
        app.controller.second.state = "loading"
        await press(pilot, "6")
        assert "The second model is still loading." in screen_text(app)


def _lost(_inquiry: object) -> object:
    raise EngineLostError("it ended.")


async def test_a_lost_engine_is_said_in_every_view_and_what_is_known_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "4")
        known = list(screen.why.step.occluded)
        assert known
        monkeypatch.setattr(app.controller.link.client, "interpret", _lost)
        app.controller.engine_life.lose(EngineLostError("it ended."))
        await press(pilot, "space", "e")
        assert screen.why.step.occluded == known
        assert app.controller.link.absence in told(app)
        for key in "2", "3", "5":
            await press(pilot, key)
            assert "it ended." in screen_text(app), key
        await press(pilot, "left", "4")
        assert "it ended." in screen_text(app)
        assert "0 of 0" not in screen_text(app)


async def test_what_a_layer_lists_is_not_cut_inside_a_figure() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        for _ in range(LAYERS + 1):
            assert screen.why.step.lens is not None
            row = screen.query_one("#why-detail", RoleLines)
            line = row.draw_line(0).text.rstrip()
            assert re.search(r"%   H \d+\.\d\d  KL \d+\.\d\d nats$", line), line
            await press(pilot, "up")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 40)])
async def test_no_column_is_cut_where_two_steps_stand_beside_each_other(
    size: tuple[int, int],
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home", "right", "down", "enter")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        screen = await opened(pilot, app, "right", "right")
        await press(pilot, "b")
        assert screen.why.other_step is not None
        for keys in (("1",), ("3",), ("4",), ("g",), ("5",)):
            await press(pilot, *keys)
            for side in screen.query(Side):
                rows = [*side.rows._head, *side.rows._rows]
                assert len(rows) > 3, keys
                for row in rows:
                    cells = width("".join(piece.text for piece in row).rstrip())
                    named = keys == ("5",) and "first token" in row[-1].text
                    assert cells <= side.columns or named, (keys, row)
        await press(pilot, "3")
        assert screen_text(app).count("Δlogit") == 2


async def test_keys_are_offered_where_they_have_a_bearing() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app)
        for key, against, token in ("1", 1, 1), ("2", 0, 0), ("3", 1, 1), ("4", 0, 1), ("5", 0, 0):
            await press(pilot, key)
            bar = screen_text(app).splitlines()[-1]
            assert ("o against" in bar, "t token" in bar) == (against, token), key


async def test_the_beginning_of_a_character_is_called_by_its_bytes() -> None:
    options = AppOptions(
        prompt=PromptSpec(text="say \u0ca0\u0ca1 so."), max_new_tokens=2, ignore_eos=True
    )
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        assert "" in screen.explorer.path.pieces(0, 9), "tokens of single bytes"
        await press(pilot, "right", "4", "e")
        assert re.search(r"token +<E0>", screen_text(app))
        await press(pilot, "5")
        assert re.search(r"\d +<E0>", screen_text(app))


class _Refuses:
    """An inside of which nothing is told."""

    def __getattr__(self, name: str) -> object:
        def refuse(*_arguments: Sequence[object], **_named: object) -> object:
            raise UsageError(f"this model tells nothing of its {name}.")

        return refuse


@SIZES
async def test_what_the_engine_refuses_is_a_sentence_in_its_view(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.interpreter = _Refuses()  # type: ignore[assignment]
    app = make_app(options=OPTIONS, engine=engine)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        for key, name in ("1", "lens"), ("2", "lens"), ("3", "split"), ("4", "occlude"), (
            "5", "attention",
        ):  # fmt: skip
            await press(pilot, key)
            assert f"this model tells nothing of its {name}." in screen_text(app), key
        await press(pilot, "6")
        assert "No second model is loaded" in screen_text(app)


async def test_the_screen_ends_what_it_began() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app)
        await press(pilot, "4", "q")
        await settle(pilot)
        assert not screen.why.step.runs("words")
