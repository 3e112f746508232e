"""Conversations, and what a chat template makes of them."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

PrefillAs = Literal["turn", "content", "reasoning"]
"""How a prefill is put: as it is after the opened turn, or as the template itself writes the
content or the reasoning of an assistant message that it leaves open."""


REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Names that what was thought before an answer goes by in messages; templates look for each."""


class Message(msgspec.Struct, frozen=True):
    """One chat message."""

    role: str
    content: str
    """Its text; of several text parts, one after the other."""
    more: dict[str, object] = {}
    """What else it holds, as it was given: reasoning_content, tool_calls; also a content that is a
    list of parts, or None where there is none."""


class Chat(msgspec.Struct, frozen=True):
    """A conversation to be rendered by the model's chat template."""

    messages: tuple[Message, ...]
    prefill: str = ""
    """The assistant's first words, which the model goes on from."""
    template_args: dict[str, object] = {}
    """Extra arguments of the template, such as enable_thinking."""
    prefill_as: PrefillAs = "turn"
    prefill_more: dict[str, object] = {}
    """Other fields of the message that a prefill as content opens, such as its reasoning."""
    template: str = ""
    """Name of the template, where the model has several; empty is its default."""
    tools: tuple[dict[str, object], ...] = ()
    """JSON schemas of the functions that the template tells the model of."""
    literal: bool = False
    """Read the names of tokens in the messages (`</s>`) as their characters."""


def no_template(model: str) -> str:
    """Why there can be no chat with a model, by its name: what refuses one."""
    return f"{model} has no chat template: give plain text with --prompt instead of a chat."


PartKind = Literal["template", "content", "reasoning", "call"]
"""Whose words a part of a rendered conversation is: the template's own, or a message's: of its
content, of its reasoning, or of the tools that it calls."""


class ChatPart(msgspec.Struct, frozen=True):
    """Tokens of a rendered conversation that stand together and are of one kind."""

    tokens: Annotated[int, msgspec.Meta(ge=1)]
    message: int
    """Index of the message that they belong to: the number of messages for the answer that is
    opened at the end, -1 for what the template writes before the first of them."""
    role: str
    """Of that message; empty before the first."""
    kind: PartKind


def last_tokens(parts: Sequence[ChatPart], count: int) -> tuple[ChatPart, ...]:
    """The parts of the last `count` tokens."""
    last: list[ChatPart] = []
    for part in reversed(parts):
        tokens = min(part.tokens, count)
        if tokens:
            last.insert(0, msgspec.structs.replace(part, tokens=tokens))
        count -= tokens
    return tuple(last)


class Rendered(msgspec.Struct, frozen=True):
    """A prompt as token ids, ready to be used."""

    ids: tuple[int, ...]
    warning: str = ""
    parts: tuple[ChatPart, ...] = ()
    """Of a conversation: its ids, told apart. A token across the border of a message's words counts
    as theirs. Empty where what the template makes of the messages cannot be told apart."""
