"""Conversations that are written down: the file of --messages."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tokexplore.models.api.chat import REASONING_FIELDS, Message, PrefillAs
from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import json_of

_TEXT_PARTS = ("text", "thinking")


class Conversation(NamedTuple):
    """What such a file holds."""

    messages: list[Message]
    tools: tuple[dict[str, object], ...] = ()
    unread: str = ""
    """A notice that names what else is in it."""


class Opening(msgspec.Struct, frozen=True):
    """The words of a last message that the model shall go on from."""

    text: str = ""
    put_as: PrefillAs = "turn"
    more: dict[str, object] = {}


def read_conversation(file: str, text: str) -> Conversation:
    """The conversation that the JSON `text` of --messages `file` holds.

    Raises:
        UsageError: it holds none, or something that is not text.
    """
    try:
        value = json_of(text, exact=True)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--messages {file} is not JSON: {error.msg} in line {error.lineno}, "
            f"column {error.colno}."
        ) from None
    except ValueError as error:
        raise UsageError(f"--messages {file} {error}.") from None
    whole = value if isinstance(value, dict) else {"messages": value}
    listed = whole.get("messages")
    if not isinstance(listed, list) or not listed:
        raise UsageError(
            f'--messages {file} holds no list of messages: write [{{"role": "user", '
            f'"content": "..."}}].'
        )
    _check_unicode(file, whole)
    tools = whole.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError(f"the tools of --messages {file} are no list of JSON schemas.")
    others = ", ".join(name for name in whole if name not in ("messages", "tools"))
    unread = f"--messages {file}: {others} not read, only messages and tools" if others else ""
    messages = [_message(file, number, item) for number, item in enumerate(listed, 1)]
    return Conversation(messages, tuple(tools), unread)


def last_words(messages: list[Message]) -> tuple[list[Message], Opening]:
    """The messages before a last one of the assistant that the model goes on from, and that one.

    One that calls tools is over, and stays among the messages.
    """
    last = messages[-1]
    more = {k: v for k, v in last.more.items() if k != "content" and v not in (None, "", [], {})}
    if last.role != "assistant" or "tool_calls" in more:
        return messages, Opening()
    if last.content:
        return messages[:-1], Opening(last.content, "content" if more else "turn", more)
    name = next((name for name in REASONING_FIELDS if isinstance(more.get(name), str)), "")
    if not name:
        return messages[:-1], Opening()
    return messages[:-1], Opening(str(more.pop(name)), "reasoning", more)


def _message(file: str, number: int, item: Any) -> Message:
    where = f"message {number} of --messages {file}"
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise UsageError(f"{where} needs a role and a content, both text.")
    role, content = item["role"], item.get("content")
    more = {name: value for name, value in item.items() if name not in ("role", "content")}
    if isinstance(content, str):
        return Message(role, content, more)
    if isinstance(content, list):
        texts = "".join(_texts(where, content))
        return Message(role, texts, {"content": content, **more})
    if content is None and any(more.values()):
        return Message(role, "", {"content": None, **more})
    raise UsageError(f"{where} needs a role and a content, both text.")


def _texts(where: str, parts: list[Any]) -> Iterator[str]:
    """The texts of a content's parts."""
    for number, part in enumerate(parts, 1):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text", "") if isinstance(part, dict) else None
        if kind not in _TEXT_PARTS or not isinstance(text, str):
            shown = f"is of type {kind}" if isinstance(kind, str) else "has no type"
            raise UsageError(
                f"part {number} of {where} {shown}: give text, as "
                '{"type": "text", "text": "..."}.'
            )
        yield text


def _check_unicode(file: str, value: object) -> None:
    """Refuse lone surrogates, which JSON can spell."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UsageError(f"--messages {file} is not UTF-8 text: convert it first.") from None
