"""What was taken back comes back only as far as it is walked again."""

from tokexplore.models.tree.events import Act, Ended, Event, Opened
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
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
