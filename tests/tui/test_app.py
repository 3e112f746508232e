"""Keys on the whole app, with a fake engine: what each one does to the tree and the screen."""

import math
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from support.app import LENGTH, PROMPT, during, make_app, press, screen_text, settle, until
from support.connect import in_thread
from support.fake_engine import FakeEngine
from textual.pilot import Pilot
from textual.widgets import TextArea

from tokexplore.models.api.engine import Progress, ScoredToken
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import EngineLostError, ModelError, OutOfMemoryError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.visibility import is_hidden
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore import streams
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.presenters.status import header_values
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.dialog import Ask, Sheet
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.help import HelpSheet
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.tui.screens.writing import TextEditor
from tokexplore.widgets.transcript import Transcript

SIZE = (120, 40)


def ended(app: TokexploreApp) -> bool:
    return app.controller.state == "paused" and bool(app.controller.explorer.tree.ended)


async def test_it_streams_the_prompt_and_stops_at_the_length() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        assert explorer.tree.step[explorer.leaf] == LENGTH
        assert explorer.tree.ended[explorer.leaf] == "length"
        text = screen_text(app)
        assert "Once upon a time there was" in text
        assert f"step {LENGTH}" in text
        assert "ended: length" in text


async def test_a_shipped_model_starts_as_its_makers_suggest_and_another_greedy(
    gate: threading.Semaphore,
) -> None:
    asked = AppOptions(settings=SamplingSettings(seed=7), given=frozenset({"seed"}))
    options = msgspec.structs.replace(asked, max_new_tokens=3, shipped_defaults=True)
    app = make_app(options=options, load_gate=gate)

    async def header(pilot: Pilot[int], model: str) -> str:
        await until(pilot, lambda: app.controller.options.load.model == model)
        await settle(pilot)
        return screen_text(app).splitlines()[0]

    async with app.run_test(size=SIZE) as pilot:
        assert " as the model suggests" in screen_text(app).splitlines()[0], "greedy it is not"
        gate.release(100)
        await until(pilot, lambda: ended(app))
        assert " T .70 k 20 p .80 · suggested seed 7 " in await header(pilot, "embedded")
        app.sessions.open_model(LoadOptions("other"))
        await until(pilot, lambda: app.controller.state == "asking")
        await press(pilot, "ctrl+g")
        other = await header(pilot, "other")
        assert " greedy " in other
        app.sessions.open_model(LoadOptions("flock"))
        assert " T .70 k 20 p .80 · suggested seed 7 " in await header(pilot, "flock")
        now = app.controller.explorer.settings
        app.controller.streams.configure(msgspec.structs.replace(now, top_k=5), 3)
        changed = await header(pilot, "flock")
        assert " T .70 k 5 p .80 seed 7 " in changed, "what was changed is no suggestion"


