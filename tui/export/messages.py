"""The conversation of the path in view as messages, in the form that chat interfaces take."""

from collections.abc import Iterator

import msgspec

from tokexplore.models.api.chat import Message
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.conversation import spoken
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.tui.export.json_fields import line
from tokexplore.tui.export.source import Scope, Source


def messages_parts(source: Source, scope: Scope, candidates: int) -> Iterator[bytes]:
    """A JSON object with all that is said on the path in view, whatever the scope: `messages` with
    role, content, and what else each holds (parts of its content, reasoning_content, tool_calls),
    and the `tools` that the template told of. `--messages` reads it.

    Raises:
        UsageError: the path is no chat.
    """
    del scope, candidates
    tree = source.tree
    chat = spoken(TokenPath(tree, source.vocabulary, tree.path(source.leaf)))
    if chat is None:
        raise UsageError("the path in view is no chat: there are no messages to write.")
    whole: dict[str, object] = {"messages": [as_json(message) for message in chat.messages]}
    if chat.tools:
        whole["tools"] = list(chat.tools)
    yield msgspec.json.format(line(whole), indent=2) + b"\n"


def as_json(message: Message) -> dict[str, object]:
    """A message as it was given: a content in parts as its parts."""
    return {"role": message.role, "content": message.content} | message.more
