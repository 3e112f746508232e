"""Undo of trees that grew by probability: all that grew at once is one step."""

from support.sessions import prompted

from tokexplore.models.tree.events import Bookmarked, Hidden, Restored, Unhidden, Viewed
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.undo import Step
from tokexplore.models.tree.visibility import is_out_of_sight, shown_by

WHOLE = Step([Restored(5), Unhidden(2), Unhidden(3)], "grown")


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
    assert tree.history.undoable == WHOLE
    assert len(tree.history.take_back()) == 3
    assert all(is_out_of_sight(tree, head) for head in heads)
    assert tree.history.undoable is None
    assert len(tree.history.make_again()) == 3
    assert not any(is_out_of_sight(tree, head) for head in heads)
    assert tree.history.undoable == WHOLE


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


def test_what_grows_again_is_one_step_whatever_of_it_was_out_of_sight() -> None:
    tree, leaf, heads = tree_of(20, 21, 22)
    leaves = {tree.child(head, 99) for head in heads}
    tree.history.take_back()
    for tokens, came in (((20, 22), 2), ((21, 20, 33), 3)):
        tree.append(Viewed(leaf, -1))
        again = grow_again(tree, leaf, *tokens)
        assert not any(is_out_of_sight(tree, node) for node in again)
        step = tree.history.undoable
        assert step is not None
        assert step.taken == "grown"
        assert len(shown_by(tree, step.changes)) == 2 * came
        tree.history.take_back()
        assert tree.history.undoable is None
        assert all(is_out_of_sight(tree, node) for node in {*heads, *leaves, *again})
        tree.history.make_again()
        assert not any(is_out_of_sight(tree, node) for node in again)
        tree.history.take_back()


def grow_again(tree: TokenTree, leaf: int, *tokens: int) -> list[int]:
    heads = [explore(tree, leaf, [token], "grown", extends=True) for token in tokens]
    return heads + [explore(tree, head, [99], "grown", extends=True) for head in heads]


def test_what_grows_over_branches_that_were_hidden_is_one_step() -> None:
    tree, leaf, _ = tree_of(20)
    picked = [explore(tree, leaf, [token], "picked", extends=True) for token in (30, 31)]
    for node in picked:
        tree.history.change(Hidden(tree.branch_of[node]))
    tree.append(Viewed(leaf, -1))
    again = grow_again(tree, leaf, 30, 40, 31)
    tree.history.take_back()
    assert all(is_out_of_sight(tree, node) for node in again)
    assert tree.history.undoable == Step([Hidden(tree.branch_of[picked[1]])], None)


def test_what_the_user_does_after_a_tree_grew_is_no_part_of_it() -> None:
    tree, leaf, heads = tree_of(20, 21)
    number = tree.branch_of[heads[1]]
    tree.history.change(Hidden(number))
    tree.history.change(Unhidden(number))
    for change in (Unhidden(number), Hidden(number)):
        assert tree.history.undoable == Step([change], None)
        tree.history.take_back()
    assert len(tree.history.take_back()) == 2
    assert [n for n in tree.children[leaf] if not is_out_of_sight(tree, n)] == []