async def test_a_score_that_waits_for_a_stream_is_not_what_is_under_way(
    gate: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, scores = FakeEngine.score, threading.Semaphore(1)

    def gated(*asked: Any) -> Iterator[Progress | ScoredToken]:
        for event in score(*asked):
            scores.acquire()
            yield event

    monkeypatch.setattr(FakeEngine, "score", gated)
    monkeypatch.setattr(streams, "SCORE_AT_ONCE", 0)
    app = make_app(options=AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=1), gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        gate.release(1)
        await during(pilot, lambda: header_values(app.controller).state == "prefill")
        assert not app.controller.streaming, "it is a score"
        await pilot.press("space")
        await during(pilot, lambda: app.controller.streaming)
        assert header_values(app.controller).state == "streaming"
        gate.release(1)
        scores.release(100)
        await during(pilot, lambda: not app.controller.busy)
        tree, nodes = app.controller.explorer.tree, app.controller.explorer.nodes
        assert all(tree.rank[n] for n in nodes[1:])


async def test_every_prompt_token_but_the_first_is_scored() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        tree, nodes = app.controller.explorer.tree, app.controller.explorer.nodes
        assert not tree.rank[nodes[0]]
        assert all(tree.rank[n] for n in nodes[1:])


async def test_walking_shows_each_step_with_its_taken_token() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home")
        assert explorer.tree.step[explorer.taken or 0] == 1
        await press(pilot, "l", "right")
        assert "step 3 · position" in screen_text(app)
        await press(pilot, "h", "L", "H")
        assert explorer.tree.step[explorer.taken or 0] == 2
        await press(pilot, "e")
        assert explorer.following
        await press(pilot, "right")
        assert "open end" in screen_text(app)


async def test_taking_the_second_candidate_branches_and_keeps_the_old_story_in_view() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        old = explorer.leaf
        await press(pilot, "home", "down", "enter")
        await until(pilot, lambda: not app.controller.streaming)
        assert len(tree.branches) == 2
        assert explorer.branch is not None
        assert explorer.branch.number == 2
        first = explorer.nodes[explorer.first_step]
        assert tree.origin[first] == "picked"
        assert tree.rank[first] == 2
        assert tree.step[explorer.leaf] > 1, "it goes on from the branch"
        text = screen_text(app)
        assert "branch 2 of 2" in text
        assert "1 ┬" in text, "the branch that was left stays as a dim line"
        await press(pilot, "o")
        assert explorer.leaf == old


async def test_a_line_under_the_story_begins_where_its_branch_leaves_the_path_in_view() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await press(pilot, "home", "2")
        await until(pilot, lambda: not app.controller.streaming)
        second = tree.path(explorer.leaf)
        await press(pilot, "home", "right", "right", "2")
        await until(pilot, lambda: not app.controller.streaming)
        explorer.go_to(second[-8])  # where a stream that walked branch 2 was stopped
        explorer.go_to(second[-4])
        await press(pilot, "home")
        explorer.switch(1)
        await settle(pilot)
        asides, more = app._browse.story._asides()
        assert [aside.branch for aside in asides] == [2, 3]
        assert not more
        assert tree.branch_of[tree.fork_of(tree.branch(3))] == 2, "it leaves a branch that left"
        for aside in asides:
            tip = tree.branch(aside.branch).tip
            own = tree.ids(tip)[tree.depth[tree.common(tip, explorer.leaf)] :]
            assert aside.text.strip() == explorer.vocabulary.text(own).strip()


async def test_branches_that_have_no_line_are_counted_where_a_row_is_free() -> None:
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: ended(app))
        for number in (2, 3, 4):
            await press(pilot, "home", str(number))
            await until(pilot, lambda: not app.controller.streaming)
        assert len(app.controller.explorer.left) == 3
        assert "+2 more" in screen_text(app)


async def test_a_token_that_was_taken_already_is_gone_to_and_not_doubled() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "2")
        await until(pilot, lambda: not app.controller.streaming)
        size, tip = len(explorer.tree), explorer.leaf
        await press(pilot, "o", "home", "2")
        assert len(explorer.tree) == size
        assert explorer.leaf == tip
        assert not app.controller.streaming


async def test_undo_hides_the_branch_and_redo_brings_it_back() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "2", "u")
        assert explorer.branch is not None
        assert explorer.branch.number == 1
        assert is_hidden(explorer.tree, 2)
        await press(pilot, "U")
        assert explorer.branch.number == 2


async def test_a_pick_while_streaming_only_pins_the_step_that_was_seen(
    gate: threading.Semaphore,
) -> None:
    app = make_app(gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        gate.release(5)
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 5)
        seen = explorer.taken
        assert app.controller.streaming
        await pilot.press("2")
        gate.release(3)
        await until(pilot, lambda: not app.controller.streaming)
        assert explorer.taken == seen
        assert len(explorer.tree.branches) == 1, "nothing was taken by the first press"
        step = explorer.cursor
        gate.release(100)
        await press(pilot, "2")
        await until(pilot, lambda: not app.controller.streaming)
        taken = explorer.nodes[step]
        assert explorer.tree.rank[taken] == 2
        assert explorer.tree.parent[taken] == explorer.tree.parent[seen or 0]


async def test_space_pauses_and_goes_on(gate: threading.Semaphore) -> None:
    app = make_app(gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        gate.release(3)
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 3)
        await press(pilot, "space")
        await until(pilot, lambda: not app.controller.streaming)
        paused_at = len(explorer.nodes)
        gate.release(100)
        await settle(pilot)
        assert len(explorer.nodes) == paused_at
        await press(pilot, "space")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] >= LENGTH)


async def test_one_token_and_single_step() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "full_stop")
        await until(pilot, lambda: not app.controller.streaming)
        assert explorer.tree.step[explorer.leaf] == LENGTH + 1
        await press(pilot, "S", "space")
        await until(pilot, lambda: not app.controller.streaming)
        assert explorer.tree.step[explorer.leaf] == LENGTH + 2
        assert "single step" in screen_text(app)


