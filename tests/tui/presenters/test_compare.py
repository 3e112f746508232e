"""What is compared: texts from where they part, figures of what was generated."""

from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.presenters.branches import first_words
from tokexplore.tui.presenters.compare import chosen, compare
from tokexplore.widgets.compare_rows import MEETING_RUN

WORDS = Vocabulary.pack([f" w{n}".encode() for n in range(40)], (), 40)
RUN = list(range(20, 20 + MEETING_RUN))


def explorer() -> Explorer:
    made = Explorer(SamplingSettings(), close_call=0.5)
    made.vocabulary = WORDS
    return made


def grow(one: Explorer, prompt: list[int], more: list[int]) -> int:
    """A prompt whose tokens have logprob -5, and tokens of -0.5 after it; the branch's number."""
    tree, node = one.tree, ROOT
    for token in prompt:
        node = tree.take(node, token, "prompt", logprob=-5.0, rank=9)
    for token in more:
        node = tree.take(node, token, "greedy", logprob=-0.5, rank=1)
    one.go_to(node)
    return tree.branch_of[node]


def test_branches_that_have_not_parted_do_not_meet_again() -> None:
    one = explorer()
    numbers = [grow(one, [0, 1], [*RUN, 3]), grow(one, [0, 1], [*RUN, 4]), grow(one, [0, 2], [5])]
    assert compare(one, numbers, ()).meets == []
    assert compare(one, numbers[:2], ()).meets == []


def test_branches_meet_again_where_they_do_after_they_parted() -> None:
    one = explorer()
    numbers = [
        grow(one, [0, 1], [*RUN, 3, *RUN]),
        grow(one, [0, 1], [*RUN, 4, 5, *RUN]),
        grow(one, [0, 2], [6]),
    ]
    assert compare(one, numbers, ()).meets == [(10, 11, None)]


def test_two_that_are_marked_are_compared_alone() -> None:
    one = explorer()
    numbers = [grow(one, [0, 1], [n, 3]) for n in range(4, 8)]
    assert chosen(one) == [numbers[3], numbers[2]], "without a mark, with the one left last"
    one.mark(numbers[0])
    assert chosen(one) == [numbers[3], numbers[0]]
    one.mark(numbers[1])
    assert chosen(one) == numbers[:2]
    one.mark(numbers[3])
    assert chosen(one) == [numbers[3], *numbers[:2]], "the one in view first"


def test_the_mark_of_the_branch_in_view_takes_no_other_away() -> None:
    one = explorer()
    numbers = [grow(one, [0, 1], [n, 3]) for n in (4, 5)]
    one.mark(numbers[1])
    assert chosen(one) == [numbers[1], numbers[0]]


def test_the_figures_leave_the_prompt_out() -> None:
    one = explorer()
    numbers = [grow(one, [0, 1], [2, 3]), grow(one, [0, 4, 5, 6], [7, 8, 9])]
    first, second = compare(one, numbers, ()).columns
    assert (first.mean, first.sum, first.given, len(first.cells)) == (-0.5, -1.0, 1, 3)
    assert (second.mean, second.sum, second.given, len(second.cells)) == (-0.5, -1.5, 3, 6)
    assert (second.size, second.left_out) == ("3 of 6 tokens", ["3 of prompt"])
    assert [cell.given for cell in second.cells] == [True] * 3 + [False] * 3


def test_what_one_path_was_given_and_another_generated_counts_for_that_one() -> None:
    one = explorer()
    numbers = [grow(one, [0, 1], [2, 3, 9]), grow(one, [0, 1, 2, 3, 4], [5]), grow(one, [8], [9])]
    first, second, _ = compare(one, numbers, ()).columns
    assert (first.sum, first.given) == (-1.5, 2)
    assert (second.sum, second.given) == (-0.5, 5)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=3),
            st.lists(st.integers(0, 1), max_size=14),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_a_meeting_lies_after_the_parting(paths: list[tuple[list[int], list[int]]]) -> None:
    one = explorer()
    numbers = sorted({grow(one, *path) for path in paths})
    found = compare(one, numbers, ())
    tips = [one.tree.path(one.tree.branch(n).tip)[found.shared_tokens :] for n in numbers]
    for meet in found.meets:
        (a, at), (b, place) = ((c, index) for c, index in enumerate(meet) if index is not None)
        for column, index in ((a, at), (b, place)):
            other = tips[b] if column == a else tips[a]
            assert tips[column][index] not in other, "the node is not on both paths"
        ids = [
            [one.tree.token[n] for n in tips[c][i : i + MEETING_RUN]]
            for c, i in ((a, at), (b, place))
        ]
        assert ids[0] == ids[1]
        assert len(ids[0]) == MEETING_RUN


def test_answers_of_two_turns_are_not_one_word() -> None:
    one = explorer()
    tree = one.tree
    grow(one, [0], [1, 2])
    node = one.leaf
    for token in (3, 4):
        node = tree.take(node, token, "prompt")
    tree.take(node, 5, "greedy")
    assert first_words(one, tree.branch(1)) == "w1 w2 … w5"
