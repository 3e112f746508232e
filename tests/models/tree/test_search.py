"""Text is found across tokens and forks, once for each place."""

from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Hidden
from tokexplore.models.tree.search import Match, find_text
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT

PIECES = [b"", b"a", b"b", b"ab", b"ba", "é".encode()[:1], "é".encode()[1:], b"A"]
VOCABULARY = Vocabulary.pack(PIECES, [], len(PIECES))


def grow(tree: TokenTree, parent: int, *tokens: int) -> int:
    for token in tokens:
        parent = tree.take(parent, token, "greedy")
    return parent


def test_a_match_spans_tokens_and_forks_and_is_found_once() -> None:
    tree = TokenTree()
    fork = grow(tree, ROOT, 1, 2)  # a b
    grow(tree, fork, 1, 3)  # a ab
    grow(tree, fork, 3)  # ab
    assert find_text(tree, VOCABULARY, "ab") == [Match(1, 2), Match(4, 4), Match(5, 5)]
    assert find_text(tree, VOCABULARY, "ba") == [Match(2, 3), Match(2, 5)]
    tree.history.change(Hidden(2))
    assert find_text(tree, VOCABULARY, "BA") == [Match(2, 3)]
    assert len(find_text(tree, VOCABULARY, "ba", hidden=True)) == 2


def test_a_character_of_two_tokens_is_found() -> None:
    tree = TokenTree()
    grow(tree, ROOT, 1, 5, 6, 2)
    assert find_text(tree, VOCABULARY, "é") == [Match(2, 3)]
    assert find_text(tree, VOCABULARY, "") == []
    assert find_text(tree, VOCABULARY, "(") == []


@given(
    st.lists(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=6), max_size=6),
    st.text("ab", min_size=1, max_size=4),
)
def test_it_finds_what_a_search_of_each_path_finds(paths: list[list[int]], text: str) -> None:
    tree = TokenTree()
    tips = [grow(tree, ROOT, *path) for path in paths]
    expected = set()
    for tip in tips:
        path = tree.path(tip)
        owners = [n for n in path for _ in PIECES[tree.token[n]]]
        whole = b"".join(PIECES[tree.token[n]] for n in path).decode()
        for at in range(len(whole)):
            if whole.startswith(text, at):
                expected.add((owners[at], owners[at + len(text) - 1], at))
    found = find_text(tree, VOCABULARY, text)
    assert {(m.first, m.last) for m in found} == {(a, b) for a, b, _ in expected}