async def test_draw_again_makes_another_child_of_the_same_step() -> None:
    options = AppOptions(
        prompt=PromptSpec(text="Once"), settings=SamplingSettings(temperature=2.0), max_new_tokens=4
    )
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await press(pilot, "home")
        before = explorer.before
        for _ in range(4):
            await press(pilot, "r")
            await until(pilot, lambda: not app.controller.streaming)
            await press(pilot, "home")
        children = tree.children[before]
        assert len(children) > 1
        assert len({tree.draw[n] for n in children}) == len(children)


async def test_draw_again_is_refused_at_temperature_0() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        size = len(app.controller.explorer.tree)
        await press(pilot, "r")
        assert len(app.controller.explorer.tree) == size
        assert any("Temperature 0" in n.message for n in app._notifications)


async def test_find_takes_a_token_by_its_text() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "slash")
        assert isinstance(app.screen, FindToken)
        await pilot.press(*"forest")
        await until(pilot, lambda: "␣forest" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: len(explorer.tree.branches) == 2)
        assert explorer.vocabulary is not None
        taken = explorer.nodes[explorer.first_step]
        assert explorer.vocabulary.show(explorer.tree.token[taken]) == "␣forest"
        assert explorer.tree.rank[taken] > 1


async def test_typed_text_branches_and_is_scored_token_by_token() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await press(pilot, "home", "t")
        assert isinstance(app.screen, TextEditor)
        await pilot.press("space", *"the", "space", *"wolf")
        await pilot.press("enter")
        await until(
            pilot, lambda: any(n.message.startswith("2 tokens") for n in app._notifications)
        )
        typed = [n for n in explorer.nodes if tree.origin[n] == "typed"]
        assert len(typed) == 2
        assert all(tree.rank[n] and tree.logprob[n] < 0 for n in typed)


async def test_a_new_prompt_is_a_new_root_and_the_old_tree_stays() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, size = app.controller.explorer, len(app.controller.explorer.tree)
        await press(pilot, "p")
        assert isinstance(app.screen, PromptEditor)
        await pilot.press("ctrl+u", *"The king", "enter")
        await until(pilot, lambda: ended(app) and len(explorer.tree.prompts) == 2)
        assert explorer.vocabulary is not None
        assert "The king" in explorer.vocabulary.text(explorer.ids())
        assert len(explorer.tree) > size


async def test_settings_change_what_comes_next_and_old_tokens_keep_theirs() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        old = explorer.leaf
        await press(pilot, "s")
        assert isinstance(app.screen, SamplerLensScreen)
        await pilot.press(*"0.8", *["down"] * 4, "left", "enter")
        await settle(pilot)
        assert explorer.settings == SamplingSettings(temperature=0.8, top_p=0.99)
        await press(pilot, "full_stop")
        await until(pilot, lambda: explorer.leaf != old and not app.controller.streaming)
        assert tree.settings[tree.settings_of[old]].greedy
        assert tree.settings[tree.settings_of[explorer.leaf]].temperature == 0.8
        assert tree.origin[explorer.leaf] == "sampled"


async def test_the_model_s_own_settings_are_adopted_by_one_key() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        assert "A adopts" in screen_text(app)
        await press(pilot, "A")
        settings = app.controller.explorer.settings
        assert (settings.temperature, settings.top_k, settings.top_p) == (0.7, 20, 0.8)


async def test_an_impossible_setting_is_refused_by_name_and_the_dialog_stays() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "s")
        await press(pilot, *"-3", "enter")
        assert isinstance(app.screen, SamplerLensScreen)
        assert any("temperature -3" in n.message for n in app._notifications)


async def test_compare_shows_both_continuations_side_by_side() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "d")
        assert not isinstance(app.screen, CompareScreen), "one branch has nothing to compare"
        await press(pilot, "home", "2")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "d")
        assert isinstance(app.screen, CompareScreen)
        assert sorted(app.screen.numbers) == [1, 2]
        explorer = app.controller.explorer
        cursor, before = explorer.prompt_length + 3, explorer.branch
        explorer.place(cursor)
        await press(pilot, "o")
        assert explorer.branch is not before
        assert explorer.cursor == cursor, "the place in view stays"
        await pilot.press("q")
        await settle(pilot)
        assert not isinstance(app.screen, CompareScreen)


