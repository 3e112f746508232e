"""Text search over a whole tree, across tokens and forks."""

import re
from bisect import bisect_right
from typing import NamedTuple

from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import is_hidden


class Match(NamedTuple):
    """Where a text stands in a tree."""

    first: int
    """The node that it begins in."""
    last: int
    """The node that it ends in."""


def find_text(
    tree: TokenTree, vocabulary: Vocabulary, text: str, *, hidden: bool = False
) -> list[Match]:
    """Every place where a text stands on some path, in the order in which branches were made.

    A match that lies before a fork is found once. ASCII letters match in both cases.

    Args:
        hidden: whether hidden branches count too.
    """
    wanted = text.encode("utf-8", "surrogateescape")
    if not wanted:
        return []
    pattern = re.compile(b"(?=" + re.escape(wanted) + b")", re.IGNORECASE)
    matches: list[Match] = []
    for branch in tree.branches:
        if hidden or not is_hidden(tree, branch.number):
            matches += _in_branch(tree, vocabulary, branch.head, branch.tip, len(wanted), pattern)
    return matches


def _in_branch(
    tree: TokenTree,
    vocabulary: Vocabulary,
    head: int,
    tip: int,
    length: int,
    pattern: "re.Pattern[bytes]",
) -> list[Match]:
    """Matches that end in a branch's own tokens, and may begin before its fork."""
    nodes, pieces = _before(tree, vocabulary, tree.parent[head], length - 1)
    own = sum(map(len, pieces))
    node = head
    while True:
        nodes.append(node)
        pieces.append(vocabulary.bytes_of(tree.token[node]))
        if node == tip:
            break
        node = tree.children[node][0]
    starts, total = [], 0
    for piece in pieces:
        starts.append(total)
        total += len(piece)
    found = []
    for hit in pattern.finditer(b"".join(pieces)):
        end = hit.start() + length - 1
        if end >= own:
            found.append(Match(nodes[_at(starts, hit.start())], nodes[_at(starts, end)]))
    return found


def _at(starts: list[int], offset: int) -> int:
    return bisect_right(starts, offset) - 1


def _before(
    tree: TokenTree, vocabulary: Vocabulary, node: int, length: int
) -> tuple[list[int], list[bytes]]:
    """The nodes up to `node` that hold the last `length` bytes of its path, and their bytes."""
    nodes: list[int] = []
    pieces: list[bytes] = []
    while node != ROOT and length > 0:
        piece = vocabulary.bytes_of(tree.token[node])
        nodes.append(node)
        pieces.append(piece)
        length -= len(piece)
        node = tree.parent[node]
    return nodes[::-1], pieces[::-1]
