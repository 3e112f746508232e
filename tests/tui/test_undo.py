"""What was done is taken back and made again, whatever it was."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from support.app import make_app, press, screen_text, settle, until

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.conversation import spoken
from tokexplore.models.tree.events import Act, Bookmarked, Event, Named, Noted
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.undo import Step
from tokexplore.models.tree.visibility import hidden_by, is_hidden, is_out_of_sight, shown_by
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore import sight
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.undo_text import CHANGED, words_of

VOCABULARY = Vocabulary.pack([b"a", b"b", b"c", b"d"], (), 4)
TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=4)
KINDS = (
    "pick", "type", "prompt", "turn", "hide", "show", "name", "mark", "note", "switch", "grow",
    "futures",
)  # fmt: skip
ACT = st.tuples(st.sampled_from(KINDS), st.integers(0, 9), TOKENS)


def seen(explorer: Explorer) -> object:
    """All that a user can see of a tree."""
    tree = explorer.tree
    rows = [
        (b.number, indent, b.name, b.tip, b.generated, b.scored, b.logprob_sum, tree.path(b.tip))
        for b, indent in explorer.listed()
        if not is_hidden(tree, b.number)
    ]
    nodes = {n for n in range(1, len(tree)) if not is_out_of_sight(tree, n)}
    return rows, nodes, set(tree.bookmarks), dict(tree.notes)


def act(explorer: Explorer, kind: str, number: int, tokens: list[int]) -> None:
    """What a key does to the tree, a short stream after it included."""
    tree, place, known = explorer.tree, number % (len(explorer.nodes) + 1), len(explorer.tree)
    before = explorer.nodes[place - 1] if place else explorer.nodes[0]
    match kind:
        case "pick":
            explorer.go_to(explore(tree, before, tokens[:1], "picked", extends=True))
        case "type":
            explorer.go_to(explore(tree, before, tokens, "typed", extends=True))
        case "prompt":
            explorer.go_to(explore(tree, ROOT, tokens, "prompt", extends=True))
        case "turn":
            explorer.go_to(explore(tree, explorer.leaf, tokens, "prompt", extends=True))
        case "hide":
            assert explorer.branch is not None
            if (number := sight.to_hide(explorer)) is not None:
                sight.hide(explorer, number)
        case "show":
            hidden = [b.number for b in tree.branches if b.hidden]
            if hidden:
                sight.unhide(explorer, hidden[number % len(hidden)])
        case "grow":
            for token in tokens:
                node = explore(tree, before, [token], "grown", extends=True)
                explore(tree, node, [number % 4], "grown", extends=True)
            explorer.show(explorer.leaf, -1)
            return
        case "futures":
            new = [t for t in sorted(set(tokens)) if is_away(tree, tree.child(before, t))]
            lanes = [explore(tree, before, [t], "picked", extends=True) for t in new]
            for token in tokens:  # the streams take turns
                lanes = [explore(tree, leaf, [token], "greedy") for leaf in lanes]
            return
        case "name":
            assert explorer.branch is not None
            tree.history.change(Named(explorer.branch.number, "abc"[: number % 4]))
        case "mark":
            tree.history.change(Bookmarked(before, before not in tree.bookmarks))
        case "note":
            tree.history.change(Noted(before, "abc"[: number % 4]))
        case "switch":
            rows = [b.number for b, _ in explorer.listed() if not is_hidden(tree, b.number)]
            explorer.switch(rows[number % len(rows)])
    if len(tree) > known:
        stream(explorer, tokens)


def is_away(tree: TokenTree, node: int | None) -> bool:
    return node is None or is_out_of_sight(tree, node)


def stream(explorer: Explorer, tokens: list[int]) -> None:
    """Go on at the end of the path in view."""
    leaf = explorer.leaf
    for token in tokens:
        leaf = explore(explorer.tree, leaf, [token], "greedy", logprob=-0.5, rank=1)
        explorer.grown(leaf)


def begun() -> tuple[Explorer, list[tuple[Event, Act]]]:
    """An explorer on a first prompt with a few tokens after it, and the record of its tree."""
    explorer, events = Explorer(SamplingSettings(), close_call=0.5), []
    explorer.vocabulary = VOCABULARY
    explorer.tree.recorder = lambda event, act: events.append((event, act))
    explorer.go_to(explore(explorer.tree, ROOT, [0, 1], "prompt", extends=True))
    stream(explorer, [2, 0])
    return explorer, events


@given(st.lists(ACT, max_size=12))
@example(
    [
        ("prompt", 0, [2]),
        ("hide", 0, [0]),
        ("prompt", 0, [2, 0]),
        ("pick", 0, [1]),
    ]
)
def test_all_that_was_done_is_taken_back_and_made_again(
    acts: list[tuple[str, int, list[int]]],
) -> None:
    explorer, events = begun()
    start = seen(explorer)
    for one in acts:
        act(explorer, *one)
    done = seen(explorer)
    check_replay(explorer, events)
    while take_back(explorer):
        assert not is_out_of_sight(explorer.tree, explorer.leaf)
    assert seen(explorer) == start
    check_replay(explorer, events)
    while sight.redo(explorer):
        assert not is_out_of_sight(explorer.tree, explorer.leaf)
    assert seen(explorer) == done
    check_replay(explorer, events)


def check_replay(explorer: Explorer, events: list[tuple[Event, Act]]) -> None:
    """What was recorded makes the same tree, and the same can be taken back and made again."""
    again = Explorer(SamplingSettings(), close_call=0.5, tree=TokenTree())
    for event, how in events:
        again.tree.replay(event, how)
    assert seen(again) == seen(explorer)
    assert again.tree.history._undo == explorer.tree.history._undo
    assert again.tree.history._redo == explorer.tree.history._redo


def take_back(explorer: Explorer) -> Step | None:
    """Undo; what is told to go and to come is what does."""
    tree, step = explorer.tree, explorer.tree.history.undoable
    before = {n for n in range(1, len(tree)) if not is_out_of_sight(tree, n)}
    changes = step.changes if step else []
    shown, hidden = shown_by(tree, changes), hidden_by(tree, changes)
    assert sight.undo(explorer) == step
    after = {n for n in range(1, len(tree)) if not is_out_of_sight(tree, n)}
    assert (before - after, after - before) == (shown, hidden)
    assert (shown_by(tree, changes), hidden_by(tree, changes)) == (shown, hidden)
    if step is not None:
        words_of(explorer, step)
    return step


@given(st.lists(st.one_of(ACT, st.sampled_from(["undo", "redo", "stream"])), max_size=20))
def test_taking_back_in_between_leaves_a_tree_in_sight(
    acts: list[tuple[str, int, list[int]] | str],
) -> None:
    explorer, _ = begun()
    for one in acts:
        before = seen(explorer)
        if one == "undo":
            if take_back(explorer):
                assert sight.redo(explorer)
                assert seen(explorer) == before
                sight.undo(explorer)
        elif one == "redo":
            sight.redo(explorer)
        elif one == "stream":
            stream(explorer, [1, 2])
        else:
            act(explorer, *one)
        assert not is_out_of_sight(explorer.tree, explorer.leaf)
        shown = [b.number for b, _ in explorer.listed()]
        assert explorer.branch is not None
        assert explorer.branch.number in shown


@given(st.lists(ACT, max_size=14), st.booleans())
def test_branches_are_listed_under_the_ones_that_they_leave(
    acts: list[tuple[str, int, list[int]]], show_hidden: bool
) -> None:
    explorer, _ = begun()
    tree = explorer.tree
    for one in acts:
        act(explorer, *one)
    explorer.show_hidden = show_hidden
    above: list[int] = []
    for branch, indent in explorer.listed():
        assert indent <= len(above)
        above = [*above[:indent], branch.number]
        assert (indent == 0) == branch.root
        if indent:
            assert above[-2] == tree.branch_of[tree.fork_of(branch)]
    numbers = [b.number for b, _ in explorer.listed()]
    wanted = [b.number for b in tree.branches if show_hidden or not is_hidden(tree, b.number)]
    assert sorted(numbers) == wanted


def last_notice(app: TokexploreApp) -> str:
    return [n.message for n in app._notifications][-1]


async def test_a_new_prompt_is_taken_back_and_the_branch_before_it_stays() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        await press(pilot, "home", "2")
        await until(pilot, lambda: app.controller.state == "paused")
        await press(pilot, "p")
        await pilot.press("ctrl+u", *"the king was", "enter")
        await settle(pilot)
        await until(pilot, lambda: app.controller.state == "paused" and len(explorer.listed()) == 3)
        await press(pilot, "u")
        assert re.fullmatch(
            r"Took back: prompt 'the king was' with \d+ tokens after it \(branch 3\)\.",
            last_notice(app),
        )
        assert [b.number for b, _ in explorer.listed()] == [1, 2]
        assert explorer.branch is not None
        assert explorer.branch.number == 2
        await press(pilot, "u")
        assert last_notice(app).startswith("Took back: '")
        assert re.search(r"at step 1 with \d+ tokens after it \(branch 2\)", last_notice(app))
        await press(pilot, "u")
        assert last_notice(app) == "There is nothing to take back."
        told = [n for n in app._notifications if n.message.startswith(CHANGED)]
        assert len(told) == 1, "a notice of undo takes the place of the one before it"
        assert [b.number for b, _ in explorer.listed()] == [1]
        assert "story · branch 1 of 1 " in screen_text(app)
        await press(pilot, "U", "U", "U")
        assert last_notice(app) == "There is nothing to make again."
        assert explorer.branch.number == 3
        assert "story · branch 3 of 3 " in screen_text(app)
        await press(pilot, "K", "x")
        assert explorer.branch.number == 1
        assert "story · branch 1 of 2 " in screen_text(app)
        await press(pilot, "J")
        assert "story · branch 3 · 2 listed " in screen_text(app)
        await press(pilot, "X")
        assert "story · branch 3 of 3 " in screen_text(app)


async def test_what_goes_on_at_an_open_end_is_taken_back() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        told = list(explorer.nodes)
        await press(pilot, "right", "right", "t")
        assert explorer.at_open_end
        await pilot.press(*" king", "enter")
        await settle(pilot)
        assert len(explorer.nodes) > len(told)
        await press(pilot, "u")
        assert last_notice(app) == "Took back: text 'king' (branch 1)."
        assert explorer.nodes == told
        assert explorer.branch is not None
        assert explorer.branch.tip == told[-1]
        await press(pilot, "2")
        await until(pilot, lambda: app.controller.state == "paused")
        taken = explorer.branch.number
        await press(pilot, "u")
        assert explorer.nodes == told
        assert f"(branch {taken})" in last_notice(app)


async def test_what_is_out_of_view_is_told_with_its_branch_and_stays_to_be_read() -> None:
    app = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        await press(pilot, "home", "right", "right", "a")
        await pilot.press(*"odd", "enter")
        await press(pilot, "B")
        await pilot.press(*"mine", "enter")
        await press(pilot, "home", "2")
        await until(pilot, lambda: app.controller.state == "paused")
        await press(pilot, "x")
        assert explorer.branch is not None
        assert explorer.branch.number == 1
        await press(pilot, "u")
        assert last_notice(app) == "Took back: hiding of branch 2."
        assert explorer.branch.number == 2
        await press(pilot, "i")
        shown = screen_text(app)
        assert re.search(r"undo takes back +'.*' at step 1 with \d+ tokens after it", shown)
        assert re.search(r"redo makes again +hiding of branch 2", shown)
        await press(pilot, "q", "u", "u")
        assert last_notice(app) == "Took back: name 'mine' of branch 1."
        await press(pilot, "u")
        assert last_notice(app) == "Took back: note 'odd' on step 3 of branch 1."
        await press(pilot, "home", "3")
        await until(pilot, lambda: app.controller.state == "paused")
        here = explorer.leaf
        explorer.tree.history.change(Noted(explorer.tree.branch(1).tip, "far"))
        explorer.tree.history.change(Named(1, "afar"))
        await press(pilot, "u")
        assert last_notice(app) == "Took back: name 'afar' of branch 1, which is not in view."
        await press(pilot, "u")
        assert re.fullmatch(
            r"Took back: note 'far' on step \d+ of branch 1, which is not in view\.",
            last_notice(app),
        )
        assert explorer.leaf == here


async def test_a_chat_turn_is_taken_back() -> None:
    chat = Chat((Message("user", "who was he"),))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)
        answered = list(explorer.nodes)
        await press(pilot, "T")
        await pilot.press(*"and she", "enter")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 12)
        await press(pilot, "u")
        assert explorer.nodes == answered
        assert last_notice(app) == "Took back: turn 'and she' with 6 tokens after it (branch 1)."
        assert app.controller.explorer.path.chat == chat


async def test_what_was_taken_back_before_is_not_counted_again() -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text="the king was"), max_new_tokens=6))
    chat = Chat((Message("user", "who was he"),))
    async with app.run_test(size=(120, 40)) as pilot:
        controller = app.controller
        explorer = controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)
        controller.jobs.change(controller.prompt(PromptSpec(chat=chat)))
        await until(pilot, lambda: controller.state == "paused" and explorer.path.chat == chat)
        for number, text in enumerate(("and she", "and they"), 2):
            await press(pilot, "T")
            await pilot.press(*text, "enter")
            steps = 6 * number
            await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == steps)  # noqa: B023
        for key, done in (("u", "Took back"), ("U", "Made again")):
            told = []
            for _ in range(3):
                await press(pilot, key)
                told.append(last_notice(app))
            whole = [f"prompt '{chat.messages[0].content}'", "turn 'and she'", "turn 'and they'"]
            said = [f"{done}: {what} with 6 tokens after it (branch 2)." for what in whole]
            assert told == (said[::-1] if key == "u" else said)


async def test_an_edited_turn_changes_no_figure_of_the_branch_before_it() -> None:
    chat = Chat((Message("user", "who was he"),))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        tree = explorer.tree
        await until(pilot, lambda: tree.step[explorer.leaf] == 6)
        await press(pilot, "T")
        await pilot.press(*"and she", "enter")
        await until(pilot, lambda: tree.step[explorer.leaf] == 12)
        await settle(pilot)
        first = explorer.leaf
        figures = tree.branch(1).generated, tree.branch(1).mean_logprob
        origins = [explorer.came(at) for at in range(len(explorer.nodes))]
        await press(pilot, "p")
        await pilot.press("ctrl+u", *"and they", "enter")
        await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 12)
        await settle(pilot)
        assert len(tree.branches) == 2
        assert explorer.leaf != first
        assert (tree.branch(1).generated, tree.branch(1).mean_logprob) == figures
        await press(pilot, "o")
        assert explorer.leaf == first
        assert [explorer.came(at) for at in range(len(explorer.nodes))] == origins
        assert [cell.origin for cell in app._browse.story.path_view.cells] == origins


async def test_a_text_that_shares_first_tokens_with_one_that_was_taken_back() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        start = seen(explorer)
        for text in (" king was gold", " king was silver"):
            await press(pilot, "home", "right", "t")
            await pilot.press(*text, "enter")
            await settle(pilot)
            if text.endswith("gold"):
                whole = explorer.leaf
                await press(pilot, "u")
        texts = [explorer.vocabulary.text(explorer.tree.ids(b.tip)) for b, _ in explorer.listed()]
        assert not is_hidden(explorer.tree, 2)
        assert is_out_of_sight(explorer.tree, whole)
        assert not any(text.endswith("gold") for text in texts)
        assert texts[-1].endswith("silver")
        await press(pilot, "u")
        assert seen(explorer) == start
        assert re.match(r"Took back: text '.*' \(branch 3\)", last_notice(app))


async def test_a_turn_that_was_taken_back_is_not_said_again_by_another() -> None:
    chat = Chat((Message("user", "who was he"),))
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        explorer = app.controller.explorer
        tree = explorer.tree
        await until(pilot, lambda: tree.step[explorer.leaf] == 6)
        said = spoken(explorer.path)
        for words in ("and she", "the king"):
            await press(pilot, "T")
            await pilot.press(*words, "enter")
            await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 12)
            await settle(pilot)
            if words == "and she":
                await press(pilot, "u")
        assert [b.number for b, _ in explorer.listed()] == [1, 2]
        explorer.switch(1)
        await settle(pilot)
        assert "and she" not in explorer.text()
        assert spoken(explorer.path) == said, "what two turns begin with is no part of the answer"


async def test_what_was_taken_back_is_not_marked_and_its_token_is_taken_as_any_other() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await until(pilot, lambda: bool(tree.ended))
        await press(pilot, "home", "right")
        candidate = app._browse.step.candidate(3)
        assert candidate is not None
        token, before = candidate
        await press(pilot, "t")
        await pilot.press(*explorer.vocabulary.text([token]), *" king king", "enter")
        await settle(pilot)
        first, second = explorer.nodes[explorer.cursor : explorer.cursor + 2]
        assert tree.token[first] == token
        assert "┬2" in screen_text(app)
        await press(pilot, "u")
        assert "┬" not in screen_text(app)
        await press(pilot, "g")
        await pilot.press(*"branch 2", "enter")
        await settle(pilot)
        assert "Branch 2 is not in the list: it was taken back" in screen_text(app)
        await press(pilot, "ctrl+g", "4")
        await until(pilot, lambda: app.controller.state == "paused")
        assert explorer.before == before
        assert explorer.taken == first
        assert tree.origin[explorer.nodes[explorer.cursor + 1]] == "greedy", "it is gone on from"
        assert is_out_of_sight(tree, second)
        assert second not in explorer.nodes


async def test_a_branch_that_is_shown_again_is_told_so_and_its_tokens_are_not() -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text="the king was"), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        controller = app.controller
        explorer, tree = controller.explorer, controller.explorer.tree
        await until(pilot, lambda: tree.step[explorer.leaf] == 6)
        await press(pilot, "home", "2")
        await until(pilot, lambda: controller.state == "paused" and not controller.busy)
        await press(pilot, "x", "b", "X", "down", "space")
        await until(pilot, lambda: not controller.live_leaves and not controller.busy)
        await press(pilot, "escape")
        assert not is_hidden(tree, 2)
        assert tree.branch(2).generated > 6, "it streams"
        tip = tree.branch(2).tip
        said = ["showing of branch 2", "hiding of branch 2", r"'.*' at step 1 with \d+ tokens .*"]
        for words in said:
            await press(pilot, "u")
            assert re.fullmatch(rf"Took back: {words}\.", last_notice(app))
        assert is_out_of_sight(tree, tip)
        for words in reversed(said):
            await press(pilot, "U")
            assert re.fullmatch(rf"Made again: {words}\.", last_notice(app))
        assert not is_out_of_sight(tree, tip)


async def test_a_token_that_is_taken_again_is_gone_to_with_all_that_follows_it_in_sight() -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text="the king was"), max_new_tokens=6))
    async with app.run_test(size=(120, 40)) as pilot:
        controller = app.controller
        explorer, tree = controller.explorer, controller.explorer.tree
        await until(pilot, lambda: tree.step[explorer.leaf] == 6)
        await press(pilot, "home", "right")
        token, before = app._browse.step.candidate(2) or (0, 0)
        head = explore(tree, before, [token], "grown", extends=True)
        old = tree.take(head, 7, "grown")
        await press(pilot, "u", "3")
        await until(pilot, lambda: controller.state == "paused" and not controller.busy)
        path = list(explorer.nodes)
        assert head in path
        assert old not in path
        assert len(path) == tree.depth[head] + 6
        explorer.switch(1)
        await press(pilot, "home", "right", "3")
        assert explorer.nodes == path
        await press(pilot, "u")
        assert " with 6 tokens after it" in last_notice(app)
        assert all(is_out_of_sight(tree, node) for node in path[tree.depth[before] :])