async def test_branches_can_be_named_marked_hidden_and_listed() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "2")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "B")
        assert isinstance(app.screen, Ask)
        await pilot.press(*"wild", "enter")
        await settle(pilot)
        assert explorer.tree.branch(2).name == "wild"
        await press(pilot, "m", "K", "m")
        assert explorer.marked == [2, 1]
        await press(pilot, "J", "x")
        assert explorer.tree.branch(2).hidden
        await press(pilot, "X")
        assert [b.number for b, _ in explorer.listed()] == [1, 2]
        await press(pilot, "b", "down", "enter")
        await settle(pilot)
        assert explorer.branch is not None
        assert explorer.branch.number == 2


async def test_goto_understands_steps_ends_and_branches() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        for text, step in (("7", 7), ("-1", LENGTH), ("#1", LENGTH)):
            await press(pilot, "g")
            await pilot.press(*text, "enter")
            await settle(pilot)
            assert explorer.tree.step[explorer.taken or 0] == step
        await press(pilot, "backspace")
        await press(pilot, "g")
        await pilot.press(*"nowhere", "enter")
        await settle(pilot)
        assert "No place" in screen_text(app)


async def test_the_whole_vocabulary_can_be_paged_through() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        total = app.controller.link.client.info.vocabulary
        await press(pilot, "home")
        for _ in range(40):
            await press(pilot, "pagedown")
        assert app._browse is not None
        assert app._browse.step.loaded_rows >= total - 1
        await press(pilot, "0")
        assert app.controller.explorer.row == 0


async def test_tab_lets_the_page_keys_move_the_story() -> None:
    options = AppOptions(prompt=PromptSpec(text="Once"), max_new_tokens=900)
    app = make_app(options=options)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: ended(app))
        assert app._browse is not None
        story = app._browse.query_one(Transcript)
        above, row = story.hidden_rows[0], app.controller.explorer.row
        await press(pilot, "tab", "pageup")
        assert story.hidden_rows[0] < above
        assert app.controller.explorer.row == row
        await press(pilot, "tab", "pagedown")
        assert app.controller.explorer.row > row


async def test_views_change_and_help_opens() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "c")
        assert "probability" in screen_text(app)
        await press(pilot, "c")
        assert "entropy" in screen_text(app).splitlines()[1]
        await press(pilot, "home")
        lines = screen_text(app).splitlines()
        nats = re.search(r"H ([\d.]+) nats · margin ([\d.]+) nats", "\n".join(lines))
        strip = re.search(r"([\d.]+) nats$", next(x for x in lines if x.startswith(" entropy")))
        mean = app.controller.explorer.tree.branch(1).mean_logprob
        assert nats is not None
        assert strip is not None
        assert mean is not None
        await press(pilot, "V")
        shown = screen_text(app)
        bits = re.search(r"H ([\d.]+) bits · margin ([\d.]+) bits", shown)
        assert bits is not None
        for told, known in zip(bits.groups(), nats.groups(), strict=True):
            assert float(told) == pytest.approx(float(known) / math.log(2), abs=0.02)
        scale = re.search(r"([\d.]+) bits$", shown, re.MULTILINE)
        assert scale is not None
        assert float(scale[1]) == pytest.approx(float(strip[1]) / math.log(2), abs=0.2)
        assert re.search(rf"bits/t\n.* {mean / math.log(2):.2f}$", shown, re.MULTILINE)
        assert "nats" not in "".join(line for line in shown.splitlines()[2:])
        await press(pilot, "v", "z", "ctrl+t", "ctrl+l")
        assert app.theme == "tokexplore-light"
        await press(pilot, "ctrl+t", "ctrl+t")
        assert app.theme == "tokexplore-dark"
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpSheet)
        await press(pilot, "q", "i")
        assert isinstance(app.screen, Sheet)
        assert "Model" in screen_text(app)


async def test_jumps_to_close_calls_and_forks() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await press(pilot, "home", "n")
        assert explorer.is_close_call(explorer.cursor)
        await press(pilot, "g")
        await pilot.press("9", "enter")
        await press(pilot, "2")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "home", "right_square_bracket")
        assert explorer.tree.step[explorer.taken or 0] == 9


