"""What a change of the tree is called when it is taken back or made again."""

from collections.abc import Collection

from tokexplore.models.display import NEWLINE, counted
from tokexplore.models.tree.events import (
    Bookmarked,
    Hidden,
    Labelled,
    Named,
    Noted,
    Prompted,
    Restored,
    Unhidden,
    Withdrawn,
)
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.undo import Step, told
from tokexplore.models.tree.visibility import hidden_by, shown_by
from tokexplore.tui.explore.explorer import Explorer

_LONGEST = 24
"""Characters of a text that are repeated."""
_WORDS = 16
"""Tokens that they are taken from."""

_AWAY = ", which is not in view"

TOOK_BACK, MADE_AGAIN, NOTHING = "Took back", "Made again", "There is nothing to"
CHANGED = (TOOK_BACK, MADE_AGAIN, NOTHING)
"""How notices of undo and redo begin: only the last of them is news."""


def words_of(explorer: Explorer, step: Step) -> str:
    """A step in words, told as what it makes: `prompt 'The capital…' (branch 2)`.

    With the branch that it is on, and whether that is not the one in view. The words are the same
    where the step is made and where it is taken back.
    """
    tree = explorer.tree
    shown = shown_by(tree, step.changes)
    if step.taken == "grown" and shown:
        return f"tree of {counted(len(shown), 'token')} at step {min(map(tree.number, shown))}"
    match told(step):
        case Unhidden(number) if step.taken is None:
            return f"showing of branch {number}"
        case Unhidden(number):
            return f"{_taken(explorer, tree.branch(number).head, shown)} (branch {number})"
        case Restored(node):
            return f"{_taken(explorer, node, shown)} (branch {tree.branch_of[node]})"
        case Withdrawn(node):
            hidden = hidden_by(tree, step.changes)
            return f"hiding of {_taken(explorer, node, hidden)} (branch {tree.branch_of[node]})"
        case Hidden(number):
            return f"hiding of branch {number}"
        case Named(number, name):
            branch = explorer.branch
            away = "" if branch is not None and branch.number == number else _AWAY
            return f"{_written('name', name)} of branch {number}{away}"
        case Labelled(node, name):
            return f"{_written('name', name)} of {_place(explorer, node)}"
        case Noted(node, text):
            return f"{_written('note', text)} on {_place(explorer, node)}"
        case Bookmarked(node, marked):
            return f"{'' if marked else 'removal of the '}bookmark at {_place(explorer, node)}"


def _written(what: str, text: str) -> str:
    return f"{what} {_quoted(text)}" if text else f"removal of the {what}"


def _place(explorer: Explorer, node: int) -> str:
    step, branch = explorer.tree.number(node), explorer.tree.branch_of[node]
    where = f"step {step} of branch {branch}" if step else f"the prompt of branch {branch}"
    return where + ("" if explorer.on_path(node) else _AWAY)


def _taken(explorer: Explorer, node: int, along: Collection[int]) -> str:
    """What came into the tree with a node, and how much came or goes with it after that.

    Args:
        along: all the nodes that do.
    """
    tree, vocabulary = explorer.tree, explorer.vocabulary
    origin = tree.origin[node]
    first = tree.begins_prompt(node)
    what = "text" if origin == "typed" else "prompt" if first else "turn"
    if origin not in ("prompt", "typed"):
        words = f"{_quoted(vocabulary.show(tree.token[node]))} at step {tree.number(node)}"
        return words + _following(explorer, node, along)
    ids, last, run = [], node, True
    while run:
        ids.append(tree.token[last])
        following = next(iter(tree.children[last]), ROOT)
        if run := following in along and tree.origin[following] == origin:
            last = following
    prompt = tree.prompts.get(last)
    if prompt is not None and prompt.chat is not None:
        begun = prompt.chat.prefill and len(ids) <= _opened(prompt)
        what = "prefill" if begun else what
        words = prompt.chat.prefill if begun else prompt.chat.messages[-1].content
    else:
        words = vocabulary.text(ids[:_WORDS]).strip()
    return f"{what} {_quoted(words)}{_following(explorer, last, along)}"


def _opened(prompt: Prompted) -> int:
    """Tokens of the answer that a prompt opens, at its end."""
    messages = len(prompt.chat.messages) if prompt.chat else 0
    return sum(part.tokens for part in prompt.parts if part.message == messages)


def _following(explorer: Explorer, node: int, along: Collection[int]) -> str:
    """How many tokens come or go with a node that stand behind it."""
    depth = explorer.tree.depth
    after = sum(depth[each] > depth[node] for each in along)
    return f" with {counted(after, 'token')} after it" if after else ""


def _quoted(text: str) -> str:
    text = text.replace("\n", NEWLINE)
    return f"'{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}'"
