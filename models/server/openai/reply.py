"""What OpenAI's `/v1/completions` replies: tokens of a text, each with candidates by theirs."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from tokexplore.models.errors import ServerError
from tokexplore.models.server.openai.token_names import Spelling
from tokexplore.models.server.wire.http import Http, said_by

R = TypeVar("R", bound="Reply")

STOP, FILTERED = "stop", "content_filter"
"""Why a text ended: at an end that the model wrote, as we give no texts to stop at; or the server
left the rest out."""


class Told(msgspec.Struct):
    """Of the tokens of a reply, or of one event: the lists go together."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class Written(NamedTuple):
    """A token as it is written, and the candidates beside it; of the first token of a prompt there
    is no logprob."""

    spelling: Spelling
    logprob: float | None
    candidates: Sequence[tuple[Spelling, float]]


class Choice(Protocol):
    """What was written."""

    finish_reason: str | None

    @property
    def text(self) -> str:
        """All of it."""

    def written(self, http: Http) -> list[Written]:
        """Its tokens.

        Raises:
            ServerError: what it says of them does not go together.
        """


class Completion(msgspec.Struct):
    """A `Choice` of a completion."""

    text: str = ""
    logprobs: Told | None = None
    finish_reason: str | None = None

    def written(self, http: Http) -> list[Written]:
        """See `Choice.written`."""
        told = self.logprobs or Told()
        texts, logprobs = told.tokens or [], told.token_logprobs or []
        candidates = told.top_logprobs or []
        if not len(texts) == len(logprobs) == len(candidates) or (self.text and not texts):
            raise http.unreadable("has not a logprob and candidates for each token")
        return [
            Written(
                Spelling(text),
                logprob,
                [(Spelling(n), v) for n, v in (rows or {}).items() if v is not None],
            )
            for text, logprob, rows in zip(texts, logprobs, candidates, strict=True)
        ]


class Usage(msgspec.Struct):
    """What was counted."""

    prompt_tokens: int | None = None


class Reply(Protocol):
    """A reply, or an event of a stream."""

    usage: Usage | None
    error: Any

    @property
    def choices(self) -> Sequence[Choice]:
        """What was written."""


class Completions(msgspec.Struct):
    """A `Reply` of completions."""

    choices: list[Completion] = []
    usage: Usage | None = None
    error: Any = None


def counted(reply: Reply) -> int | None:
    """The tokens of the prompt, where they were counted."""
    return reply.usage.prompt_tokens if reply.usage else None


def decoded(http: Http, data: bytes, kind: type[R]) -> R:
    """A reply, or an event.

    Raises:
        ServerError: it cannot be read, or is an error.
    """
    try:
        reply = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        raise http.unreadable("has no logprobs as OpenAI writes them") from None
    if reply.error is not None:
        words = reply.error.get("message") if isinstance(reply.error, dict) else reply.error
        raise ServerError(f"the server gave the request up: {said_by(str(words or ''))}")
    return reply


def check_whole(choice: Choice) -> None:
    """Raises:
    ServerError: the server has left a part of the text out.
    """
    if choice.finish_reason == FILTERED:
        raise ServerError("the server's content filter has left out the rest of the text.")
