"""The state of what the user looks at: cursor, path, branches, without engine or widgets."""

from array import array

import pytest

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Named
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore import sight
from tokexplore.tui.explore.explorer import Explorer

VOCABULARY = Vocabulary.pack([b"a", b"b", b"\n", b"c", b"d", b"e"], (), 6)


def distribution(margin: float) -> Distribution:
    logits = array("f", [margin, 0.0, -1.0, -2.0, -3.0, -4.0])
    return Distribution(array("I", range(6)).tobytes(), logits.tobytes(), 6, 3.0, 1.0)


@pytest.fixture
def explorer() -> Explorer:
    """Prompt a b, then newline c d generated; after b also e, d picked (branch 2)."""
    e = Explorer(SamplingSettings(), close_call=0.5)
    e.vocabulary = VOCABULARY
    leaf = ROOT
    for token in (0, 1):
        leaf = e.tree.take(leaf, token, "prompt")
    prompt = leaf
    for margin, token in ((0.1, 2), (2.0, 3), (0.2, 4)):
        e.tree.record_distribution(leaf, distribution(margin))
        leaf = e.tree.take(leaf, token, "greedy")
    other = e.tree.take(prompt, 5, "picked")
    other = e.tree.take(other, 4, "greedy")
    e.go_to(leaf)
    return e


def test_following_stands_on_the_newest_token(explorer: Explorer) -> None:
    assert (explorer.cursor, explorer.following) == (4, True)
    node = explorer.tree.take(explorer.leaf, 0, "greedy")
    explorer.grown(node)
    assert explorer.taken == node


def test_a_pinned_cursor_stays_while_the_path_grows(explorer: Explorer) -> None:
    explorer.place(2)
    explorer.grown(explorer.tree.take(explorer.leaf, 0, "greedy"))
    assert (explorer.cursor, explorer.following) == (2, False)


def test_growth_of_another_branch_leaves_the_path_alone(explorer: Explorer) -> None:
    nodes = list(explorer.nodes)
    explorer.grown(explorer.tree.take(explorer.tree.branch(2).tip, 0, "greedy"))
    assert explorer.nodes == nodes


def test_the_cursor_stays_between_the_first_known_step_and_the_open_end(explorer: Explorer) -> None:
    explorer.place(-5)
    assert explorer.cursor == 1, "nothing is known before the first token"
    explorer.place(99)
    assert explorer.at_open_end
    assert explorer.taken is None
    assert explorer.before == explorer.leaf


def test_the_candidate_cursor_starts_on_the_taken_row(explorer: Explorer) -> None:
    explorer.place(3)
    assert explorer.row == 3


def test_close_calls_and_forks_are_jumped_to(explorer: Explorer) -> None:
    explorer.place(1)
    assert explorer.jump(1, explorer.is_close_call)
    assert explorer.cursor == 2
    assert explorer.jump(1, explorer.is_close_call)
    assert explorer.cursor == 4
    assert not explorer.jump(1, explorer.is_close_call)
    assert explorer.jump(-1, explorer.is_fork)
    assert explorer.cursor == 2


def test_lines_begin_after_a_newline(explorer: Explorer) -> None:
    explorer.place(1)
    explorer.jump(1, explorer.ends_line)
    assert explorer.cursor == 3


def test_switching_keeps_what_was_left_and_goes_back(explorer: Explorer) -> None:
    first = explorer.leaf
    explorer.place(3)
    explorer.switch(2)
    assert explorer.left == [first]
    assert [explorer.tree.token[n] for n in explorer.nodes] == [0, 1, 5, 4]
    assert explorer.back()
    assert (explorer.leaf, explorer.cursor) == (first, 3)
    assert not explorer.back()


def test_only_what_changed_is_to_be_drawn_again(explorer: Explorer) -> None:
    explorer.settle()
    explorer.grown(explorer.tree.take(explorer.leaf, 0, "greedy"))
    assert explorer.settle() == 5
    explorer.switch(2)
    assert explorer.settle() <= 2


def test_hiding_moves_to_a_visible_branch_and_undo_comes_back(explorer: Explorer) -> None:
    explorer.switch(2)
    assert sight.to_hide(explorer, 2) == 2
    sight.hide(explorer, 2)
    assert explorer.branch is not None
    assert explorer.branch.number == 1
    assert [b.number for b, _ in explorer.listed()] == [1]
    assert sight.undo(explorer)
    assert explorer.branch.number == 2
    assert sight.redo(explorer)
    assert explorer.branch.number == 1


def test_the_last_visible_branch_is_not_hidden(explorer: Explorer) -> None:
    explorer.switch(2)
    assert sight.to_hide(explorer, 2) == 2
    sight.hide(explorer, 2)
    assert sight.to_hide(explorer, 1) is None


def test_a_name_is_undone(explorer: Explorer) -> None:
    explorer.tree.history.change(Named(1, "the good one"))
    sight.undo(explorer)
    assert explorer.tree.branch(1).name == ""


def test_branches_are_listed_in_tree_order(explorer: Explorer) -> None:
    deep = explorer.tree.take(explorer.nodes[3], 0, "picked")
    early = explorer.tree.take(ROOT, 4, "prompt")
    branch = explorer.tree.branch_of
    assert [(b.number, indent) for b, indent in explorer.listed()] == [
        (1, 0), (2, 1), (branch[deep], 1), (branch[early], 0),
    ]  # fmt: skip
    explorer.switch(2)
    assert explorer.neighbour(1) == branch[deep]
    assert explorer.neighbour(-1) == 1
