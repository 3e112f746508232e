"""OpenAI's `/v1/chat/completions`, and servers that answer as it does: messages go there.

A path is a conversation that was rendered here and the answer so far, which goes as its text where
the server goes on from one (`Prefill`). What llama.cpp's server answers was found by asking it, of
others it is from documentation: docs/servers.md.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import Ask, Step, Steps, UnaskedError
from tokexplore.models.server.openai.dialect import OpenAI, Sampling, UnseenTokenError
from tokexplore.models.server.openai.reply import Reply, counted
from tokexplore.models.server.openai_chat.conversations import Conversations, hash_of
from tokexplore.models.server.openai_chat.reply import Messages
from tokexplore.models.server.wire.http import Http
from tokexplore.models.tokens import Vocabulary

PATH = "/v1/chat/completions"


class Prefill(NamedTuple):
    """How a server is told to go on from the assistant's words."""

    name: str
    message: Mapping[str, object] = {}
    """Fields of the message that holds them."""
    request: Mapping[str, object] = {}
    """Fields of the request."""


def fresh_request(
    model: str, chat: Chat, sampling: Sampling, length: Mapping[str, int], *, top: int
) -> dict[str, Any]:
    """A greedy request for the answer that follows a conversation.

    Args:
        length: the field that takes the number of tokens, and that number.
    """
    return {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} | m.more for m in chat.messages],
        "logprobs": True,
        "top_logprobs": top,
        **length,
        **sampling(SamplingSettings(), 0),
        **({"tools": list(chat.tools)} if chat.tools else {}),
        **({"chat_template_kwargs": chat.template_args} if chat.template_args else {}),
    }


class OpenAIChat(OpenAI):
    """Implements `Dialect`.

    Args:
        conversations: those that paths begin with.
        length: the field that takes the number of tokens.
    """

    path, kind = PATH, Messages

    def __init__(
        self,
        http: Http,
        program: str,
        model: str,
        vocabulary: Vocabulary,
        conversations: Conversations,
        length: str,
        samples: frozenset[str],
        sampling: Sampling,
    ) -> None:
        super().__init__(http, program, model, vocabulary, samples, sampling)
        self._conversations, self._length = conversations, length
        self.prefill: Prefill | None = None
        """None where it begins every answer anew."""
        self.counts = False
        """Whether it counts the tokens of a prompt as they are counted here."""
        self._counted: set[bytes] = set()
        """Paths of which it read as many tokens."""
        self._plain = next((t for t in range(len(vocabulary)) if vocabulary.bytes_of(t) == b"a"), 0)
        """A token that is a whole character: some servers have no row for half of one."""

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        began = time.perf_counter()
        try:
            written, _ = self.one(ids, self.body(ids, top, 1))
        except UnseenTokenError:
            if "bias" not in self.samples:
                raise
            written, _ = self.one(ids, self.forced(ids, self._plain, top))
        return self.listed(written, ids, top, time.perf_counter() - began)

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`: greedy, it is known of a token that has no row."""
        try:
            return super().step(ask)
        except UnseenTokenError:
            if not ask.settings.greedy or ask.settings.looks_back:
                raise
            told = self.describe(ask.ids, ask.top)
            return Step(told, told.id_view[0], told.logprob(0))

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`."""
        if self.counts and self.answer_of(ask.ids):
            self._check_reading(ask.ids)
        return super().steps(ask, length)

    def scores(self, *_: object) -> Iterator[ScoredToken]:
        """See `Dialect.scores`."""
        raise UsageError(f"{self.program} gives no logprobs of tokens that it is given.")

    def body(self, prompt: Sequence[int] | str, top: int, length: int) -> dict[str, Any]:
        """A greedy request.

        Raises:
            UsageError: the server cannot be asked for the path.
        """
        if isinstance(prompt, str):
            return self.request(Chat((Message("user", prompt),)), "", top, length)
        opened = self._conversations.opened(prompt)
        return self.request(opened.chat, opened.answer, top, length)

    def answer_of(self, path: Sequence[int]) -> str:
        """What the assistant has said on a path in the turn that is open.

        Raises:
            UsageError: the path is no conversation, or what was said no text.
        """
        return self._conversations.opened(path).answer

    def request(self, chat: Chat, answer: str, top: int, length: int) -> dict[str, Any]:
        """A greedy request for what follows in a conversation.

        Raises:
            UsageError: the server does not take it as it is.
        """
        if chat.template:
            raise UsageError(
                f"the server renders chats by a template of its own choice: leave {chat.template} "
                "out."
            )
        body = fresh_request(self._model, chat, self.sampling, {self._length: length}, top=top)
        if not answer:
            return body
        if self.prefill is None:
            raise UnaskedError(
                f"{self.program} begins every answer anew and goes on from none: it cannot be "
                "asked what comes next within one."
            )
        if not self.counts and answer != answer.strip():
            raise UnaskedError(
                "the server does not count tokens as they are counted here, so it cannot be known "
                "whether it keeps the blanks around the answer so far: it is not asked what comes "
                "next."
            )
        body["messages"].append({"role": "assistant", "content": answer, **self.prefill.message})
        return body | dict(self.prefill.request)

    def check_count(self, path: Sequence[int], reply: Reply) -> None:
        """See `OpenAI.check_count`: of a path that is a conversation with an answer."""
        if not self.counts or (count := counted(reply)) is None:
            return
        if count != len(path):
            raise ServerError(
                f"the server read {count:,} tokens where this path has {len(path):,}: its numbers "
                "would be those of another path."
            )
        self._counted.add(hash_of(path))

    def _check_reading(self, ids: Sequence[int]) -> None:
        """Let the server count the tokens of a path before a stream goes on from it.

        Raises:
            ServerError: they are others than here.
        """
        if hash_of(ids) not in self._counted:
            self.choice(self.body(ids, 1, 1), path=ids)
