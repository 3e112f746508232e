"""OpenAI's `/v1/chat/completions` over a stub's engine, and what its kin do otherwise.

OpenAI was not recorded: shapes and sentences are those of its documentation and of public threads
that quote replies; that a prefill is ignored silently, or taken by a field, is from documentation
of vLLM, DeepSeek and Mistral. What llama.cpp's server does is tested on the real one.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from support import stub_openai
from tokexplore.models.api.chat import Chat, Message

if TYPE_CHECKING:
    from support.stub_server import Stub

PATH = "/v1/chat/completions"
TEMPLATE = (
    "{% for m in messages %}# {{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}# assistant:\n{% endif %}"
)


class ChatManners(stub_openai.Manners):
    """What servers of chats do in different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = ""
        """The field by which an answer goes on, or `last` where a last message of the assistant's
        does; another one is ignored, and a new turn begins."""
        self.repeats = False
        """The text of an answer begins with what it goes on from."""
        self.trims = False
        """Blanks around what an answer goes on from are lost."""
        self.more_counted: int | None = 0
        """Tokens that are counted beside those of the template; None where none are counted."""
        self.length = "max_tokens"
        self.bytes = True
        self.halves = True
        """A token that is half a character has a row."""
        self.listed = True


def answer(stub: "Stub", path: str, body: dict[str, Any]) -> Any:
    """A status and a reply, or the events of a stream."""
    manners = stub.manners
    assert isinstance(manners, ChatManners)
    if path != PATH:
        return stub_openai.answer(stub, path if path == "/v1/models" else "", body)
    if manners.length not in body:
        words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        return _refused(words + "'max_completion_tokens' instead.", "max_tokens")
    if body["top_logprobs"] > stub.limit:
        words = f"Expected a value <= {stub.limit}, but got {body['top_logprobs']} instead."
        return _refused(f"Invalid 'top_logprobs': integer above maximum value. {words}", "")
    ids, begun = _read(stub, body)
    asked = body | {"max_tokens": body[manners.length], "logprobs": body["top_logprobs"]}
    steps = list(stub_openai.steps(stub, ids, asked, _row))
    if body.get("stream"):
        return _events(stub, steps)
    rows = [row for row, _ in steps if row is not None]
    text = (begun if manners.repeats else "") + _text(rows)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": _told(manners, rows)}
    choice["finish_reason"] = "stop" if steps[-1][1] else "length"
    reply = {"id": "chatcmpl-stub", "object": "chat.completion", "choices": [choice]}
    if manners.more_counted is not None:
        reply["usage"] = {"prompt_tokens": len(ids) + manners.more_counted}
    return 200, reply


def _refused(words: str, field: str) -> Any:
    error = {"message": words, "type": "invalid_request_error", "param": field, "code": None}
    return 400, {"error": error}


def _read(stub: "Stub", body: dict[str, Any]) -> tuple[list[int], str]:
    """The ids of a conversation, and what the answer is begun with."""
    manners, said = stub.manners, body["messages"]
    assert isinstance(manners, ChatManners)
    messages = tuple(Message(m["role"], m["content"]) for m in said)
    last = said[-1]
    asked = {
        "last": True,
        "prefix": last.get("prefix"),
        "continue_final_message": body.get("continue_final_message"),
    }
    if last["role"] != "assistant" or not asked.get(manners.goes_on):
        return list(stub.engine.render(Chat(messages)).ids), ""
    begun = last["content"].strip() if manners.trims else last["content"]
    return list(stub.engine.render(Chat(messages[:-1], prefill=begun)).ids), last["content"]


def _row(stub: "Stub", token: int, values: np.ndarray, top: int) -> dict[str, Any] | None:
    """A token and the first ones."""
    manners = stub.manners
    assert isinstance(manners, ChatManners)
    order = np.argsort(-values, kind="stable")[:top].tolist()

    def candidate(token: int) -> dict[str, Any]:
        text, data = stub_openai.written(stub, token), stub.engine.vocabulary.bytes_of(token)
        told = {"token": text, "logprob": float(values[token])}
        return told | ({"bytes": list(data)} if manners.bytes else {"bytes": None})

    own = candidate(token)
    if not manners.halves and own["token"].startswith("bytes:"):
        return None
    return own | {"top_logprobs": [candidate(t) for t in order]}


def _told(manners: ChatManners, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {"content": rows, "refusal": None} if manners.listed else None


def _text(rows: list[dict[str, Any]]) -> str:
    return b"".join(bytes(row["bytes"] or row["token"].encode()) for row in rows).decode(
        "utf-8", "replace"
    )


def _events(stub: "Stub", steps: list[Any]) -> Iterator[dict[str, Any]]:
    """The role, tokens as they come, then an event of none that says why the text ended."""
    manners = stub.manners
    assert isinstance(manners, ChatManners)
    yield _event({"role": "assistant", "content": ""}, None, None)
    for row, _ in steps:
        if row is not None:
            yield _event({"content": _text([row])}, _told(manners, [row]), None)
    yield _event({}, None, "stop" if steps[-1][1] else "length")


def _event(delta: dict[str, Any], told: dict[str, Any] | None, reason: str | None) -> Any:
    choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}
