"""A session as lists show it: what it begins with, what was said last, what was named in it."""

import time
from collections.abc import Iterable
from itertools import islice

from tokexplore.models.session.meta import Summary
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.tree import TokenTree

FIRST, LAST = 12, 24
"""Tokens of a path that stand for its begin, and for its end."""
LONGEST = 200
"""Characters of what was asked, and of a name or note."""
MOST_NAMES = 40


def summarise(path: TokenPath, model: str) -> Summary:
    """The session of a path's tree, as of that path.

    Args:
        model: its name in the header.
    """
    tree, length = path.tree, len(path.nodes)
    return Summary(
        model=model,
        nodes=len(tree) - 1,
        words=_said(path, first=True) or path.words(0, FIRST).strip(),
        updated=time.time(),
        asked=_said(path),
        end=path.words(max(0, length - LAST), length).strip(),
        branches=len(tree.branches),
        names=names_in(tree),
    )


def names_in(tree: TokenTree) -> tuple[str, ...]:
    """What branches and nodes are called and what is noted of them, as much as lists search."""
    return tuple(name[:LONGEST] for name in islice(_names(tree), MOST_NAMES))


def _names(tree: TokenTree) -> Iterable[str]:
    yield from (branch.name for branch in tree.branches if branch.name)
    yield from tree.labels.values()
    yield from tree.notes.values()


def _said(path: TokenPath, *, first: bool = False) -> str:
    """The user's last words on a path, or the first ones; empty where it is no chat."""
    users = [m.content for m in path.chat.messages if m.role == "user"] if path.chat else []
    told = users if first else reversed(users)
    return next((words.strip() for words in told if words.strip()), "")[:LONGEST]
