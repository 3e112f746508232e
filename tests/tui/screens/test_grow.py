"""A tree that grows, in the app: live figures, watched texts, what comes into the tree, undo."""

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.app import make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_vocabulary import EOS
from support.first_candidates import FirstCandidates
from support.growing import grown
from textual.pilot import Pilot

from tokexplore.models.api.engine import StreamRequest
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.grow import watch as watching
from tokexplore.models.grow.budget import Budget, asked_budget
from tokexplore.models.grow.growth import BATCH, Growth
from tokexplore.models.grow.watch import Watch
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.growing import asked_growth
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.grow import GrowScreen

SIZE = (110, 36)
MOST = 2**31 - 1
SETTINGS = SamplingSettings(temperature=0.7, top_k=6, seed=7)
OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon"), max_new_tokens=4, ignore_eos=True, settings=SETTINGS
)


def sharp() -> FakeEngine:
    """One that ends texts now and then."""
    return FakeEngine(sharpness=1.5)


async def opened(pilot: Pilot[int], app: TokexploreApp, budget: str, *at: str) -> GrowScreen:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, *at, "G")
    await until(pilot, lambda: isinstance(app.screen, Ask))
    await type_line(pilot, budget)
    await until(pilot, lambda: isinstance(app.screen, GrowScreen))
    screen = app.screen
    assert isinstance(screen, GrowScreen)
    await until(pilot, lambda: screen.growing.growth is not None)
    return screen


async def type_line(pilot: Pilot[int], text: str) -> None:
    for character in text:
        await pilot.press({" ": "space", "/": "slash"}.get(character, character))
    await pilot.press("enter")


async def over(pilot: Pilot[int], screen: GrowScreen) -> Growth:
    await until(pilot, lambda: screen.growing.is_over and not screen.growing.running)
    await settle(pilot)
    assert screen.growing.growth is not None
    return screen.growing.growth


def last_told(app: TokexploreApp) -> str:
    return [notice.message for notice in app._notifications][-1]


async def test_the_tree_in_the_app_is_the_one_that_grows() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "60 tokens", "home")
        growth = await over(pilot, screen)
        tree, node = app.controller.explorer.tree, screen.growing.node

        ids = tuple(tree.ids(node))
        request = StreamRequest(
            ids, SETTINGS, 0, prompt_length=len(ids), stops_from=len(ids), ignore_eos=True
        )
        engine = sharp()
        alone = Growth(request, "model", engine.info, engine.vocabulary, Budget(60))
        grown(alone, engine)
        assert [n.tokens() for n in growth.nodes] == [n.tokens() for n in alone.nodes]
        assert growth.open == alone.open

        for each in growth.nodes:
            found = tree.find(node, each.tokens())
            assert found is not None
            told = tree.distribution.get(found)
            assert told is not None
            assert told.ids == engine.describe(growth.ids(each)).ids
            if each.parent is not None:
                path = tree.path(found)[tree.depth[node] :]
                mass = math.exp(math.fsum(tree.logprob[n] for n in path))
                assert mass == pytest.approx(each.mass, rel=1e-5)
                (rank,) = engine.standings(growth.ids(each.parent), [each.token])
                assert (tree.rank[found], tree.logprob[found]) == (
                    rank.rank, pytest.approx(rank.logprob, abs=1e-5),
                )  # fmt: skip
        origins = {tree.origin[n] for n in range(1, len(tree))}
        assert origins == {"prompt", "sampled", "grown"}
        text = screen_text(app)
        assert "the tokens are used up" in text
        assert "60 nodes" in text
        assert "together 1.000000" in text
        assert f"covered {100 * growth.covered:.2f}%" in text


async def test_texts_that_ended_are_kept_with_their_end() -> None:
    path = tuple(FakeEngine().encode("Once upon"))
    engine = FakeEngine(sharpness=1.5, planted={path: {EOS: 9.0}})
    options = AppOptions(prompt=PromptSpec(text="Once upon"), max_new_tokens=1)
    app = make_app(engine=engine, options=options)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "above 0.5%", "home")
        growth = await over(pilot, screen)
        tree = app.controller.explorer.tree
        assert growth.reached
        for leaf in growth.reached:
            node = tree.find(screen.growing.node, leaf.tokens())
            assert node is not None
            assert tree.ended[node] == leaf.fate == "eos"
        assert growth.cut > 0
        assert growth.open == pytest.approx(0, abs=1e-9)
        assert "what is left is cut by the budget" in screen_text(app)


