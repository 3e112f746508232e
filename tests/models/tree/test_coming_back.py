"""What was taken back comes back only as far as it is walked again."""

import msgspec
import pytest

from tokexplore.models.tree.events import (
    Act,
    Bookmarked,
    Change,
    Ended,
    Event,
    Hidden,
    Opened,
    Restored,
    Unhidden,
    Withdrawn,
)
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.undo import Step
from tokexplore.models.tree.visibility import is_out_of_sight


def begun() -> tuple[TokenTree, list[tuple[Event, Act]]]:
    """A prompt of 1 2 3 with 4 5 after it, and the record of its tree."""
    tree, events = TokenTree(), list[tuple[Event, Act]]()
    tree.recorder = lambda event, act: events.append((event, act))
    leaf = explore(tree, ROOT, [1, 2, 3], "prompt", extends=True)
    explore(tree, leaf, [4, 5], "greedy")
    return tree, events


def seen(tree: TokenTree) -> set[tuple[int, ...]]:
    """The tokens of every branch in sight."""
    branches = (b for b in tree.branches if not is_out_of_sight(tree, b.tip))
    return {tuple(tree.ids(branch.tip)) for branch in branches}


def again(events: list[tuple[Event, Act]]) -> TokenTree:
    tree = TokenTree()
    for event, act in events:
        tree.replay(event, act)
    return tree


def test_only_the_tokens_that_are_shared_come_back() -> None:
    tree, events = begun()
    explore(tree, 3, [6, 7, 8], "typed", extends=True)
    off = explore(tree, 7, [17], "picked", extends=True)
    tree.history.take_back()
    tree.history.take_back()
    assert seen(tree) == {(1, 2, 3, 4, 5)}
    explore(tree, 3, [6, 7, 9], "typed", extends=True)
    assert seen(tree) == {(1, 2, 3, 4, 5), (1, 2, 3, 6, 7), (1, 2, 3, 6, 7, 9)}
    assert is_out_of_sight(tree, off)
    assert seen(again(events)) == seen(tree)
    tree.history.take_back()
    assert seen(tree) == {(1, 2, 3, 4, 5)}, "what was typed at once is taken back at once"
    tree.history.make_again()
    assert seen(again(events)) == {(1, 2, 3, 4, 5), (1, 2, 3, 6, 7), (1, 2, 3, 6, 7, 9)}


def test_what_leaves_a_branch_that_was_hidden_stays_away_too() -> None:
    tree, events = begun()
    number = tree.branch_of[explore(tree, 3, [6, 7, 8], "typed", extends=True)]
    explore(tree, 6, [17], "picked", extends=True)
    tree.history.change(Opened(number))
    tree.history.undo()
    whole = seen(tree)
    explore(tree, 3, [6, 7, 9], "typed", extends=True)
    assert seen(tree) == {(1, 2, 3, 4, 5), (1, 2, 3, 6, 7), (1, 2, 3, 6, 7, 9)}
    assert seen(again(events)) == seen(tree)
    tree.history.take_back()
    assert seen(tree) == whole


def test_a_turn_that_was_taken_back_stays_away_but_for_its_first_tokens() -> None:
    tree, events = begun()
    leaf = explore(tree, 5, [6, 7, 8], "prompt", extends=True)
    explore(tree, leaf, [9], "greedy")
    tree.history.take_back()
    explore(tree, 5, [6, 7, 10], "prompt", extends=True)
    assert seen(tree) == {(1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4, 5, 6, 7, 10)}
    assert seen(again(events)) == seen(tree)
    tree.history.take_back()
    assert seen(tree) == {(1, 2, 3, 4, 5)}


def test_a_stream_brings_back_what_it_walks_and_goes_with_what_it_follows() -> None:
    tree, events = begun()
    leaf = explore(tree, 3, [6, 7], "typed", extends=True)
    for token in (8, 9, 10):
        leaf = explore(tree, leaf, [token], "greedy")
    tree.append(Ended(leaf, "length"))
    tree.history.take_back()
    leaf = explore(tree, 3, [6, 7], "typed", extends=True)
    assert seen(tree) == {(1, 2, 3, 4, 5), (1, 2, 3, 6, 7)}
    for token in (8, 9):
        leaf = explore(tree, leaf, [token], "greedy")
    walked = {(1, 2, 3, 4, 5), (1, 2, 3, 6, 7, 8, 9)}
    assert seen(tree) == seen(again(events)) == walked
    tree.history.take_back()
    assert seen(tree) == {(1, 2, 3, 4, 5)}
    tree.history.make_again()
    assert seen(tree) == seen(again(events)) == walked


