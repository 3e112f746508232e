"""What OpenAI's `/v1/completions` replies: tokens of a text, each with candidates by theirs."""

from typing import Any, NamedTuple

import msgspec

from tokexplore.models.errors import ServerError
from tokexplore.models.server.wire.http import Http, said_by

STOP, FILTERED = "stop", "content_filter"
"""Why a text ended: at an end that the model wrote, as we give no texts to stop at; or the server
left the rest out."""


class Told(msgspec.Struct):
    """Of the tokens of a reply, or of one event: the lists go together."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class Choice(msgspec.Struct):
    """What was written."""

    text: str = ""
    logprobs: Told | None = None
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    """What was counted."""

    prompt_tokens: int | None = None


class Reply(msgspec.Struct):
    """A reply, or an event of a stream."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


class Written(NamedTuple):
    """A token as it is written, and the candidates beside it; of the first token of a prompt there
    is no logprob."""

    text: str
    logprob: float | None
    candidates: dict[str, float]


def decoded(http: Http, data: bytes) -> Reply:
    """A reply, or an event.

    Raises:
        ServerError: it cannot be read, or is an error.
    """
    try:
        reply = msgspec.json.decode(data, type=Reply)
    except (msgspec.MsgspecError, RecursionError):
        raise http.unreadable("has no logprobs as OpenAI writes them") from None
    if reply.error is not None:
        words = reply.error.get("message") if isinstance(reply.error, dict) else reply.error
        raise ServerError(f"the server gave the request up: {said_by(str(words or ''))}")
    return reply


def tokens_of(http: Http, choice: Choice) -> list[Written]:
    """The tokens of a choice.

    Raises:
        ServerError: what it says of them does not go together.
    """
    told = choice.logprobs or Told()
    texts, logprobs = told.tokens or [], told.token_logprobs or []
    candidates = told.top_logprobs or []
    if not len(texts) == len(logprobs) == len(candidates) or (choice.text and not texts):
        raise http.unreadable("has not a logprob and candidates for each token")
    return [
        Written(text, logprob, {n: v for n, v in (rows or {}).items() if v is not None})
        for text, logprob, rows in zip(texts, logprobs, candidates, strict=True)
    ]


def is_unseen(written: Written) -> bool:
    """Whether a text's last token is one that the server has no text for."""
    return not written.text


def check_whole(choice: Choice) -> None:
    """Raises:
    ServerError: the server has left a part of the text out.
    """
    if choice.finish_reason == FILTERED:
        raise ServerError("the server's content filter has left out the rest of the text.")
