"""What a change of the tree is called when it is taken back or made again."""

from tokexplore.models.display import NEWLINE
from tokexplore.models.tree.events import (
    Bookmarked,
    Edit,
    Hidden,
    Labelled,
    Named,
    Noted,
    Restored,
    Unhidden,
    Withdrawn,
)
from tokexplore.tui.explore.explorer import Explorer

_LONGEST = 24
"""Characters of a text that are repeated."""
_WORDS = 16
"""Tokens that they are taken from."""

TOOK_BACK, MADE_AGAIN, NOTHING = "Took back", "Made again", "There is nothing to"
CHANGED = (TOOK_BACK, MADE_AGAIN, NOTHING)
"""How notices of undo and redo begin: only the last of them is news."""


def words_of(explorer: Explorer, change: Edit) -> str:
    """A change in words, told as what it makes: `prompt 'The capital…'`, `note 'odd'`."""
    match change:
        case Unhidden(number):
            return f"{_taken(explorer, explorer.tree.branch(number).head)} (branch {number})"
        case Restored(node):
            return f"{_taken(explorer, node)} (branch {explorer.tree.branch_of[node]})"
        case Withdrawn(node):
            return f"hiding of {_taken(explorer, node)}"
        case Hidden(number):
            return f"hiding of branch {number}"
        case Named(number, name):
            return f"{_written('name', name)} of branch {number}"
        case Labelled(node, name):
            return f"{_written('name', name)} of {_place(explorer, node)}"
        case Noted(node, text):
            return f"{_written('note', text)} on {_place(explorer, node)}"
        case Bookmarked(node, marked):
            return f"{'' if marked else 'removal of the '}bookmark at {_place(explorer, node)}"


def _written(what: str, text: str) -> str:
    return f"{what} {_quoted(text)}" if text else f"removal of the {what}"


def _place(explorer: Explorer, node: int) -> str:
    step = explorer.tree.number(node)
    return f"step {step}" if step else "the prompt"


def _taken(explorer: Explorer, node: int) -> str:
    """What came into the tree with a node."""
    tree, vocabulary = explorer.tree, explorer.vocabulary
    origin = tree.origin[node]
    first = tree.begins_prompt(node)
    what = "text" if origin == "typed" else "prompt" if first else "turn"
    if origin not in ("prompt", "typed"):
        return f"{_quoted(vocabulary.show(tree.token[node]))} at step {tree.number(node)}"
    ids, last, run = [], node, True
    while run:
        ids.append(tree.token[last])
        following = next(iter(tree.children[last]), None)
        if run := following is not None and tree.origin[following] == origin:
            last = following
    prompt = tree.prompts.get(last)
    if prompt is not None and prompt.chat is not None:
        return f"{what} {_quoted(prompt.chat.messages[-1].content)}"
    return f"{what} {_quoted(vocabulary.text(ids[:_WORDS]).strip())}"


def _quoted(text: str) -> str:
    text = text.replace("\n", NEWLINE)
    return f"'{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}'"
