"""Conversations as token ids, through the model's own chat template."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import msgspec

from tokexplore.models.api.chat import Chat, ChatPart, Message, Rendered, last_tokens
from tokexplore.models.engine.text.chat_parts import Conversation, parts
from tokexplore.models.engine.text.encode import check_unicode, continuation_ids, token_ids
from tokexplore.models.engine.text.literal import unmarked, with_marks
from tokexplore.models.engine.text.sandbox import FenceError
from tokexplore.models.engine.text.template import Turns, apply, fitted, left_out, source
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.engine.text.turn_end import STAND_IN, end_of_turn, in_one_fence
from tokexplore.models.errors import UsageError


def render(model: TextModel, chat: Chat) -> Rendered:
    """The ids of the rendered template, ready for the assistant to go on.

    The template opens the assistant's turn, and a prefill stands after that as it is; or the
    template writes it as the content or the reasoning of a message that it leaves open. BOS is
    there once, where the template writes it.

    Raises:
        UsageError: when the model has no such chat template, and when the template refuses the
            messages or leaves out what one of them says.
    """
    if not chat.messages:
        raise UsageError("a chat needs at least one message: give --user TEXT or --messages FILE.")
    with in_one_fence(model.tokenizer):
        said, notices = _conversation(model, _checked(model, chat))
        notices = [*_second_turn(chat), *notices, *_endless(model, chat)]
        ids = token_ids(model, said.text, special=False)
        return Rendered(tuple(ids), "; ".join(notices), parts(model, said, ids))


def _conversation(model: TextModel, chat: Chat) -> tuple[Conversation, list[str]]:
    """All of a conversation up to where the assistant goes on; what the user should know of it."""
    if chat.prefill and chat.prefill_as != "turn":
        return _continued(model, chat)
    how: dict[str, object] = {"add_generation_prompt": True}
    turns = _fitted(model, chat, _turns(chat), **how)
    text, notices = _opened(model, chat, turns, **how)
    return Conversation(chat, turns, text, how, chat.prefill), notices


def _opened(model: TextModel, chat: Chat, turns: Turns, **how: object) -> tuple[str, list[str]]:
    """The text of the turns and of the one that the template opens, and the prefill as it is."""
    text = apply(model, chat, turns, **how)
    notices = left_out(model, chat, turns, text, **how)
    if not chat.prefill:
        return text, notices
    if chat.prefill_more:
        notices.append(f"the prefill stands as it is, without {' and '.join(chat.prefill_more)}")
    closed = apply(model, chat, turns, add_generation_prompt=False)
    own = _own_opening(model, chat, turns)
    start = _shared(closed, text, text if own is None else own)
    opening, other = text[start:], None if own is None else own[start:]
    if not opening.strip() and other and other.strip():
        return text[:start] + other + chat.prefill, notices
    if other != opening:
        after = f"{opening!r}, with which the template opens the turn" if opening else "the message"
        notices.append(f"the prefill stands as it is right after {after}")
        if other is not None:
            notices[-1] += (
                f"; before such an answer it would write {other!r} (--prefill-as content)"
            )
    if again := _overlap(opening, chat.prefill):
        notices.append(
            f"the opened turn ends with {unmarked(again)!r}, and the prefill begins with it again"
        )
    return text + chat.prefill, notices


def _own_opening(model: TextModel, chat: Chat, turns: Turns) -> str | None:
    """All that the template writes before the prefill where it is a message's content; None where
    it writes no such message, or something else in the place of the prefill."""
    words = chat.prefill.strip()
    if not words:
        return None
    answer = {"role": "assistant", "content": chat.prefill}
    how = {"continue_final_message": True}
    try:
        all_turns = _fitted(model, chat, [*turns, answer], **how)
        text = apply(model, chat, all_turns, **how)
    except UsageError:
        return None
    before, found, _ = text.rpartition(words)
    return before if found else None


def _shared(*texts: str) -> int:
    """The length of what all texts begin with."""
    together = enumerate(zip(*texts, strict=False))
    return next((i for i, each in together if len(set(each)) > 1), min(map(len, texts)))


def _overlap(opening: str, prefill: str) -> str:
    """The longest end of the opening that the prefill begins with; blanks alone do not count."""
    lengths = range(min(len(opening), len(prefill)), 0, -1)
    ends = (prefill[:n] for n in lengths if opening.endswith(prefill[:n]))
    return next((end for end in ends if end.strip()), "")


def _continued(model: TextModel, chat: Chat) -> tuple[Conversation, list[str]]:
    """The conversation with a last message that the template writes and leaves open."""
    field = "content" if chat.prefill_as == "content" else "reasoning_content"
    answer = {"role": "assistant", "content": "", **chat.prefill_more, field: chat.prefill}
    how: dict[str, object] = {"continue_final_message": field}
    turns = _fitted(model, chat, [*_turns(chat), answer], **how)
    text = apply(model, chat, turns, **how)
    notices = left_out(model, chat, turns, text, **how)
    if not text.endswith(chat.prefill):
        end, wanted = unmarked(text)[-len(chat.prefill) :], unmarked(chat.prefill)
        notices.append(
            f"the template changes the prefill: the prompt ends with {end!r}, not {wanted!r}"
        )
    return Conversation(chat, turns, text, how, ""), notices


def append_turns(model: TextModel, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
    """The ids to append to the path `ids`, whose end is the assistant's, for the turns that follow.

    The path tells the first `known` messages, the last of which is the assistant's. What is
    appended closes that one as far as the path has not done so itself, holds the other messages, if
    there are any, and opens the assistant's next turn, with the prefill. The path's own ids stay as
    they are: the template renders the conversation with a stand-in for the answer, and what it
    writes after the stand-in is what is appended.

    Raises:
        UsageError: for turns without words, no chat template, or a template that refuses them.
    """
    with in_one_fence(model.tokenizer):
        return _following(model, ids, _checked(model, chat), known)


def _following(model: TextModel, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
    """See `append_turns`."""
    added = chat.messages[known:]
    if added and not any(message.content.strip() or message.more for message in added):
        raise UsageError("the next turn is empty: type at least one character.")
    before = chat.messages[: known - 1] or (Message("user", "Hello"),)
    stood = (*before, Message("assistant", STAND_IN), *added)
    said, notices = _conversation(model, msgspec.structs.replace(chat, messages=stood))
    cut = said.text.rfind(STAND_IN) + len(STAND_IN)
    following = _after(model, said.text, cut)
    shift = known - len(before) - 1
    told = [_shifted(part, shift) for part in parts(model, said, following, cut)]
    if words := (added[0].content if added else chat.prefill).strip():
        closing = len(
            continuation_ids(model, said.text[cut : max(cut, said.text.find(words, cut))])
        )
    elif added:
        closing = sum(part.tokens for part in takewhile(lambda part: part.message < known, told))
    else:
        closing = len(following)
    appended, notice = _joined(model, list(ids), following, closing)
    return Rendered(
        tuple(appended),
        "; ".join(filter(None, (*_second_turn(chat), *notices, notice))),
        last_tokens(told, len(appended)),
    )


def _shifted(part: ChatPart, shift: int) -> ChatPart:
    message = part.message + shift
    return msgspec.structs.replace(part, message=message, role=part.role if message >= 0 else "")


def _after(model: TextModel, text: str, cut: int) -> list[int]:
    """The ids of text[cut:] as the tokenizer writes them inside the whole text; on their own
    where a token spans the cut."""
    whole = token_ids(model, text, special=False)
    head = token_ids(model, text[:cut], special=False)
    if whole[: len(head)] == head:
        return whole[len(head) :]
    return continuation_ids(model, text[cut:])


def _joined(
    model: TextModel, path: list[int], added: list[int], closing: int
) -> tuple[list[int], str]:
    """`added` without what the path already ends with, and what is to be said of that; its first
    `closing` ids come before the words that follow."""
    last = path[-1] if path else -1
    ends = (*model.eos_ids, *model.turn_ids)
    if last in ends and last in added[:closing]:
        return added[added.index(last) + 1 :], ""
    for length in range(min(closing, len(path)), 0, -1):
        if path[-length:] == added[:length]:
            return added[length:], ""
    if last in ends:
        shown = model.vocabulary.show(last)
        return added, f"the path ends with {shown}, which the chat template never writes there"
    return added, ""


def _turns(chat: Chat) -> Turns:
    return [{"role": m.role, "content": m.content} | m.more for m in chat.messages]


def _fitted(model: TextModel, chat: Chat, turns: Turns, **how: object) -> Turns:
    fitting, lost = fitted(model, chat, turns, **how)
    _refuse_lost(model, turns, lost)
    return fitting


def _refuse_lost(model: TextModel, turns: Turns, lost: list[int]) -> None:
    if any(STAND_IN in str(turns[index]["content"]) for index in lost):
        raise UsageError(
            f"the chat template of {model.name} leaves earlier answers out, so no further turn "
            "can follow this path: start a new chat with --messages."
        )
    if lost:
        role = turns[lost[0]]["role"]
        raise UsageError(
            f"the chat template of {model.name} leaves out the text of message {lost[0] + 1} "
            f"({role}), as a text and as a list of parts: leave the message out, or give plain "
            "text with --prompt."
        )


def _checked(model: TextModel, chat: Chat) -> Chat:
    """The chat with a mark in every name of a token that it holds, where those shall be read as
    their characters; its texts are valid Unicode."""

    def checked(value: Any) -> Any:
        if isinstance(value, str):
            check_unicode(value)
            return with_marks(model.tokenizer, value) if chat.literal else value
        if isinstance(value, dict):
            return {key: checked(item) for key, item in value.items()}
        return [checked(item) for item in value] if isinstance(value, list) else value

    return msgspec.structs.replace(
        chat,
        messages=tuple(Message(m.role, checked(m.content), checked(m.more)) for m in chat.messages),
        prefill=checked(chat.prefill),
        prefill_more=checked(chat.prefill_more),
        tools=tuple(checked(tool) for tool in chat.tools),
    )


def _second_turn(chat: Chat) -> list[str]:
    """What is to be said of a conversation whose last message is the assistant's already."""
    if chat.messages[-1].role != "assistant":
        return []
    if chat.prefill:
        return ["the prefill opens a second assistant turn after the last message"]
    return [
        "the last message is the assistant's: the template closes its turn and opens another; "
        "give its text as the prefill to go on from it"
    ]


def _endless(model: TextModel, chat: Chat) -> list[str]:
    """What is to be said of a template whose turns end with no token."""
    try:
        end = end_of_turn(model.tokenizer, source(model, chat), model.eos_ids)
    except FenceError:
        return []
    if not isinstance(end, str) or not end:
        return []
    return [
        f"the template ends a turn with {end!r}, which is no token of its own, so the model may go "
        f"on past it: --stop {end!r} ends there"
    ]
