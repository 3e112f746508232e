"""Where the assistant's turn ends, as the chat template itself tells it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.engine.text.byte_table import added_tokens, split_at_added
from tokexplore.models.engine.text.sandbox import Fence, FenceError, WorkError

STAND_IN = "TokexploreStandsHereForTheAnswer"
"""Stands for words while we look at what a template writes around them."""
_USER = {"role": "user", "content": "Hello"}


def named_templates(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """The tokenizer's chat templates by name; a single one is `default`."""
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, dict):
        return dict(templates)
    return {"default": templates} if templates else {}


def rendered(
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    turns: Sequence[dict[str, Any]],
    **how: object,
) -> str:
    """The text that a template makes of messages.

    Raises:
        WorkError: the template refuses them.
        FenceError: it takes more time, memory or text than it may.
    """
    with in_one_fence(tokenizer) as fence:
        return fence.make((template, turns, how))


_Task = tuple[str, Sequence[dict[str, Any]], dict[str, object]]
"""A template, the messages, and what it is told besides."""
_OPEN: ContextVar[tuple[PreTrainedTokenizerBase, Fence[_Task]] | None] = ContextVar(
    "_OPEN", default=None
)


@contextmanager
def in_one_fence(tokenizer: PreTrainedTokenizerBase) -> Iterator[Fence[_Task]]:
    """One fork for all templates that are rendered meanwhile: a fork of a process that holds a
    model takes longer than they do, and each compiles the template anew."""
    held = _OPEN.get()
    if held is not None and held[0] is tokenizer:
        yield held[1]
        return
    with Fence(partial(_render, tokenizer)) as fence:
        token = _OPEN.set((tokenizer, fence))
        try:
            yield fence
        finally:
            _OPEN.reset(token)


def _render(tokenizer: PreTrainedTokenizerBase, task: _Task) -> str:
    template, turns, how = task
    text = tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, **how)
    return str(text)


def turn_ids(
    tokenizer: PreTrainedTokenizerBase, eos_ids: Sequence[int], rows: int
) -> tuple[int, ...]:
    """The tokens that end a turn by one of the chat templates where `eos_ids` has no end for it.

    The first template that takes more than it may is the last one looked at: each could take that.
    """
    ends: list[int | str] = []
    with suppress(FenceError), in_one_fence(tokenizer):
        for template in named_templates(tokenizer).values():
            ends.append(end_of_turn(tokenizer, template, eos_ids))
    return tuple(dict.fromkeys(end for end in ends if isinstance(end, int) and end < rows))


def end_of_turn(
    tokenizer: PreTrainedTokenizerBase, template: str, eos_ids: Sequence[int]
) -> int | str:
    """The added token that a template writes after the assistant's words, or the text that it
    writes there in the place of one; empty where it writes nothing, and where it is in `eos_ids`.

    The words of a last message are looked at first: some templates end others in another way.

    Raises:
        FenceError: the template takes more time, memory or text than it may.
    """
    added = added_tokens(tokenizer)
    for after in ([], [_USER]):
        text = _after_answer(tokenizer, template, after)
        pieces = [piece.strip() for piece in split_at_added(tokenizer, text) if piece.strip()]
        if pieces and pieces[0] in added:
            end = int(added[pieces[0]])
            return "" if end in eos_ids else end
        if pieces:
            return "" if after else pieces[0].partition("\n")[0]
    return ""


def _after_answer(
    tokenizer: PreTrainedTokenizerBase, template: str, after: list[dict[str, str]]
) -> str:
    """What the template writes after an answer; empty where it refuses this conversation."""
    for content in (STAND_IN, [{"type": "text", "text": STAND_IN}]):
        turns: list[dict[str, Any]] = [_USER, {"role": "assistant", "content": content}, *after]
        try:
            text = rendered(tokenizer, template, turns)
        except WorkError:
            continue
        _, found, rest = text.rpartition(STAND_IN)
        if found:
            return rest
    return ""