async def test_a_dead_engine_loses_nothing_and_space_goes_on_from_the_same_node() -> None:
    app = make_app(failures={8: "die"})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "lost")
        explorer = app.controller.explorer
        kept = list(explorer.nodes)
        assert len(kept) > 3
        await press(pilot, "left", "right")
        app.sessions.make_client = make_app().sessions.make_client
        await press(pilot, "space")
        await until(pilot, lambda: app.controller.state == "paused")
        assert explorer.nodes[: len(kept)] == kept
        assert len(explorer.nodes) > len(kept), "the stream that was cut off goes on"


async def test_a_loss_is_told_once_and_again_only_to_who_asks() -> None:
    app = make_app(failures={8: "die"})
    notices: list[str] = []
    app.notify = lambda message, **_: notices.append(message)  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "lost" and not app.controller.busy)
        assert [text for text in notices if "starts it again" in text] == notices
        assert len(notices) == 1
        asked = app.controller.queries.rows(app.controller.explorer.before, 300, 1)
        await app.controller.jobs.run(asked)  # type: ignore[arg-type]
        await press(pilot, "full_stop")
        assert notices[1:] == ["The engine is gone: space starts it again."] * 2


async def test_an_engine_that_cannot_start_again_can_be_tried_once_more() -> None:
    app = make_app(failures={8: "die"})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "lost")
        kept = list(app.controller.explorer.nodes)

        def full(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
            opened = partial(FakeEngine.open, load_error=OutOfMemoryError("no memory is left."))
            return EngineClient(load, connect=in_thread(opened), on_lost=on_lost)

        app.sessions.make_client = full
        await press(pilot, "space")
        await until(pilot, lambda: any("no memory" in n.message for n in app._notifications))
        assert app.controller.state == "lost"
        app.sessions.make_client = make_app().sessions.make_client
        await press(pilot, "space")
        await until(pilot, lambda: app.controller.state == "paused")
        assert app.controller.explorer.nodes[: len(kept)] == kept


@pytest.mark.parametrize(
    ("config", "prompt"),
    [
        ({"load_error": ModelError("no weights in /models/x: give another directory.")}, "Once"),
        ({"context": 8}, "Once upon a time there was a king who had a daughter"),
    ],
)
async def test_a_mistake_of_the_command_line_ends_the_program_with_2(
    config: dict[str, object], prompt: str
) -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text=prompt)), **config)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 2


async def test_a_prompt_longer_than_the_context_is_refused_and_the_story_stays() -> None:
    app = make_app(context=64)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        kept = list(app.controller.explorer.nodes)
        await press(pilot, "p")
        app.screen.query_one(TextArea).text = "the king " * 60
        await pilot.press("enter")
        await until(pilot, lambda: any("context" in n.message for n in app._notifications))
        assert app.controller.explorer.nodes == kept


async def test_another_model_without_a_prompt_waits_in_the_prompt_box() -> None:
    app = make_app(options=AppOptions(load=LoadOptions(model="other"), max_new_tokens=4))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert not app.controller.explorer.nodes
        await pilot.press(*"Once", "enter")
        await until(pilot, lambda: ended(app))
        assert app.controller.explorer.tree.step[app.controller.explorer.leaf] == 4


async def test_hostile_tokens_are_shown_and_never_obeyed() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J[/x][bold]\u202e"
    app = make_app(options=AppOptions(prompt=PromptSpec(text=hostile), max_new_tokens=4))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "i")
        text = screen_text(app)
        assert not any(ord(c) < 32 and c != "\n" for c in text)
        assert "\x9b" not in text
        assert "\u202e" not in text


async def test_keys_before_there_is_a_path_do_no_harm() -> None:
    load_gate = threading.Semaphore(0)
    app = make_app(load_gate=load_gate)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(
            "left", "h", "L", "H", "home", "end", "n", "d", "u", "1", "enter", "r", "0"
        )
        load_gate.release(10)
        await until(pilot, lambda: ended(app))


async def test_keys_in_one_burst_act_on_what_was_seen_and_in_order() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await press(pilot, "home")
        await pilot.press("right", "2")
        await until(pilot, lambda: not app.controller.streaming and len(tree.branches) == 2)
        head = tree.branch(2).head
        assert (tree.step[head], tree.rank[head]) == (2, 2)
        await press(pilot, "o", "home")
        assert app._browse is not None
        app._browse.action_take_nth(2)
        app._browse.action_take_nth(3)
        await until(pilot, lambda: not app.controller.streaming and len(tree.branches) == 4)
        heads = [tree.branch(n).head for n in (3, 4)]
        assert [(tree.step[n], tree.rank[n]) for n in heads] == [(1, 2), (1, 3)]
        assert explorer.branch is not None
        assert explorer.branch.number == 4


