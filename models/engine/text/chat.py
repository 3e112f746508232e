"""Conversations as token ids, through the model's own chat template."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tokexplore.models.api.chat import Chat, Message, Rendered
from tokexplore.models.engine.text.encode import check_unicode, continuation_ids, token_ids
from tokexplore.models.engine.text.literal import unmarked, with_marks
from tokexplore.models.engine.text.sandbox import FenceError
from tokexplore.models.engine.text.template import Turns, apply, fitted, left_out, source
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.engine.text.turn_end import STAND_IN, end_of_turn
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
    chat = _checked(model, chat)
    if chat.prefill and chat.prefill_as != "turn":
        text, notices = _continued(model, chat)
    else:
        text, notices = _opened(model, chat)
    notices = [*_second_turn(chat), *notices, *_endless(model, chat)]
    return Rendered(tuple(token_ids(model, text, special=False)), "; ".join(notices))


def _opened(model: TextModel, chat: Chat) -> tuple[str, list[str]]:
    """The conversation, the assistant's turn that the template opens, and the prefill as it is."""
    turns = _fitted(model, chat, _turns(chat), add_generation_prompt=True)
    text = apply(model, chat, turns, add_generation_prompt=True)
    notices = left_out(model, chat, turns, text, add_generation_prompt=True)
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


def _continued(model: TextModel, chat: Chat) -> tuple[str, list[str]]:
    """The conversation with a last message that the template writes and leaves open."""
    field = "content" if chat.prefill_as == "content" else "reasoning_content"
    answer = {"role": "assistant", "content": "", **chat.prefill_more, field: chat.prefill}
    how = {"continue_final_message": field}
    turns = _fitted(model, chat, [*_turns(chat), answer], **how)
    text = apply(model, chat, turns, **how)
    notices = left_out(model, chat, turns, text, **how)
    if not text.endswith(chat.prefill):
        end, wanted = unmarked(text)[-len(chat.prefill) :], unmarked(chat.prefill)
        notices.append(
            f"the template changes the prefill: the prompt ends with {end!r}, not {wanted!r}"
        )
    return text, notices


def next_turn(model: TextModel, ids: Sequence[int], chat: Chat, user: str) -> Rendered:
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
    chat = _checked(model, chat)
    check_unicode(user)
    if chat.literal:
        user = with_marks(model.tokenizer, user)
    before = _turns(chat)
    if before and before[-1]["role"] == "assistant":
        before.pop()
    before = before or [{"role": "user", "content": "Hello"}]
    added = [{"role": "assistant", "content": STAND_IN}, {"role": "user", "content": user}]
    how = {"add_generation_prompt": True}
    turns, lost = fitted(model, chat, [*before, *added], **how)
    if any(turns[i]["role"] == "assistant" for i in lost):
        raise UsageError(
            f"the chat template of {model.name} leaves earlier answers out, so no further turn "
            "can follow this path: start a new chat with --messages."
        )
    _refuse_lost(model, turns, lost)
    text = apply(model, chat, turns, **how)
    cut = text.rfind(STAND_IN) + len(STAND_IN)
    closing = continuation_ids(model, text[cut : max(cut, text.find(user.strip(), cut))])
    return _joined(model, list(ids), _after(model, text, cut), len(closing))


def _after(model: TextModel, text: str, cut: int) -> list[int]:
    """The ids of text[cut:] as the tokenizer writes them inside the whole text; on their own
    where a token spans the cut."""
    whole = token_ids(model, text, special=False)
    head = token_ids(model, text[:cut], special=False)
    if whole[: len(head)] == head:
        return whole[len(head) :]
    return continuation_ids(model, text[cut:])


def _joined(model: TextModel, path: list[int], added: list[int], closing: int) -> Rendered:
    """`added` without what the path already ends with; its first `closing` ids come before the
    user's words."""
    last = path[-1] if path else -1
    ends = (*model.eos_ids, *model.turn_ids)
    if last in ends and last in added[:closing]:
        return Rendered(tuple(added[added.index(last) + 1 :]))
    for length in range(min(closing, len(path)), 0, -1):
        if path[-length:] == added[:length]:
            return Rendered(tuple(added[length:]))
    if last in ends:
        shown = model.vocabulary.show(last)
        return Rendered(
            tuple(added), f"the path ends with {shown}, which the chat template never writes there"
        )
    return Rendered(tuple(added))


def _turns(chat: Chat) -> Turns:
    return [{"role": m.role, "content": m.content} | m.more for m in chat.messages]


def _fitted(model: TextModel, chat: Chat, turns: Turns, **how: object) -> Turns:
    fitting, lost = fitted(model, chat, turns, **how)
    _refuse_lost(model, turns, lost)
    return fitting


def _refuse_lost(model: TextModel, turns: Turns, lost: list[int]) -> None:
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