def taken_back() -> tuple[TokenTree, list[tuple[Event, Act]], list[list[int]]]:
    """Two branches that streams went on with, and that were taken back, with their nodes."""
    tree, events = begun()
    paths = []
    for head in (6, 7):
        leaf = explore(tree, 3, [head], "picked", extends=True)
        for token in (8, 9, 10):
            leaf = explore(tree, leaf, [token], "greedy")
        tree.append(Ended(leaf, "length"))
        paths.append(tree.path(leaf)[3:])
    for _ in paths:
        tree.history.take_back()
    return tree, events, paths


def walk_in_turns(tree: TokenTree, between: Change | None = None) -> None:
    """Take both branches again as streams do that go on beside each other."""
    leaves = [explore(tree, 3, [head], "picked", extends=True) for head in (6, 7)]
    for token in (8, 9):
        leaves = [explore(tree, leaf, [token], "greedy") for leaf in leaves]
        if between is not None:
            tree.history.change(between)


def test_streams_beside_each_other_bring_each_its_own_back() -> None:
    tree, events, (first, second) = taken_back()
    walk_in_turns(tree)
    assert seen(tree) == {(1, 2, 3, 4, 5), (1, 2, 3, 6, 8, 9), (1, 2, 3, 7, 8, 9)}
    for gone in (second, first):
        tree.history.take_back()
        assert all(is_out_of_sight(tree, node) for node in gone)
        assert seen(again(events)) == seen(tree)
        assert again(events).history.undoable == tree.history.undoable
        assert again(events).history.redoable == tree.history.redoable
    assert tree.history.undoable is None
    for back in (first, second):
        tree.history.make_again()
        assert not any(is_out_of_sight(tree, node) for node in back[:3])
        assert is_out_of_sight(tree, back[3])
    assert seen(again(events)) == seen(tree)


def test_what_is_done_while_a_stream_brings_tokens_back_is_a_step_of_its_own() -> None:
    tree, _, _ = taken_back()
    walk_in_turns(tree, Bookmarked(1, True))
    for _ in range(2):
        assert tree.history.undoable == Step([Bookmarked(1, True)], None)
        tree.history.take_back()
    tree.history.take_back()
    tree.history.take_back()
    assert seen(tree) == {(1, 2, 3, 4, 5)}
    assert tree.history.undoable is None


def test_what_a_stream_brings_back_once_its_branch_was_hidden_goes_alone() -> None:
    tree, _, (first, _) = taken_back()
    head = explore(tree, 3, [6], "picked", extends=True)
    other = tree.branch_of[explore(tree, head, [11], "greedy")]
    step = tree.history.undoable
    assert step is not None
    assert step.changes[-1] == Unhidden(other), "what a fresh stream says goes with its head"
    assert is_out_of_sight(tree, first[1])
    tree.history.change(Hidden(other))
    explore(tree, head, [11], "greedy")
    assert tree.history.undoable == Step([Unhidden(other)], "greedy")


def test_another_draw_where_a_stream_went_on_goes_alone() -> None:
    tree, _, _ = taken_back()
    head = explore(tree, 3, [6], "picked", extends=True)
    explore(tree, head, [11], "sampled")
    other = tree.branch_of[explore(tree, head, [12], "sampled", draw=1)]
    assert tree.history.undoable == Step([Unhidden(other)], "sampled")


def test_a_record_that_tells_steps_apart_in_another_way_makes_the_same_tree() -> None:
    tree, events, _ = taken_back()
    before = len(events)
    walk_in_turns(tree)
    made = [event for event, act in events[before:] if act == "change"]
    opposite = {Hidden: Unhidden, Unhidden: Hidden, Withdrawn: Restored, Restored: Withdrawn}
    undone = [opposite[type(e)](*msgspec.structs.astuple(e)) for e in reversed(made)]
    found = again([*events, *((event, "undo") for event in undone)])
    assert seen(found) == {(1, 2, 3, 4, 5)}
    assert found.history.undoable is None
    redone = again([*events, *((e, "undo") for e in undone), *((e, "redo") for e in made)])
    assert seen(redone) == seen(tree)
    with pytest.raises(ValueError, match="an undo that does not fit"):
        again([*events, (Hidden(9), "undo")])