async def test_one_undo_takes_back_all_that_grew_and_one_redo_brings_it_again() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "40 tokens", "home", "right")
        await over(pilot, screen)
        own = set(screen.growing._own)
        await press(pilot, "q")
        tree = app.controller.explorer.tree
        assert len(own) >= 35
        assert len([n for n in own if tree.parent[n] not in own]) > 3
        assert not any(is_out_of_sight(tree, node) for node in own)
        await press(pilot, "u")
        assert all(is_out_of_sight(tree, node) for node in own)
        said = [notice.message for notice in app._notifications][-1]
        assert said == f"Took back: tree of {len(own)} tokens at step 2."
        await press(pilot, "U")
        assert not any(is_out_of_sight(tree, node) for node in own)


async def test_trees_that_grew_one_after_the_other_are_taken_back_one_by_one() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        first = await opened(pilot, app, "20 tokens", "home")
        await over(pilot, first)
        await press(pilot, "q")
        second = await opened(pilot, app, "20 tokens", "end")
        await over(pilot, second)
        await press(pilot, "q", "u")
        tree = app.controller.explorer.tree
        assert not any(is_out_of_sight(tree, node) for node in first.growing._own)
        assert all(is_out_of_sight(tree, node) for node in second.growing._own)
        await press(pilot, "u")
        assert all(is_out_of_sight(tree, node) for node in first.growing._own)


async def test_what_grows_again_where_it_was_taken_back_is_one_step_and_told_as_it_is() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "40 tokens", "home", "right")
        await over(pilot, screen)
        own, explorer = set(screen.growing._own), app.controller.explorer
        tree, node = explorer.tree, screen.growing.node
        await press(pilot, "q", "u")
        assert last_told(app) == f"Took back: tree of {len(own)} tokens at step 2."
        head = next(n for n in tree.children[node] if n in own and tree.rank[n] <= 9)
        await press(pilot, str(tree.rank[head]))
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        assert not is_out_of_sight(tree, head)
        await press(pilot, "u")
        assert " at step 2 with 4 tokens after it (branch" in last_told(app)
        assert all(is_out_of_sight(tree, node) for node in own)
        for budget in ("6 tokens", "40 tokens", "40 tokens"):
            away = {node for node in range(1, len(tree)) if is_out_of_sight(tree, node)}
            shown = await opened(pilot, app, budget, "home", "right")
            await over(pilot, shown)
            came = {node for node in away if not is_out_of_sight(tree, node)}
            assert came
            said = f"tree of {len(came)} tokens at step 2."
            view = list(explorer.nodes)
            await press(pilot, "q", "u")
            assert last_told(app) == f"Took back: {said}"
            assert {node for node in range(1, len(tree)) if is_out_of_sight(tree, node)} == away
            await press(pilot, "U")
            assert last_told(app) == f"Made again: {said}"
            assert not any(is_out_of_sight(tree, node) for node in came)
            assert explorer.nodes == view
            await press(pilot, "u")
            assert {node for node in range(1, len(tree)) if is_out_of_sight(tree, node)} == away
        assert tree.history.undoable is None


async def test_a_tree_that_is_made_again_leaves_the_path_in_view_alone() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "40 tokens", "home", "right")
        await over(pilot, screen)
        explorer, node = app.controller.explorer, screen.growing.node
        view = list(explorer.nodes)
        deep = max(screen.growing._own, key=lambda n: explorer.tree.depth[n])
        await press(pilot, "q")
        explorer.go_to(deep)
        await press(pilot, "u")
        kept = [n for n in explorer.tree.path(deep) if not is_out_of_sight(explorer.tree, n)]
        assert explorer.nodes[: len(kept)] == kept, "where the path is in sight yet"
        assert len(kept) >= explorer.tree.depth[node]
        explorer.go_to(view[-1])
        await press(pilot, "U")
        assert explorer.nodes == view


