"""What `/v1/chat/completions` replies: tokens of a message, each a row with rows of candidates."""

from typing import Any

import msgspec

from tokexplore.models.server.openai.reply import Usage, Written
from tokexplore.models.server.openai.token_names import Spelling
from tokexplore.models.server.wire.http import Http


class Row(msgspec.Struct):
    """A candidate."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    id: int | None = None
    """llama.cpp's."""

    @property
    def spelling(self) -> Spelling:
        """What it tells of its token.

        Raises:
            ValueError: its bytes are none.
        """
        return Spelling(self.token, None if self.bytes is None else bytes(self.bytes), self.id)


class TakenRow(Row):
    """A token that was taken."""

    top_logprobs: list[Row] | None = None


class Told(msgspec.Struct):
    """Of the tokens of a reply, or of one event."""

    content: list[TakenRow] | None = None


class Said(msgspec.Struct):
    """The text of a reply, or what one event adds to it."""

    content: str | None = None


class Message(msgspec.Struct):
    """A `Choice` of a chat, whole or of an event."""

    message: Said | None = None
    delta: Said | None = None
    logprobs: Told | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """See `Choice.text`: what was thought before an answer may be left out."""
        said = self.message or self.delta or Said()
        return said.content or ""

    def written(self, http: Http) -> list[Written]:
        """See `Choice.written`."""
        rows = (self.logprobs or Told()).content or []
        try:
            return [
                Written(
                    row.spelling,
                    row.logprob,
                    [(other.spelling, other.logprob) for other in row.top_logprobs or []],
                )
                for row in rows
            ]
        except ValueError:
            raise http.unreadable("has bytes of a token that are none") from None


class Messages(msgspec.Struct):
    """A `Reply` of a chat."""

    choices: list[Message] = []
    usage: Usage | None = None
    error: Any = None
