"""Conversations that go on."""

from typing import Any

import msgspec

from tokexplore.models.api.chat import Chat, Message, Rendered
from tokexplore.models.engine.text.chat import append_turns


def next_turn(loaded: Any, path: Any, chat: Chat, text: str) -> Rendered:
    """What the user's next turn adds to a path on which the assistant has answered."""
    messages = chat.messages
    if not messages or messages[-1].role != "assistant":
        messages = (*messages, Message("assistant", "what the path says"))
    spoken = msgspec.structs.replace(chat, messages=(*messages, Message("user", text)))
    return append_turns(loaded, path, spoken, len(messages))
