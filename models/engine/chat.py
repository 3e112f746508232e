"""Conversations as token ids, through the model's own chat template."""

import re
from collections.abc import Sequence
from typing import Any

from tokexplore.models.engine.loading import Loaded
from tokexplore.models.engine.text import encode, token_ids
from tokexplore.models.errors import UsageError
from tokexplore.models.protocol import Chat, Rendered

_ANSWER = "TokexploreStandsHereForTheAnswer"
"""Stands for the assistant's words while we look at what a template writes after them."""
_RESERVED = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "messages",
        "max_length",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    }
)


def render(loaded: Loaded, chat: Chat) -> Rendered:
    """The ids of the rendered template, ready for the assistant to go on.

    Without a prefill the template opens the assistant's turn. With one, the turn is opened, holds
    the prefill and stays open. BOS is there once, where the template writes it.

    Raises:
        UsageError: when the model has no chat template or the template refuses the messages.
    """
    messages = _messages(chat)
    if not messages:
        raise UsageError("a chat needs at least one message: give --user TEXT or --messages FILE.")
    if chat.prefill:
        messages.append({"role": "assistant", "content": chat.prefill})
        text = _apply(loaded, chat, messages, continue_final_message=True)
    else:
        text = _apply(loaded, chat, messages, add_generation_prompt=True)
    return Rendered(tuple(token_ids(loaded, text, special=False)), _warning(loaded, chat, text))


def next_turn(loaded: Loaded, ids: Sequence[int], chat: Chat, user: str) -> Rendered:
    """The ids to append to the path `ids`, whose end is the assistant's, for the user to speak.

    They close the assistant's turn as far as the path has not done so itself, hold the user's
    turn, and open the assistant's next one. The path's own ids stay as they are: the template
    renders `chat` with a stand-in for the assistant's words (in place of a last assistant message,
    if `chat` has one), and what it writes after the stand-in is what is appended.

    Raises:
        UsageError: for an empty turn, no chat template, or a template that refuses another turn.
    """
    if not user.strip():
        raise UsageError("the next user turn is empty: type at least one character.")
    before = _messages(chat)
    if before and before[-1]["role"] == "assistant":
        before.pop()
    before = before or [{"role": "user", "content": "Hello"}]
    turns = [{"role": "assistant", "content": _ANSWER}, {"role": "user", "content": user}]
    text = _apply(loaded, chat, [*before, *turns], add_generation_prompt=True)
    cut = text.rfind(_ANSWER) + len(_ANSWER)
    if _ANSWER not in text:
        raise UsageError(
            f"the chat template of {loaded.name} leaves earlier answers out, so no further turn "
            "can follow this path: start a new chat with --messages."
        )
    closing = encode(loaded, text[cut : max(cut, text.find(user.strip(), cut))], continuation=True)
    return _joined(loaded, list(ids), _after(loaded, text, cut), len(closing))


def _after(loaded: Loaded, text: str, cut: int) -> list[int]:
    """The ids of text[cut:] as the tokenizer writes them inside the whole text; on their own
    where a token spans the cut."""
    whole = token_ids(loaded, text, special=False)
    head = token_ids(loaded, text[:cut], special=False)
    if whole[: len(head)] == head:
        return whole[len(head) :]
    return encode(loaded, text[cut:], continuation=True)


def _joined(loaded: Loaded, path: list[int], added: list[int], closing: int) -> Rendered:
    """`added` without what the path already ends with; its first `closing` ids come before the
    user's words."""
    last = path[-1] if path else -1
    if last in loaded.eos_ids and last in added[:closing]:
        return Rendered(tuple(added[added.index(last) + 1 :]))
    for length in range(min(closing, len(path)), 0, -1):
        if path[-length:] == added[:length]:
            return Rendered(tuple(added[length:]))
    if last in loaded.eos_ids:
        shown = loaded.vocabulary.show(last)
        return Rendered(
            tuple(added), f"the path ends with {shown}, which the chat template never writes there"
        )
    return Rendered(tuple(added))


def _messages(chat: Chat) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in chat.messages]


def _apply(loaded: Loaded, chat: Chat, messages: list[dict[str, str]], **how: bool) -> str:
    if not loaded.chat_template:
        raise UsageError(
            f"{loaded.name} has no chat template: give plain text with --prompt instead of a chat."
        )
    if taken := sorted(_RESERVED & chat.template_args.keys()):
        raise UsageError(f"template argument {taken[0]} is set by tokexplore: leave it out.")
    arguments: dict[str, Any] = chat.template_args | how
    try:
        return str(loaded.tokenizer.apply_chat_template(messages, tokenize=False, **arguments))
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"the chat template of {loaded.name} refuses these messages: {reason}"
        ) from error


def _warning(loaded: Loaded, chat: Chat, text: str) -> str:
    """What the template did that the user may not have meant; empty where all is as asked."""
    warnings = []
    last = chat.messages[-1].role if chat.messages else ""
    if last == "assistant" and not chat.prefill:
        warnings.append(
            "the last message is the assistant's: the template closes its turn and opens another; "
            "give its text as the prefill to go on from it"
        )
    elif last == "assistant":
        warnings.append("the prefill opens a second assistant turn after the last message")
    if not text.endswith(chat.prefill):
        end = text[-len(chat.prefill) :]
        warnings.append(
            f"the template changes the prefill: the prompt ends with {end!r}, not {chat.prefill!r}"
        )
    template = loaded.tokenizer.get_chat_template()
    unused = [n for n in chat.template_args if not re.search(rf"\b{re.escape(n)}\b", template)]
    if unused:
        warnings.append(f"the template does not use {', '.join(unused)}")
    return "; ".join(warnings)