async def test_a_session_holds_what_grew_and_its_undo() -> None:
    from tokexplore.models.session import schema
    from tokexplore.models.session.reader import connect, open_session

    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "30 tokens", "home", "right")
        await over(pilot, screen)
        own = set(screen.growing._own)
        await press(pilot, "q")
        tree = app.controller.explorer.tree
        step = tree.history.undoable
        path = app.sessions.path
        assert path is not None
        await app.ending.leave(0)
    session = open_session(path)
    assert schema.version_of(connect(path)) == schema.GROWN
    assert session.tree.origin == tree.origin
    assert session.tree.ended == tree.ended
    assert session.tree.history.undoable == step
    for node in own:
        assert session.tree.distribution.get(node) == tree.distribution.get(node)


class Interrupted(FakeEngine):
    """At the fourth question that a tree asks it lets somebody stop the tree, then answers."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__(sharpness=1.5)
        self._stop, self.asked = stop, 0

    def describe_all(self, *given: Any, **more: Any) -> list[NextTokens]:
        self.asked += 1
        if self.asked == 4:
            self._stop()
        return super().describe_all(*given, **more)


async def test_it_stops_and_goes_on_at_any_moment() -> None:
    held = threading.Event()

    def stop() -> None:
        app.call_from_thread(lambda: app.screen.action_hold())
        held.set()

    app = make_app(engine=Interrupted(stop), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "200 tokens", "home")
        await until(pilot, lambda: held.is_set() and not screen.growing.running)
        await settle(pilot)
        growth = screen.growing.growth
        assert growth is not None
        assert len(growth.nodes) == 1 + 3 * BATCH
        assert "stopped" in screen_text(app)
        assert math.fsum((growth.covered, growth.open, growth.cut)) == pytest.approx(1, abs=1e-6)
        await pilot.press("space")
        await over(pilot, screen)
        assert len(growth.nodes) == 200


async def test_a_watched_text_is_told_as_bounds() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "50 tokens", "home")
        growth = await over(pilot, screen)
        await pilot.press("w")
        await type_line(pilot, "/k|t/")
        await until(pilot, lambda: app.screen is screen)
        (watch,) = growth.watches
        assert 0 < watch.bounds.low < watch.bounds.high < 1 or watch.bounds.high == 1
        text = screen_text(app)
        assert f"at least {100 * watch.bounds.low:.2f}%" in text
        assert f"at most {100 * watch.bounds.high:.2f}%" in text
        await pilot.press("w")
        await type_line(pilot, "/(/")
        await until(pilot, lambda: "is no regular expression" in screen_text(app))
        await pilot.press("ctrl+g")
        await pilot.press("w")
        await type_line(pilot, "/k|t/")
        await until(pilot, lambda: not growth.watches)


async def test_an_expression_that_takes_too_long_is_refused_and_the_tree_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = r"/^(.|..)+\d/"
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "3 tokens", "home")
        growth = await over(pilot, screen)
        growth.watch(Watch(slow))  # on short texts it is quick
        monkeypatch.setattr(watching, "ALLOWED", 0.002)
        monkeypatch.setattr(watching, "ALLOWED_EACH", 1e-6)
        await screen.growing.change_budget(Budget(40))
        await over(pilot, screen)
        await until(pilot, lambda: any("takes too long" in n.message for n in app._notifications))
        assert (len(growth.nodes), growth.watches) == (40, [])
        nodes = len(app.controller.explorer.tree)
        await pilot.press("w")
        await type_line(pilot, slow)
        await until(pilot, lambda: "takes too long to match" in screen_text(app))
        await pilot.press("ctrl+g")
        assert not growth.watches
        assert len(app.controller.explorer.tree) == nodes


async def test_all_figures_have_room_on_a_small_screen() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app, "50 tokens, 600 s, depth 9, sampler", "home")
        growth = await over(pilot, screen)
        await pilot.press("w")
        await type_line(pilot, "/(a long|regular) expression|k/")
        await until(pilot, lambda: app.screen is screen)
        await settle(pilot)
        text = screen_text(app)
        for words in (
            "the tokens are used up · 50 tokens, 600 s, depth 9 · by the sampler's prob",
            f"50 nodes · largest open {100 * growth.largest:.1f}%", "together 1.000000",
            f"{100 * growth.watches[0].bounds.low:.2f}% and at most", "% seen", "close",
        ):  # fmt: skip
            assert words in text
        assert len([line for line in text.splitlines() if " open  " in line]) >= 12


@pytest.mark.parametrize(("size", "most"), [((80, 24), 8), ((120, 40), 13)])
async def test_many_watched_texts_leave_room_for_the_likely_ones_and_the_keys(
    size: tuple[int, int], most: int
) -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app, "20 tokens", "home")
        await over(pilot, screen)
        for number in range(1, 21):
            screen.growing.watch(f"text {number:02}")
            if number not in (1, 3, most, most + 1, 20):
                continue
            await settle(pilot)
            lines = screen_text(app).splitlines()
            shown = [line.split(" ")[2] for line in lines if "at least" in line]
            hidden = [line for line in lines if "more before these" in line]
            assert len(shown) + len(hidden) == min(number, most)
            assert shown == [f"{n:02}" for n in range(number - len(shown) + 1, number + 1)]
            assert [line.split()[1] for line in hidden] == [str(number - len(shown))] * len(hidden)
            assert len([line for line in lines if " open  " in line]) >= size[1] // 4
            assert "close" in lines[-1]
            before = screen._index
            await press(pilot, "pagedown")
            assert screen._index > before
            await press(pilot, "pageup")


async def test_enter_makes_a_text_the_path_in_view_also_one_that_is_open() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "50 tokens", "home")
        growth = await over(pilot, screen)
        await press(pilot, "down", "down", "down")
        leaf = list(growth.leaves())[3]
        assert leaf.fate == "open"
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen is not screen)
        explorer = app.controller.explorer
        assert explorer.ids()[-len(leaf.tokens()) :] == tuple(leaf.tokens())
        assert explorer.tree.depth[explorer.leaf] == explorer.tree.depth[screen.growing.node] + len(
            leaf.tokens()
        )


async def test_another_budget_and_the_sampler_s_own_tree() -> None:
    app = make_app(engine=sharp(), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "5 tokens", "home")
        growth = await over(pilot, screen)
        await press(pilot, "e")
        await type_line(pilot, "12 tokens, depth 3")
        await until(pilot, lambda: len(growth.nodes) == 12)
        assert screen.growing.growth is growth
        await over(pilot, screen)
        await pilot.press("w")
        await type_line(pilot, "a")
        await press(pilot, "e")
        await type_line(pilot, "depth 2 by sampler")
        await until(pilot, lambda: screen.growing.by == "sampler")
        sampled = await over(pilot, screen)
        assert [watch.words for watch in sampled.watches] == ["a"]
        assert len(sampled.nodes) == 7
        assert len(list(sampled.leaves())) == 36
        assert sampled.cut == pytest.approx(1)
        assert "by the sampler's probability" in screen_text(app)


async def test_of_an_engine_that_lists_the_first_candidates_the_rest_stays_open() -> None:
    app = make_app(engine=FirstCandidates(model=FakeEngine()), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "depth 1", "home")
        growth = await over(pilot, screen)
        assert len(growth.root.ids) == 20
        assert growth.cut == pytest.approx(1, abs=1e-6)
        await press(pilot, "e")
        await type_line(pilot, "9 tokens")
        await until(pilot, lambda: len(growth.nodes) == 9)
        assert math.fsum((growth.covered, growth.open, growth.cut)) == pytest.approx(1, abs=1e-6)
        await press(pilot, "e")
        await type_line(pilot, "9 tokens by sampler")
        await until(pilot, lambda: "needs the whole vocabulary" in screen_text(app))


async def test_an_engine_that_does_not_go_on_from_anywhere_is_refused() -> None:
    engine = FirstCandidates(model=FakeEngine(), abilities={"prefill": False})
    app = make_app(engine=engine, options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        await press(pilot, "home", "G")
        await type_line(pilot, "9 tokens")
        await until(pilot, lambda: bool(app._notifications))
        (told,) = app._notifications
        assert told.message == (
            "This engine begins every answer anew: growing a tree needs one that goes on."
        )
        await until(pilot, lambda: not isinstance(app.screen, GrowScreen))


@pytest.mark.parametrize(
    ("text", "budget", "by"),
    [
        ("500", Budget(500), None), ("1,500 tokens", Budget(1500), None),
        ("20 s", Budget(0, 20.0), None), ("depth 12", Budget(500, depth=12), None),
        ("above 0.1%, 20 s, sampler", Budget(0, 20.0, 0, 0.001), "sampler"),
        ("depth 3 and 7 steps by the model", Budget(7, depth=3), "model"),
        (f"{MOST} tokens, {MOST} s, depth {MOST}", Budget(MOST, MOST, MOST), None),
        ("1e-5 s, above 12.3456789%", Budget(0, 1e-5, 0, 0.123456789), None),
    ],
)  # fmt: skip
def test_what_is_typed_is_a_budget(text: str, budget: Budget, by: str | None) -> None:
    found, whose = asked_growth(text)
    assert (found, whose) == (budget, by)
    assert asked_budget(found.words()) == found


@pytest.mark.parametrize(
    ("text", "named", "instead"),
    [
        ("", "'' is no budget", "give 500 tokens, 20 s"),
        ("much", "'much' is no budget", "give 500 tokens, 20 s"),
        ("much sampler", "'much' is no budget", "give 500 tokens, 20 s"),
        ("5 tokens, x", "'x' is no budget", "give 500 tokens, 20 s"),
        ("-5 tokens", "'-5 tokens' is no budget", "give 500 tokens, 20 s"),
        ("sampler", "'sampler' names no budget", "give one before it, such as 500 tokens"),
        (" by the Model ", "'by the Model' names no budget", "give one before it"),
        ("0", "'0'", f"give 1 to {MOST} tokens."),
        ("0 tokens", "'0 tokens'", f"give 1 to {MOST} tokens."),
        (f"{'9' * 20} tokens", f"'{'9' * 20} tokens'", f"give 1 to {MOST} tokens."),
        (f"{2**31}", f"'{2**31}'", f"give 1 to {MOST} tokens."),
        ("9" * 5000, "'" + 40 * "9" + "…'", f"give 1 to {MOST} tokens."),
        ("5 tokens, 0 s", "'0 s'", f"give more than 0 s, at most {MOST} s."),
        (f"{MOST}.5 s", f"'{MOST}.5 s'", f"give more than 0 s, at most {MOST} s."),
        ("9" * 400 + " s", "'" + 40 * "9" + "…'", f"give more than 0 s, at most {MOST} s."),
        ("depth 0", "'depth 0'", f"give depth 1 to {MOST}."),
        (f"depth {2**31}", f"'depth {2**31}'", f"give depth 1 to {MOST}."),
        ("above 0%", "'above 0%'", "give more than 0% and less than 100%."),
        ("above 100% sampler", "'above 100%'", "give more than 0% and less than 100%."),
    ],
)
def test_what_is_no_budget_is_named_with_what_to_give(text: str, named: str, instead: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked_growth(text)
    assert str(refused.value).startswith(named)
    assert instead in str(refused.value)


def test_a_watch_of_nothing_is_refused() -> None:
    for words in ("", "//", "/[/"):
        with pytest.raises(UsageError):
            Watch(words)


async def test_where_the_engine_is_gone_each_key_that_needs_it_says_so() -> None:
    app = make_app(engine=(engine := sharp()), options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, app, "60 tokens", "home")
        await over(pilot, screen)
        screen.growing.budget = Budget(500)
        engine.failures[engine.passes + 1] = "die"
        app.controller.play()
        await until(pilot, lambda: app.controller.state == "lost")
        said: list[str] = []
        app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
        await press(pilot, "space", "e")
        assert said == ["No model is loaded: space in the main screen does it."] * 2
        assert app.screen is screen
