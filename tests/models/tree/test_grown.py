"""Undo of trees that grew by probability: all that grew at once is one step."""

from support.sessions import prompted

from tokexplore.models.tree.events import Bookmarked, Viewed
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.visibility import is_out_of_sight


def tree_of(*tokens: int) -> tuple[TokenTree, int, list[int]]:
    """A prompt after which these tokens grew, each with one behind it."""
    tree = TokenTree()
    leaf = prompted(tree)
    return tree, leaf, grow(tree, leaf, *tokens)


def grow(tree: TokenTree, leaf: int, *tokens: int) -> list[int]:
    heads = [explore(tree, leaf, [token], "grown", extends=True) for token in tokens]
    for head in heads:
        tree.take(head, 99, "grown")
    return heads


def test_what_grew_at_once_is_one_step_however_many_branches_it_opens() -> None:
    tree, _, heads = tree_of(20, 21, 22)
    assert len(tree.history.undoable) == 3
    assert len(tree.history.take_back()) == 3
    assert all(is_out_of_sight(tree, head) for head in heads)
    assert tree.history.undoable == []
    assert len(tree.history.make_again()) == 3
    assert not any(is_out_of_sight(tree, head) for head in heads)
    assert len(tree.history.undoable) == 3


def test_another_change_or_a_move_between_makes_two_steps() -> None:
    for between in ("change", "move", "undo"):
        tree, leaf, first = tree_of(20, 21)
        if between == "change":
            tree.history.change(Bookmarked(leaf, True))
        elif between == "move":
            tree.append(Viewed(leaf, -1))
        else:
            tree.history.change(Bookmarked(leaf, True))
            tree.history.take_back()
        second = grow(tree, leaf, 30, 31)
        assert len(tree.history.take_back()) == 2
        assert all(is_out_of_sight(tree, head) for head in second)
        assert not any(is_out_of_sight(tree, head) for head in first)


def test_tokens_that_were_picked_stay_steps_of_their_own() -> None:
    tree, leaf, _ = tree_of(20, 21)
    for token in (30, 31):
        explore(tree, leaf, [token], "picked", extends=True)
    assert len(tree.history.take_back()) == 1
    assert len(tree.history.take_back()) == 1
    assert len(tree.history.take_back()) == 2
