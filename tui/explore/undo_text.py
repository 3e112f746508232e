"""What a change of the tree is called when it is taken back or made again."""

from collections.abc import Collection, Sequence

from tokexplore.models.display import NEWLINE, counted
from tokexplore.models.tree.events import (
    Bookmarked,
    Edit,
    Hidden,
    Labelled,
    Named,
    Noted,
    Prompted,
    Restored,
    Unhidden,
    Withdrawn,
)
from tokexplore.models.tree.undo import told
from tokexplore.tui.explore.explorer import Explorer

_LONGEST = 24
"""Characters of a text that are repeated."""
_WORDS = 16
"""Tokens that they are taken from."""

_AWAY = ", which is not in view"

TOOK_BACK, MADE_AGAIN, NOTHING = "Took back", "Made again", "There is nothing to"
CHANGED = (TOOK_BACK, MADE_AGAIN, NOTHING)
"""How notices of undo and redo begin: only the last of them is news."""


def words_of(explorer: Explorer, step: Sequence[Edit]) -> str:
    """A step in words, told as what it makes: `prompt 'The capital…' (branch 2)`.

    With the branch that it is on, and whether that is not the one in view. The words are the same
    where the step is made and where it is taken back.
    """
    ends = set(explorer.tree.withdrawn)
    for change in step:
        match change:
            case Withdrawn(node):
                ends.add(node)
            case Restored(node):
                ends.discard(node)
    if grown := _grown(explorer, step):
        return grown
    match told(step):
        case Unhidden(number):
            return f"{_taken(explorer, explorer.tree.branch(number).head, ends)} (branch {number})"
        case Restored(node):
            return f"{_taken(explorer, node, ends)} (branch {explorer.tree.branch_of[node]})"
        case Withdrawn(node):
            number = explorer.tree.branch_of[node]
            return f"hiding of {_taken(explorer, node, ends)} (branch {number})"
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


def _grown(explorer: Explorer, step: Sequence[Edit]) -> str:
    """What a step is called that let a tree grow by probability; empty for any other."""
    tree, heads = explorer.tree, list[int]()
    for change in step:
        match change:
            case Unhidden(number):
                heads.append(tree.branch(number).head)
            case Restored(node):
                heads.append(node)
    if not heads or any(tree.origin[head] != "grown" for head in heads):
        return ""
    nodes = list(heads)
    for node in nodes:
        nodes += tree.children[node]
    return f"tree of {counted(len(nodes), 'token')} at step {min(map(tree.number, heads))}"


def _written(what: str, text: str) -> str:
    return f"{what} {_quoted(text)}" if text else f"removal of the {what}"


def _place(explorer: Explorer, node: int) -> str:
    step, branch = explorer.tree.number(node), explorer.tree.branch_of[node]
    where = f"step {step} of branch {branch}" if step else f"the prompt of branch {branch}"
    return where + ("" if explorer.on_path(node) else _AWAY)


def _taken(explorer: Explorer, node: int, ends: Collection[int]) -> str:
    """What came into the tree with a node, and how much followed it on its branch.

    Args:
        ends: the nodes that the branch ends before.
    """
    tree, vocabulary = explorer.tree, explorer.vocabulary
    origin = tree.origin[node]
    first = tree.begins_prompt(node)
    what = "text" if origin == "typed" else "prompt" if first else "turn"
    if origin not in ("prompt", "typed"):
        words = f"{_quoted(vocabulary.show(tree.token[node]))} at step {tree.number(node)}"
        return words + _following(explorer, node, ends)
    ids, last, run = [], node, True
    while run:
        ids.append(tree.token[last])
        following = _next(explorer, last, ends)
        if run := bool(following) and tree.origin[following] == origin:
            last = following
    prompt = tree.prompts.get(last)
    if prompt is not None and prompt.chat is not None:
        begun = prompt.chat.prefill and len(ids) <= _opened(prompt)
        what = "prefill" if begun else what
        words = prompt.chat.prefill if begun else prompt.chat.messages[-1].content
    else:
        words = vocabulary.text(ids[:_WORDS]).strip()
    return f"{what} {_quoted(words)}{_following(explorer, last, ends)}"


def _opened(prompt: Prompted) -> int:
    """Tokens of the answer that a prompt opens, at its end."""
    messages = len(prompt.chat.messages) if prompt.chat else 0
    return sum(part.tokens for part in prompt.parts if part.message == messages)


def _following(explorer: Explorer, node: int, ends: Collection[int]) -> str:
    """How many tokens came after a node on its branch: those that the change takes along."""
    after = 0
    while node := _next(explorer, node, ends):
        after += 1
    return f" with {counted(after, 'token')} after it" if after else ""


def _next(explorer: Explorer, node: int, ends: Collection[int]) -> int:
    """The node that carries a node's branch on; 0 where none does, or it was taken back."""
    following = next(iter(explorer.tree.children[node]), 0)
    return 0 if following in ends else following


def _quoted(text: str) -> str:
    text = text.replace("\n", NEWLINE)
    return f"'{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}'"