async def test_two_spaces_in_one_burst_leave_the_stream_paused_and_whole() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        await pilot.press("space", "space")
        await until(pilot, lambda: not app.controller.streaming)
        before = len(explorer.nodes)
        await pilot.press("full_stop", "full_stop")
        await until(pilot, lambda: len(explorer.nodes) >= before + 2)
        await press(pilot, "space")
        await until(pilot, lambda: not app.controller.streaming)
        assert len(explorer.nodes) > before + 2


async def test_one_token_asked_for_on_a_live_stream_pauses_it(gate: threading.Semaphore) -> None:
    app = make_app(gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        gate.release(3)
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 3)
        await pilot.press("full_stop")
        gate.release(1)
        await until(pilot, lambda: not app.controller.streaming)
        assert not app.controller.turn_is_taken


async def test_a_jump_back_stops_the_stream_that_is_left() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "2", "backspace")
        await until(pilot, lambda: not app.controller.busy)
        assert not app.controller.streaming
        assert app.controller.explorer.branch is not None
        assert app.controller.explorer.branch.number == 1


async def test_find_on_a_lost_engine_looks_in_what_is_recorded() -> None:
    app = make_app(failures={8: "die"})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "lost")
        kept = list(app.controller.explorer.nodes)
        await press(pilot, "left", "slash")
        await pilot.press("t")
        await until(pilot, lambda: "recorded" in screen_text(app))
        assert app.controller.explorer.nodes == kept


async def test_on_a_lost_engine_no_token_is_taken_of_which_nothing_is_known() -> None:
    app = make_app(failures={8: "die"})
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "lost")
        await press(pilot, "left")
        explorer = app.controller.explorer
        told, size = explorer.tree.distribution.get(explorer.before), len(explorer.tree)
        unlisted = next(t for t in range(explorer.vocabulary.rows) if told.index_of(t) is None)
        with pytest.raises(EngineLostError):
            await app.controller.take(unlisted, explorer.before)
        assert len(explorer.tree) == size
        await app.controller.take(told.id_view[7], explorer.before)
        assert len(explorer.tree) == size + 1


async def test_drawing_again_raises_the_number_also_when_the_token_is_known() -> None:
    cold = SamplingSettings(temperature=0.3, seed=1)
    app = make_app(
        options=AppOptions(prompt=PromptSpec(text="Once"), settings=cold, max_new_tokens=2)
    )
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home")
        before = app.controller.explorer.before
        for count in (2, 3, 4):
            await press(pilot, "home", "r")
            await until(pilot, lambda: not app.controller.busy)
            assert app.controller.explorer.tree.draws[before] == count


async def test_a_seed_stays_exact_and_the_length_is_live(gate: threading.Semaphore) -> None:
    options = AppOptions(prompt=PromptSpec(text="Once"), max_new_tokens=50)
    engine = FakeEngine(gate=gate)
    app = make_app(options=options, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        gate.release(3)
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 3)
        await pilot.press(
            "s", *["down"] * 9, *"12345678901234567890", "down", "5", "enter", "enter"
        )
        await until(pilot, lambda: explorer.settings.seed == 12345678901234567890)
        await until(pilot, lambda: engine.control.max_new_tokens == 5)
        gate.release(50)
        await until(pilot, lambda: ended(app))
        assert explorer.tree.step[explorer.leaf] == 5


async def test_80_by_24_has_the_room_that_was_promised() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: ended(app))
        assert app._browse is not None
        assert app._browse.query_one("#story").size.height >= 5
        assert app._browse.query_one("#candidates", expect_type=None).visible_rows >= 9  # type: ignore[attr-defined]
        await press(pilot, "b")
        assert "Branches" in screen_text(app)


async def test_quitting_takes_two_presses() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "q")
        assert app.is_running
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0


async def test_the_inspector_says_how_many_threads_compute() -> None:
    app = make_app()
    async with app.run_test(size=(100, 60)) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "i")
        assert re.search(r"threads +1 at present \(auto 1-2\)", screen_text(app))
        assert "attention none, threads auto 1-2" in screen_text(app)
