"""The trie, its branches, and undo by inverse events."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import (
    Act,
    Bookmarked,
    Event,
    Hidden,
    Named,
    Noted,
    Opened,
    Scored,
    TokenTaken,
    Viewed,
)
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.turns import given_until, is_given, steps_until
from tokexplore.models.tree.visibility import is_fork, is_hidden


def grow(tree: TokenTree, parent: int, *tokens: int, origin: str = "greedy") -> int:
    for token in tokens:
        parent = tree.take(parent, token, origin)  # type: ignore[arg-type]
    return parent


def recorded() -> tuple[TokenTree, list[tuple[Event, Act]]]:
    """A tree, and the list of its events as they come."""
    tree, events = TokenTree(), []
    tree.recorder = lambda event, act: events.append((event, act))
    return tree, events


def test_taking_a_token_again_returns_its_node() -> None:
    tree, events = recorded()
    first = tree.take(ROOT, 7, "prompt")
    assert tree.take(ROOT, 7, "prompt") == first
    assert len(tree) == 2
    assert tree.origin[first] == "prompt"
    assert len(events) == 2


def test_a_branch_has_its_mass_where_all_its_tokens_are_scored() -> None:
    tree = TokenTree()
    prompt = grow(tree, ROOT, 1, 2, origin="prompt")
    assert tree.branch(1).total_logprob is None
    first = tree.take(prompt, 3, "greedy", logprob=-0.5, rank=1)
    tree.take(first, 4, "greedy", logprob=-1.5, rank=1)
    assert tree.branch(1).total_logprob == -2.0
    other = tree.take(prompt, 5, "typed")
    tree.take(other, 6, "greedy", logprob=-0.25, rank=1)
    assert tree.branch(2).total_logprob is None
    tree.append(Scored(other, -3.0, 7))
    assert tree.branch(2).total_logprob == -3.25
    assert tree.branch(1).total_logprob == -2.0, "what leaves it is not its own"


def test_what_was_generated_is_prompt_for_a_later_prompt_alone() -> None:
    tree = TokenTree()
    prompt = grow(tree, ROOT, 1, 2, origin="prompt")
    told = tree.take(prompt, 3, "greedy", logprob=-0.5, rank=1)
    first = tree.take(told, 4, "greedy", logprob=-1.5, rank=1)
    longer = grow(tree, ROOT, 1, 2, 3, 7, origin="prompt")
    second = grow(tree, longer, 8)
    branch = tree.branch(1)
    assert (branch.generated, branch.scored, branch.logprob_sum) == (2, 2, -2.0)
    assert (tree.origin[told], tree.prompt_length(first), tree.step[first]) == ("greedy", 2, 2)
    assert (tree.prompt_length(second), tree.step[second]) == (4, 1)
    assert tree.branch(2).root


def test_what_was_prompt_is_generated_after_a_shorter_prompt_alone() -> None:
    tree = TokenTree()
    first = grow(tree, grow(tree, ROOT, 1, 2, 3, origin="prompt"), 4)
    second = grow(tree, grow(tree, ROOT, 1, origin="prompt"), 2, 9)
    assert (tree.prompt_length(second), tree.step[second]) == (1, 2)
    assert not tree.branch(2).root
    assert (tree.prompt_length(first), tree.step[first], tree.branch(1).generated) == (3, 1, 1)


def test_who_looks_at_another_path_goes_on_from_that_one() -> None:
    tree = TokenTree()
    first = grow(tree, grow(tree, ROOT, 1, origin="prompt"), 2, 3)
    shared = grow(tree, ROOT, 1, 2, origin="prompt")
    assert tree.prompt_length(shared) == 2
    tree.append(Viewed(first, -1))
    assert tree.prompt_length(shared) == 1
    assert tree.prompt_length(grow(tree, shared, 8)) == 1


_WALK = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=8)


@given(st.lists(_WALK, min_size=1, max_size=10))
def test_a_later_walk_changes_no_branch_that_there_is(walks: list[list[tuple[int, bool]]]) -> None:
    tree = TokenTree()
    for walk in walks:
        before = [
            (b.tip, b.turns, b.generated, b.logprob_sum, b.root, [*tree.path(b.tip)])
            for b in tree.branches
        ]
        origins, steps = tree.origin[:], tree.step[:]
        node = ROOT
        for token, prompt in walk:
            drawn = {} if prompt else {"logprob": -1.0, "rank": 1}
            node = tree.take(node, token, "prompt" if prompt else "greedy", **drawn)
        assert (tree.origin[: len(origins)], tree.step[: len(steps)]) == (origins, steps)
        for branch, (tip, turns, generated, total, root, path) in zip(
            tree.branches, before, strict=False
        ):
            assert branch.root == root
            assert branch.turns[: len(turns)] == turns
            if branch.tip == tip:
                now = branch.turns, branch.generated, branch.logprob_sum
                assert now == (turns, generated, total)
            assert tree.path(branch.tip)[: len(path)] == path
    for branch in tree.branches:
        chain = [n for n in tree.path(branch.tip) if tree.branch_of[n] == branch.number]
        given_here = [is_given(branch.turns, tree.depth[n]) for n in chain]
        assert given_here == [tree.origin[n] == "prompt" for n in chain]
        assert tree.step[chain[-1]] == steps_until(branch.turns, tree.depth[chain[-1]])


@given(st.lists(st.booleans(), max_size=12))
def test_turns_tell_what_is_prompt(prompts: list[bool]) -> None:
    tree = TokenTree()
    node = ROOT
    for prompt in prompts:
        node = tree.take(node, 1, "prompt" if prompt else "greedy")
    turns = tree.turns(node)
    assert [is_given(turns, depth) for depth in range(1, len(prompts) + 1)] == prompts
    assert steps_until(turns, len(prompts)) == prompts.count(False)
    assert given_until(turns, len(prompts)) == max(
        (at for at, prompt in enumerate(prompts, 1) if prompt), default=0
    )


def test_a_fork_is_where_paths_in_sight_part_prompts_too() -> None:
    tree = TokenTree()
    begin = grow(tree, ROOT, 1, origin="prompt")
    grow(tree, begin, 2, 3, origin="prompt")
    prompt = grow(tree, begin, 5, 6, origin="prompt")
    assert is_fork(tree, begin)
    tree.history.change(Hidden(tree.branch_of[prompt]))
    assert not is_fork(tree, begin)
    leaf = grow(tree, begin, 2, 3, origin="prompt")
    grow(tree, leaf, 8)
    other = grow(tree, leaf, 9, origin="picked")
    assert is_fork(tree, leaf)
    tree.history.change(Hidden(tree.branch_of[other]))
    assert not is_fork(tree, leaf)


def test_the_first_child_carries_the_branch_on_and_later_ones_open_new_ones() -> None:
    tree = TokenTree()
    prompt = grow(tree, ROOT, 1, 2, origin="prompt")
    old = grow(tree, prompt, 3, 4, 5)
    new = grow(tree, prompt, 9, 10, origin="picked")
    assert tree.branch_of[old] == 1
    assert tree.branch_of[new] == 2
    assert tree.branch(1).tip == old
    assert tree.branch(2).tip == new
    assert tree.fork_of(tree.branch(2)) == prompt
    assert tree.branch(1).children == [2]
    assert tree.branch(1).generated == 3
    assert is_fork(tree, prompt)
    assert tree.common(old, new) == prompt


def test_steps_count_tokens_that_are_not_prompt() -> None:
    tree = TokenTree()
    end = grow(tree, grow(tree, ROOT, 1, 2, origin="prompt"), 3, 4)
    turn = grow(tree, end, 5, 6, origin="prompt")
    assert (tree.step[end], tree.step[turn], tree.depth[turn]) == (2, 2, 6)
    assert tree.step[tree.take(turn, 7, "sampled")] == 3


def test_branch_mean_is_over_its_own_generated_tokens() -> None:
    tree = TokenTree()
    prompt = tree.take(ROOT, 1, "prompt")
    tree.take(prompt, 2, "greedy", logprob=-1.0, rank=1)
    node = tree.take(prompt, 3, "picked", logprob=-3.0, rank=2)
    tree.take(node, 4, "greedy", logprob=-1.0, rank=1)
    assert tree.branch(1).mean_logprob == -1.0
    assert tree.branch(2).mean_logprob == -2.0
    assert math.isnan(tree.logprob[prompt])


def test_the_first_distribution_is_canonical() -> None:
    tree = TokenTree()
    node = tree.take(ROOT, 1, "prompt")
    first = Distribution(bytes(4), bytes(4), 10, 0.0, 1.0)
    tree.record_distribution(node, first)
    tree.record_distribution(node, Distribution(bytes(4), bytes(4), 10, 0.0, 2.0))
    assert tree.distribution[node] is first


def test_undo_hides_a_branch_and_redo_shows_it_again() -> None:
    tree = TokenTree()
    prompt = tree.take(ROOT, 1, "prompt")
    tree.take(prompt, 2, "greedy")
    tree.take(prompt, 3, "picked")
    tree.history.change(Opened(2))
    tree.history.undo()
    assert is_hidden(tree, 2)
    tree.history.redo()
    assert not is_hidden(tree, 2)
    assert tree.history.redo() is None


def test_names_and_hiding_are_undone_in_reverse_order() -> None:
    tree, events = recorded()
    grow(tree, ROOT, 1, 2)
    tree.history.change(Named(1, "a"))
    tree.history.change(Named(1, "b"))
    tree.history.change(Hidden(1))
    tree.history.undo()
    tree.history.undo()
    assert (tree.branch(1).name, tree.branch(1).hidden) == ("a", False)
    assert len(events) == 7, "nothing recorded is ever removed"


def test_bookmarks_and_notes_are_undone_also_after_a_replay() -> None:
    tree, events = recorded()
    node = grow(tree, ROOT, 1, 2)
    tree.history.change(Bookmarked(node, True))
    tree.history.change(Noted(node, "odd"))
    tree.history.change(Noted(node, "very odd"))
    tree.history.undo()
    again = TokenTree()
    for event, act in events:
        again.replay(event, act)
    assert (again.bookmarks, again.notes) == ({node}, {node: "odd"})
    assert again.history.redo() == Noted(node, "very odd")
    for _ in range(3):
        again.history.undo()
    assert (again.bookmarks, again.notes) == (set(), {})
    assert again.history.undo() is None


def test_an_undo_that_was_not_recorded_so_is_refused() -> None:
    tree = TokenTree()
    grow(tree, ROOT, 1, 2)
    with pytest.raises(ValueError, match="undo"):
        tree.replay(Named(1, "x"), "undo")
    with pytest.raises(ValueError, match="branch 7"):
        tree.replay(Named(7, "x"), "change")


def test_a_branch_of_a_hidden_branch_is_hidden() -> None:
    tree = TokenTree()
    root = tree.take(ROOT, 1, "prompt")
    tree.take(root, 2, "greedy")
    second = tree.take(root, 3, "picked")
    tree.take(second, 4, "greedy")
    tree.take(second, 5, "picked")
    tree.history.change(Hidden(2))
    assert is_hidden(tree, 3)
    assert not is_hidden(tree, 1)


@pytest.mark.parametrize(
    "event",
    [TokenTaken(5, 0, 1, "greedy"), TokenTaken(1, 9, 1, "greedy"), TokenTaken(1, -1, 1, "greedy")],
)
def test_an_event_that_does_not_fit_is_refused_and_changes_nothing(event: TokenTaken) -> None:
    tree, events = recorded()
    with pytest.raises(ValueError, match="node"):
        tree.append(event)
    assert len(tree) == 1
    assert events == []


def test_settings_keep_their_number() -> None:
    tree = TokenTree()
    hot = SamplingSettings(temperature=1.0)
    assert [tree.configure(s) for s in (SamplingSettings(), hot, SamplingSettings())] == [0, 1, 0]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12))
def test_replaying_the_events_gives_the_same_tree(paths: list[list[int]]) -> None:
    tree, events = recorded()
    for path in paths:
        grow(tree, ROOT, *path)
    again = TokenTree()
    for event, act in events:
        again.replay(event, act)
    assert again.parent == tree.parent
    assert again.branches == tree.branches
    leaves = {tuple(tree.ids(branch.tip)) for branch in tree.branches}
    prefixes = {tuple(p[:n]) for p in paths for n in range(1, len(p) + 1)}
    assert leaves <= prefixes
    assert len(tree) - 1 == len(prefixes)
    assert sum(len(tree.children[n]) > 0 for n in range(len(tree))) + len(leaves) == len(tree)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=9))
def test_common_is_the_deepest_node_of_both_paths(paths: list[list[int]]) -> None:
    tree = TokenTree()
    leaves = [grow(tree, ROOT, *path) for path in paths]
    for a in leaves:
        for b in (ROOT, *leaves):
            shared = [n for n in tree.path(a) if n in tree.path(b)]
            assert tree.common(a, b) == tree.common(b, a) == (shared or [ROOT])[-1]


def test_the_shape_changes_with_the_branches_alone() -> None:
    tree = TokenTree()
    tip = grow(tree, ROOT, 1, 2, 3)
    shape = tree.shape
    grow(tree, tip, 4)
    assert tree.shape == shape
    grow(tree, tip, 5)
    opened = tree.shape
    tree.history.change(Hidden(2))
    hidden = tree.shape
    tree.history.undo()
    assert shape < opened < hidden < tree.shape


def test_a_way_that_is_taken_back_leaves_what_was_generated() -> None:
    tree = TokenTree()
    answered = grow(tree, grow(tree, ROOT, 1, 2, origin="prompt"), 3, 4)
    explore(tree, answered, [5, 6], "prompt", extends=True)
    leaf = explore(tree, ROOT, [1, 2, 3, 4, 5, 6], "prompt", extends=True)
    assert tree.number(leaf) == tree.number(answered) == 0
    tree.history.undo()
    assert tree.number(answered) == 2
