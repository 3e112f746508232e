"""The conversation of the path in view as messages, in the form that chat interfaces take."""

from collections.abc import Iterator

import msgspec

from tokexplore.models.api.chat import Message
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.conversation import Turn, conversation, is_special, said, spoken
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
    chat = spoken(_path(source))
    if chat is None:
        raise UsageError("the path in view is no chat: there are no messages to write.")
    whole: dict[str, object] = {"messages": [as_json(message) for message in chat.messages]}
    if chat.tools:
        whole["tools"] = list(chat.tools)
    yield msgspec.json.format(line(whole), indent=2) + b"\n"


def _path(source: Source) -> TokenPath:
    return TokenPath(source.tree, source.vocabulary, source.tree.path(source.leaf))


def messages_notice(source: Source) -> str:
    """What the messages hold besides words, and what of the path they leave out, in sentences."""
    path = _path(source)
    return " ".join(filter(None, (_past_end(path, turn) for turn in conversation(path))))


def _past_end(path: TokenPath, turn: Turn) -> str:
    """What is to be said of a message that goes on past the end of its turn."""
    kept, left = said(path, turn, "content")
    given = path.given
    inside = [index for index in kept if not given(index) and is_special(path, index)]
    number = f"message {turn.message + 1} ({turn.role})"
    show, token = path.vocabulary.show, path.tree.token
    sentences = []
    if inside:
        name = show(token[path.nodes[inside[0]]])
        sentences.append(
            f"The text of {number} goes on past {name}: it is written as it stands, names of "
            "special tokens included."
        )
    if len(left) > 1:
        names = "".join(show(token[path.nodes[index]]) for index in left)
        sentences.append(f"{names} at the end of {number} is left out.")
    return " ".join(sentences)


def as_json(message: Message) -> dict[str, object]:
    """A message as it was given: a content in parts as its parts."""
    return {"role": message.role, "content": message.content} | message.more
