"""The tree as a Graphviz graph: a box for each branch, its own text in it."""

import math
from collections.abc import Iterator

from tokexplore.models.display import safe_text
from tokexplore.models.tree.trie import Branch
from tokexplore.tui.export.leaving import Left, left_by
from tokexplore.tui.export.source import Scope, Source
from tokexplore.widgets.cell_text import cut, wrapped
from tokexplore.widgets.numbers import percent

WORDS = 160
"""Cells of a branch's text that its box shows."""
WIDTH = 40
"""Cells of a line of it."""


def dot_parts(source: Source, scope: Scope, _count: int) -> Iterator[bytes]:
    """The graph; an edge says at which step a branch leaves, by which token, and how probable."""
    yield b"digraph tokexplore {\n  rankdir=LR;\n"
    yield b'  node [shape=box, style=rounded, fontname="monospace", fontsize=10];\n'
    yield b'  edge [fontname="monospace", fontsize=9];\n'
    shown = {branch.number for branch in source.branches(scope)}
    for branch in source.branches(scope):
        yield f'  b{branch.number} [label="{_label(source, branch, scope)}"];\n'.encode()
        left = left_by(source, branch)
        if left is not None and left.branch in shown:
            edge = _edge(source, branch, left)
            yield f'  b{left.branch} -> b{branch.number} [label="{edge}"];\n'.encode()
    yield b"}\n"


def _label(source: Source, branch: Branch, scope: Scope) -> str:
    text = source.vocabulary.text(source.tree.token[n] for n in source.chain(branch, scope))
    shown = cut(safe_text(" ".join(text.split())), WORDS)
    head = f"{branch.number} {branch.name}".strip()
    return "".join(f"{_escaped(one)}\\l" for one in (head, *wrapped(shown, WIDTH)))


def _edge(source: Source, branch: Branch, left: Left) -> str:
    tree = source.tree
    token = source.vocabulary.show(tree.token[branch.head])
    scored = tree.is_scored(branch.head)
    share = f" {percent(math.exp(tree.logprob[branch.head]))}" if scored else ""
    at = f"@{left.step}" if left.step else left.place
    return _escaped(f"{at} {token}{share}")


def _escaped(text: str) -> str:
    """Text that Graphviz shows as it is."""
    return safe_text(text).replace("\\", "\\\\").replace('"', '\\"')
